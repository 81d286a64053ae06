"""Counts of pixel values."""

from __future__ import annotations

import numpy as np


class Levels:
    """Counts of each value in each channel; mean and deviation follow exactly.

    Args:
        channels: 3 for pictures, 1 for masks and depth.
        dtype: `np.uint8` or `np.uint16`.
    """

    def __init__(self, channels: int, dtype: type = np.uint8):
        self.counts = np.zeros((channels, np.iinfo(dtype).max + 1), np.int64)

    def update(self, image: np.ndarray) -> None:
        """Add one image, (H, W, channels) or (H, W)."""
        levels = self.counts.shape[1]
        for counts, plane in zip(self.counts, np.atleast_3d(image).T, strict=True):
            counts += np.bincount(plane.ravel(), minlength=levels)

    def mean(self) -> np.ndarray:
        """Return the means, (channels,), in units of 0..1; NaN without pixels."""
        return self._average(np.linspace(0, 1, self.counts.shape[1]))

    def std(self) -> np.ndarray:
        """Return the deviations, (channels,), in units of 0..1; NaN without pixels."""
        values = np.linspace(0, 1, self.counts.shape[1])
        variance = self._average(np.square(values)) - np.square(self.mean())
        return np.sqrt(np.maximum(variance, 0))

    def shares(self, bins: int = 64) -> np.ndarray:
        """Return shares of the pixels, (channels, bins), over equal parts of 0..1."""
        parts = self.counts.reshape(len(self.counts), bins, -1).sum(axis=-1)
        return parts / np.maximum(parts.sum(axis=-1, keepdims=True), 1)

    def _average(self, values: np.ndarray) -> np.ndarray:
        total = self.counts.sum(axis=1)
        return np.where(total, self.counts @ values, np.nan) / np.maximum(total, 1)
