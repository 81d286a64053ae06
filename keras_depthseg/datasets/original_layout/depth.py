"""The direction of depth: whether a larger number is farther or nearer."""

from __future__ import annotations

import math

import cv2
import numpy as np

from keras_depthseg.datasets.records import NEAREST_DEPTH
from keras_depthseg.pictures.inversion import OPAQUE

LARGER = ("farther", "nearer")

# In shares of the full scale: what is less may be noise.
_STEP = 0.02


def turned(levels: np.ndarray) -> np.ndarray:
    """Return depth whose larger numbers are farther, of one where they are nearer.

    0 stays 0, unknown; the nearest known is at least `records.NEAREST_DEPTH`.

    Args:
        levels: uint8 or uint16.
    """
    full = np.iinfo(levels.dtype).max
    far = np.maximum(full - levels, math.ceil(NEAREST_DEPTH * full))
    return np.where(levels, far, 0).astype(levels.dtype)


def nearer_than_around(depth: np.ndarray, mask: np.ndarray) -> bool | None:
    """Return whether the foreground's edge is nearer than what is around it.

    Args:
        depth: (H, W) uint8 or uint16, larger is farther, 0 is unknown.
        mask: (H, W) uint8.

    Returns:
        `None` where both are about as far, or unknown.
    """
    opaque = (mask > OPAQUE).astype(np.uint8)
    side = max(3, min(mask.shape) // 20) | 1
    kernel = np.ones((side, side), np.uint8)
    known = depth > 0
    around = known & (cv2.dilate(opaque, kernel) > opaque)
    edge = known & (opaque > cv2.erode(opaque, kernel))
    if not around.any() or not edge.any():
        return None
    step = (np.median(depth[around]) - np.median(depth[edge])) / np.iinfo(depth.dtype).max
    return None if abs(step) < _STEP else bool(step > 0)
