"""A background with its depth, which cutouts are pasted into."""

from __future__ import annotations

import dataclasses
import functools
from typing import cast

import cv2
import numpy as np

from keras_depthseg.datasets.composites import ground
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.pictures import encode
from keras_depthseg.pictures.fill import fill_unknown
from keras_depthseg.pictures.row_jpeg import RowJpeg


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A background.

    Attributes:
        bg: (H, W, 3) uint8 RGB, H = W.
        encoded: `bg` as every record stores it; empty if it is not stored.
        jpeg: the same as `encoded` if that is a JPEG; `None` for a PNG.
        depth: (H, W) float32 in [0, 1], larger = farther, 0 where unknown; `None`
            without depth.
        filled: `depth` without holes, where that is known already; see `surfaces`.
    """

    bg: np.ndarray
    encoded: bytes = b""
    depth: np.ndarray | None = None
    jpeg: RowJpeg | None = None
    filled: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        bg: np.ndarray,
        depth: np.ndarray | None,
        lossless: bool,
        filled: np.ndarray | None = None,
    ) -> Scene:
        """Return the scene of an image; it is stored as JPEG, or `lossless` as PNG."""
        jpeg = None if lossless else RowJpeg(bg)
        encoded = encode.encode_colour(bg, lossless) if jpeg is None else jpeg.data
        # As every reader decodes it: outside the foreground nothing may differ.
        stored = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        # Never `None`, which OpenCV returns for damaged files.
        return cls(cast(np.ndarray, stored), encoded, depth, jpeg, filled)

    def encode(self, fg_bg: np.ndarray, top: int, bottom: int) -> bytes:
        """Return a composite as its record stores it, encoded like `bg`.

        Args:
            fg_bg: (H, W, 3) uint8 RGB, equal to `bg` outside rows `top` to `bottom`.
        """
        if self.jpeg is None:
            return encode.encode_colour(fg_bg, lossless=True)
        return self.jpeg.with_rows(fg_bg, top, bottom)

    @functools.cached_property
    def statistics(self) -> ImageStatistics:
        """Mean and standard deviation of `bg`."""
        return ImageStatistics.of(self.bg)

    @functools.cached_property
    def surfaces(self) -> np.ndarray:
        """`depth` with its holes filled, (H, W) float32: the surfaces that hide cutouts.

        A hole takes the depth of the nearest known pixel: depth cameras lose edges and
        shining things, and both are mostly as far as their surroundings.

        Raises:
            ValueError: the scene has no depth.
        """
        if self.filled is not None:
            return self.filled
        if self.depth is None:
            raise ValueError("a scene without depth has no surfaces.")
        return fill_unknown(self.depth, self.depth > 0)

    @functools.cached_property
    def ground(self) -> np.ndarray:
        """Pixels to stand on, (N, 2) int16 rows and columns; none without depth."""
        if self.depth is None:
            return np.zeros((0, 2), np.int16)
        return np.argwhere(ground.find_ground(self.depth)).astype(np.int16)

    @functools.cached_property
    def ground_depth(self) -> np.ndarray:
        """Depth of the pixels of `ground`, (N,) float32."""
        if self.depth is None:
            return np.zeros(0, np.float32)
        rows, columns = self.ground.T
        return self.depth[rows, columns]

    @functools.cached_property
    def usual_depth(self) -> float:
        """The median depth of the ground, at which a cutout has its usual height."""
        return float(np.median(self.ground_depth))
