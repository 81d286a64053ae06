"""A background with its depth: what a cutout is put into."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np

from keras_depthseg.datasets.composites import ground
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.pictures import encode
from keras_depthseg.pictures.row_jpeg import RowJpeg


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A background.

    Attributes:
        bg: (H, W, 3) uint8 RGB, H = W.
        encoded: `bg` as it goes into every record.
        jpeg: the same, if it is a JPEG; `None` if it is a PNG.
        depth: (H, W) float32 in [0, 1], larger = farther, 0 where nothing is known;
            `None` without depth.
    """

    bg: np.ndarray
    encoded: bytes
    depth: np.ndarray | None = None
    jpeg: RowJpeg | None = None

    @classmethod
    def of(cls, bg: np.ndarray, depth: np.ndarray | None, lossless: bool) -> Scene:
        """A scene of a picture; what is stored of it is a JPEG, or `lossless` a PNG."""
        jpeg = None if lossless else RowJpeg(bg)
        encoded = encode.encode_colour(bg, lossless) if jpeg is None else jpeg.data
        # As every reader will see it, so that nothing differs outside the foreground.
        stored = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        return cls(stored, encoded, depth, jpeg)

    def encode(self, fg_bg: np.ndarray, top: int, bottom: int) -> bytes:
        """A composite as it goes into its record, encoded like `bg`.

        Args:
            fg_bg: (H, W, 3) uint8 RGB, equal to `bg` outside rows `top` to `bottom`.
        """
        if self.jpeg is None:
            return encode.encode_colour(fg_bg, lossless=True)
        return self.jpeg.with_rows(fg_bg, top, bottom)

    @functools.cached_property
    def statistics(self) -> ImageStatistics:
        return ImageStatistics.of(self.bg)

    @functools.cached_property
    def surfaces(self) -> np.ndarray:
        """`depth` with its holes filled, (H, W) float32: what may hide a cutout.

        A hole takes the depth of the nearest known pixel: sensors lose the edges of
        things and what shines, and both are mostly as far as what is beside them.
        """
        known = self.depth > 0
        if known.all():
            return self.depth
        _, labels = cv2.distanceTransformWithLabels(
            (~known).astype(np.uint8),
            cv2.DIST_L2,
            cv2.DIST_MASK_5,
            labelType=cv2.DIST_LABEL_PIXEL,
        )
        of_label = np.zeros(labels.max() + 1, np.float32)
        of_label[labels[known]] = self.depth[known]
        return of_label[labels]

    @functools.cached_property
    def ground(self) -> np.ndarray:
        """Pixels to stand on, (N, 2) rows and columns."""
        return np.argwhere(ground.find_ground(self.depth)).astype(np.int16)

    @functools.cached_property
    def usual_depth(self) -> float:
        """Of the ground, the median: where a cutout has its usual height."""
        rows, columns = self.ground.T
        return float(np.median(self.depth[rows, columns]))
