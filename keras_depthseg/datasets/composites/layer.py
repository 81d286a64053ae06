"""The image of a cutout: colours and opacity, ready to be pasted."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """Colours and opacity of a cutout, in two arrays as OpenCV needs them.

    Attributes:
        colour: (h, w, 3) uint8 RGB, multiplied by opacity.
        alpha: (h, w) uint8, opacity.
    """

    colour: np.ndarray
    alpha: np.ndarray

    @classmethod
    def of(cls, rgba: np.ndarray) -> Layer:
        """Return the layer of (h, w, 4) uint8 RGBA, colours not multiplied by opacity."""
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
        """Return it mirrored, left to right."""
        return Layer(cv2.flip(self.colour, 1), cv2.flip(self.alpha, 1))

    def resized(self, height: int, width: int) -> Layer:
        """Return it at another size.

        Colours are multiplied by opacity before: transparent pixels often have a loud
        colour, which would bleed over the edge.
        """
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
        """Return it `height` pixels high, or less where it were wider than `width`."""
        scale = min(height / self.height, width / self.width)
        return self.resized(
            max(1, round(self.height * scale)), max(1, round(self.width * scale))
        )
