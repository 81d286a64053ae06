"""Exposure, tone, white balance and mains light that differ between two photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from keras_depthseg.augment.pair import Pair

TONES = ("exposure", "white_balance", "gamma")
# Share of the change of red and blue by which green changes at most.
_GREEN = 1 / 3
# Periods of mains light from the first to the last row of a rolling shutter: 100 Hz and
# a read-out of 10 to 40 ms.
_BANDS = (1.0, 4.0)


def change_tones(
    pair: Pair,
    strengths: Mapping[str, float],
    rng_of: Callable[[str], np.random.Generator],
) -> None:
    """Change exposure, white balance and tone curve, each of one image at random.

    Args:
        pair: changed in place.
        strengths: of `TONES`, per cent: every channel times 1 + exposure or its inverse;
            red times 1 + white balance and blue divided by it, or the reverse; values in
            [0, 1] raised to 1 + gamma or its inverse.
        rng_of: returns the generator of a change.
    """
    curves = {}
    for name in TONES:
        if name not in strengths:
            continue
        rng = rng_of(name)
        changed = int(rng.integers(2))
        factor = (1 + strengths[name] / 100) ** (1 if rng.random() < 0.5 else -1)
        levels = curves.setdefault(changed, _identity())
        if name == "exposure":
            levels *= factor
        elif name == "white_balance":
            green = factor ** rng.uniform(-_GREEN, _GREEN)
            levels *= np.array([factor, green, 1 / factor])
        else:
            np.power(levels, factor, out=levels)
    for changed, levels in curves.items():
        table = np.rint(255 * np.minimum(levels, 1)).astype(np.uint8)
        image = pair.images[changed]
        cv2.LUT(image, table[None], dst=image)


def _identity() -> np.ndarray:
    return np.repeat(np.arange(256)[:, None] / 255, 3, axis=1)


def flicker(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Change brightness in horizontal bands, by `strength` per cent at their peaks.

    Both images have the same bands, each at a phase of its own.
    """
    height, width = pair.mask.shape
    rows = np.arange(height, dtype=np.float32)[:, None] / height
    bands = rng.uniform(*_BANDS)
    for image, phase in zip(pair.images, rng.random(2), strict=True):
        gain = 1 + strength / 100 * np.sin(2 * np.pi * (bands * rows + phase))
        gains = np.repeat(gain.astype(np.float32), 3 * width, axis=1)
        rows_of_levels = image.reshape(height, -1)
        cv2.multiply(rows_of_levels, gains, dst=rows_of_levels, dtype=cv2.CV_8U)
