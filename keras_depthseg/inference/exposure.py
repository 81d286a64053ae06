"""Fit the exposure and the colours of a plate to those of a photograph."""

from __future__ import annotations

import cv2
import numpy as np

# Both are compared on images of about this many pixels: noise and small movements
# average out.
_PIXELS = 64 * 64
# Levels of 255 outside of which a sensor may have clipped.
_DARKEST, _BRIGHTEST = 6.0, 249.0
# Standard deviations of the log ratio within which pixels count as background, in
# turn.
_WIDTHS = (0.3, 0.15, 0.08, 0.04, 0.04)
_STRONGEST = np.log(4.0)
_FEWEST = 0.02


def fit_gain(
    bg: np.ndarray, fg_bg: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Return the factors by which the channels of a plate become those of a photograph.

    The reweighted mean (Welsch's weights) of the log ratios of reduced images, begun at
    the densest log ratio: less than half of the pixels need to show the background, as
    long as no other part differs by one factor more often.

    Args:
        bg, fg_bg: (H, W, 3) uint8 RGB, aligned to about a hundredth of the sides.
        background: (H, W) bool, where the background is known to be seen; by default
            everywhere is looked.

    Returns:
        (3,) float32 between 1/4 and 4; ones where nothing can be compared.
    """
    height, width = bg.shape[:2]
    scale = min(1.0, (_PIXELS / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    plate, photograph = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in (bg, fg_bg)
    )
    usable = np.ones(plate.shape[:2], bool)
    for image in (plate, photograph):
        usable &= (image > _DARKEST).all(-1) & (image < _BRIGHTEST).all(-1)
    if background is not None:
        share = cv2.resize(
            background.astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        usable &= share > 0.99
    if usable.sum() < max(8, _FEWEST * usable.size):
        return np.ones(3, np.float32)
    ratios = np.log(photograph[usable] / plate[usable])
    gain = np.full(3, _densest(ratios.mean(-1)), np.float32)
    for sigma in _WIDTHS:
        error = ratios - gain
        weights = np.exp(-np.square(error).mean(-1) / (2 * sigma**2))
        if weights.sum() < _FEWEST * len(weights):
            break
        gain = (weights[:, None] * ratios).sum(0) / weights.sum()
    return np.exp(np.clip(gain, -_STRONGEST, _STRONGEST)).astype(np.float32)


def _densest(values: np.ndarray) -> float:
    """Return the value around which most values lie."""
    counts, edges = np.histogram(values, 96, (-_STRONGEST, _STRONGEST))
    counts = cv2.GaussianBlur(counts.astype(np.float32)[None], (0, 0), 2)[0]
    index = int(counts.argmax())
    return float(edges[index : index + 2].mean())
