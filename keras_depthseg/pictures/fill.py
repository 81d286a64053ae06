"""Fills the unknown pixels of a map."""

from __future__ import annotations

import cv2
import numpy as np


def fill_unknown(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return a map whose unknown pixels have the value of the nearest known one.

    Args:
        values: (H, W) float32.
        known: (H, W) bool.

    Returns:
        (H, W) float32; `values` itself if all is known, 0 everywhere if nothing is.
    """
    if known.all():
        return values
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.asarray(nearest, np.intp)
    of_label = np.zeros(nearest.max() + 1, np.float32)
    of_label[nearest[known]] = values[known]
    return of_label[nearest]
