"""A cutout's picture, ready to be composed."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """Colours and opacity, apart, as OpenCV works on them.

    Attributes:
        colour: (h, w, 3) uint8 RGB, multiplied by opacity.
        alpha: (h, w) uint8, opacity.
    """

    colour: np.ndarray
    alpha: np.ndarray

    @classmethod
    def of(cls, rgba: np.ndarray) -> Layer:
        """Of (h, w, 4) uint8, colours not multiplied by opacity."""
        opacity = rgba[..., 3:] / np.float32(255)
        colour = np.round(rgba[..., :3] * opacity).astype(np.uint8)
        return cls(colour, np.ascontiguousarray(rgba[..., 3]))

    @property
    def height(self) -> int:
        return self.alpha.shape[0]

    @property
    def width(self) -> int:
        return self.alpha.shape[1]

    def flipped(self) -> Layer:
        """Mirrored, left to right."""
        return Layer(cv2.flip(self.colour, 1), cv2.flip(self.alpha, 1))

    def resized(self, height: int, width: int) -> Layer:
        """At another size. Colours are multiplied already, as they must be for this:
        transparent pixels have colours of their own, often white."""
        if (height, width) == self.alpha.shape:
            return self
        shrinks = height < self.height
        kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        colour, alpha = (
            cv2.resize(picture, (width, height), interpolation=kind)
            for picture in (self.colour, self.alpha)
        )
        return Layer(colour, alpha)

    def fitted(self, height: int, width: int) -> Layer:
        """As high as `height`, or less where it would be wider than `width`."""
        scale = min(height / self.height, width / self.width)
        return self.resized(
            max(1, round(self.height * scale)), max(1, round(self.width * scale))
        )
