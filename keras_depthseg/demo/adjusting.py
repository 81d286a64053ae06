"""What the page's sliders do to a mask."""

from __future__ import annotations

import math

import cv2
import numpy as np


def adjusted(mask: np.ndarray, threshold: float, feather: float) -> np.ndarray:
    """Return a mask with another threshold and softer edges.

    Args:
        mask: (H, W) float32 in [0, 1].
        threshold: opacity that becomes 0.5, in ]0, 1[: `mask ** (log 0.5 / log
            threshold)`, which keeps 0 and 1 and the softness of edges. 0.5 changes
            nothing.
        feather: standard deviation of a blur, in pixels; 0 changes nothing.

    Returns:
        (H, W) float32 in [0, 1].
    """
    if threshold != 0.5:
        mask = mask ** np.float32(math.log(0.5) / math.log(threshold))
    if feather > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), feather))
    return mask
