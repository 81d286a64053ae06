"""Mean and standard deviation of images, accumulated while they are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import cv2
import numpy as np


@dataclasses.dataclass
class ImageStatistics:
    """Streaming mean and standard deviation per channel, over images in 0..1."""

    count: int = 0
    total: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    total_squares: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))

    def update(self, image: np.ndarray) -> None:
        """Add one image, (H, W, 3) uint8."""
        # Exact sums of integers, in half the time of OpenCV's meanStdDev.
        squares = [cv2.norm(channel, cv2.NORM_L2SQR) for channel in cv2.split(image)]
        self.count += image.shape[0] * image.shape[1]
        self.total += np.array(cv2.sumElems(image)[:3]) / 255.0
        self.total_squares += np.array(squares) / 255.0**2

    @classmethod
    def of(cls, image: np.ndarray) -> ImageStatistics:
        """Return the statistics of one image, (H, W, 3) uint8."""
        statistics = cls()
        statistics.update(image)
        return statistics

    def __iadd__(self, other: ImageStatistics) -> ImageStatistics:
        self.count += other.count
        self.total += other.total
        self.total_squares += other.total_squares
        return self

    def to_json(self) -> dict:
        """Return the sums as plain numbers, for `from_json`."""
        return {
            "count": self.count,
            "total": self.total.tolist(),
            "total_squares": self.total_squares.tolist(),
        }

    @classmethod
    def from_json(cls, sums: Mapping) -> ImageStatistics:
        """Return the statistics of the result of `to_json`."""
        return cls(
            sums["count"], np.array(sums["total"]), np.array(sums["total_squares"])
        )

    def result(self) -> dict[str, list[float]]:
        """Return `{"mean": [r, g, b], "std": [r, g, b]}` in units of 0..1.

        `std` is at least one grey level, 1/255: a plate of one colour, such as a green
        screen, must not cause a division by zero.
        """
        mean = self.total / self.count
        variance = np.maximum(self.total_squares / self.count - np.square(mean), 0.0)
        return {
            "mean": mean.tolist(),
            "std": np.maximum(np.sqrt(variance), 1 / 255).tolist(),
        }
