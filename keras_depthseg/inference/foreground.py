"""The foreground's own colours, without the plate that shines through its edges."""

from __future__ import annotations

import cv2
import numpy as np

from keras_depthseg.inference.sizes import within
from keras_depthseg.inference.tiles import Enlarged, box, tiles

# Where nothing is nearer, colours come from a wide window: in images of this longer side,
# and its radius there.
_SIDE, _WIDE = 256, 16
# Radius of the near window as a share of the longer side.
_NEAR = 0.004
# Squared alpha from which a pixel counts as much as those around it.
_NOISE = 0.3
_UNSEEN = 0.5 / 255


def foreground_colours(
    fg_bg: np.ndarray, alpha: np.ndarray, bg: np.ndarray | None = None
) -> np.ndarray:
    """Return what a photograph would show if its foreground were opaque.

    A photograph is alpha F + (1 - alpha) B. The colours nearby are averaged to a first F,
    in a wide window, then in a near one, and each pixel corrects it as far as its alpha
    allows (blur fusion). B is the plate's colour, or without one an average, too.

    Args:
        fg_bg: (H, W, 3) uint8 RGB, the photograph.
        alpha: (H, W) float32 in [0, 1], the mask at the photograph's size.
        bg: (H, W, 3) uint8 RGB, the plate with the photograph's position and exposure.

    Returns:
        (H, W, 3) uint8: that of the photograph where alpha is 1, and where nothing of the
        foreground is near.

    Source: Forte 2021, Approximate fast foreground colour estimation,
    https://doi.org/10.1109/ICIP42928.2021.9506164, with the true background.
    """
    height, width = fg_bg.shape[:2]
    near = max(1, round(_NEAR * max(height, width)))
    colours = fg_bg.copy()
    if not (alpha > 0).any():
        return colours
    size = within(height, width, _SIDE)
    photograph, small_alpha, plate = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in (fg_bg, alpha, fg_bg if bg is None else bg)
    )
    averages = _averages(photograph, small_alpha, None if bg is None else plate)
    averages = Enlarged(averages, height, width)
    for tile, wide, inside in tiles(height, width, near):
        a = alpha[wide]
        # A network's mask is nowhere 0 or 1: what eight bits do not show is left.
        if a.max() < _UNSEEN or a.min() > 1 - _UNSEEN:
            continue
        image, a = fg_bg[wide].astype(np.float32), a[..., None]
        first, behind = np.split(averages[wide], 2, axis=-1)
        if bg is not None:
            behind = bg[wide].astype(np.float32)
        own = image - (1 - a) * behind
        # The wide window's colours count as little: they fill what has no others.
        weight = box(a * a, near)[..., None] + np.float32(1e-3)
        first = (box(a * own, near) + np.float32(1e-3) * first) / weight
        first = np.clip(first, 0, 255)
        solved = first + a / (a * a + np.float32(_NOISE)) * (own - a * first)
        solved = np.where(a >= 1, image, np.clip(solved, 0, 255))
        colours[tile] = np.rint(solved[inside]).astype(np.uint8)
    return colours


def _averages(fg_bg: np.ndarray, alpha: np.ndarray, bg: np.ndarray | None) -> np.ndarray:
    """Return, (h, w, 6), the colours of the foreground and of what is behind it."""
    a, little = alpha[..., None], np.float32(1e-6)
    if bg is None:
        bg = box((1 - a) * fg_bg, _WIDE) / (box(1 - a, _WIDE)[..., None] + little)
    own = box(a * (fg_bg - (1 - a) * bg), _WIDE)
    own /= box(a * a, _WIDE)[..., None] + little
    return np.dstack([np.clip(own, 0, 255), bg])
