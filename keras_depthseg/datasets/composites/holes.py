"""Random holes in a cutout, through which the background is seen."""

from __future__ import annotations

import math

import cv2
import numpy as np

MOST = 4
"""Holes in one cutout."""

_SHIFT = 4
"""Binary places of the coordinates that are drawn: holes are finer than pixels."""


def cut_holes(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return opacity with 1 to `MOST` smooth holes, also narrow slits.

    Args:
        alpha: (h, w) uint8.
        rng: random numbers.

    Returns:
        (h, w) uint8, nowhere more than `alpha`.
    """
    height, width = alpha.shape
    kept = np.full_like(alpha, 255)
    for x, y, along, across, angle in rng.random((int(rng.integers(1, MOST + 1)), 5)):
        # Axes of 3 to 15 % of the mean side, drawn evenly in the logarithm.
        side = math.sqrt(height * width)
        axes = [side * 0.03 * 5**part for part in (along, across)]
        cv2.ellipse(
            kept,
            (round(x * width * 2**_SHIFT), round(y * height * 2**_SHIFT)),
            (round(axes[0] * 2**_SHIFT), round(axes[1] * 2**_SHIFT)),
            360 * angle,
            0,
            360,
            0,
            cv2.FILLED,
            cv2.LINE_AA,
            _SHIFT,
        )
    return cv2.multiply(alpha, kept, scale=1 / 255)
