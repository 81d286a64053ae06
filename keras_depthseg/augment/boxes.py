"""The box of a foreground."""

from __future__ import annotations

import numpy as np


def bounds(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box of the pixels above 0 of (H, W), as shares of the sides."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    height, width = mask.shape
    return (
        rows[0] / height,
        columns[0] / width,
        (rows[-1] + 1) / height,
        (columns[-1] + 1) / width,
    )
