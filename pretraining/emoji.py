"""Choosing the emoji that are fit for cutouts: things and people, not signs."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Mapping

import numpy as np
from PIL import Image

from keras_depthseg.pictures import near_duplicates

_LOOK = re.compile("-(1f3f[b-f]|fe0f)")
"""Skin tones, and the wish for a picture in place of a letter."""

# First code points of letters, digits, arrows, buttons, traffic and zodiac signs, hearts,
# clock faces and flags: flat signs, found by looking at all pictures.
_SIGNS = (
    "0000-2319 231c-2327 2329-23ef 23f4-25ff 2605-260d 260f-2613 2616-2617 2619-261c "
    "261e-261f 2621-2638 263b-265e 2660-2691 2695 2698 269a-26a0 26a2-26af 26b2-26bc "
    "26ce 26d4 2703-2707 2713-2727 2729-2743 2745-2b4f 2b51-3fff "
    "1f100-1f2ff 1f310 1f3b5-1f3b6 1f3bc 1f463-1f465 1f493-1f49f 1f4a0 1f4a2 1f4a4 "
    "1f4ac-1f4af 1f4b1-1f4b2 1f4b9 1f4db 1f4f2-1f4f6 1f500-1f506 1f515 1f518-1f524 "
    "1f52f-1f53d 1f549 1f54e 1f551-1f567 1f573 1f5a4 1f5e3 1f5e8-1f5ef 1f6ab "
    "1f6ad-1f6b1 1f6b3 1f6b7-1f6bc 1f6be 1f6c2-1f6c5 1f6d0-1f6d1 1f6d7-1f6dc "
    "1f7e0-1f7f0 1f90d-1f90e 1f9e1 1fa75-1fa77 1faaf 1f1e6-1f1ff 1f3f3-1f3f4 "
)
_RANGES = [
    (int(first, 16), int(last or first, 16))
    for first, _, last in (part.partition("-") for part in _SIGNS.split())
]

_SQUARE = 0.9
"""Share of its box that a picture fills if it is a button or a scene in a square; a disc
fills 0.79."""


def chosen(files: Mapping[str, bytes], seed: int) -> dict[str, bytes]:
    """Return the pictures that are fit for cutouts, each thing once, in order.

    Left out are signs, square pictures and near-duplicates. Of the skin tones of an
    emoji one is drawn.

    Args:
        files: RGBA pictures by their code points in hexadecimal, as `1f44b-1f3fc`.
        seed: of the skin tones.
    """
    tones: dict[str, list[str]] = {}
    for name in sorted(files):
        tones.setdefault(_LOOK.sub("", name), []).append(name)
    hashes, drawn = {}, {}
    for plain, names in tones.items():
        first = int(plain.partition("-")[0], 16)
        if any(low <= first <= high for low, high in _RANGES):
            continue
        name = random.Random(f"{seed} {plain}").choice(names)
        rgba = np.asarray(Image.open(io.BytesIO(files[name])).convert("RGBA"))
        if _filled(rgba[..., 3]) < _SQUARE:
            drawn[plain] = files[name]
            hashes[plain] = near_duplicates.picture_hash(_on_grey(rgba))
    kept = near_duplicates.groups(hashes)
    return {plain: drawn[plain] for plain in drawn if kept[plain] == plain}


def _filled(alpha: np.ndarray) -> float:
    """Return which share of its box a picture fills."""
    rows, columns = np.nonzero(alpha >= 128)
    return len(rows) / (np.ptp(rows) + 1) / (np.ptp(columns) + 1)


def _on_grey(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 128 * (255 - alpha)) // 255).astype(np.uint8)
