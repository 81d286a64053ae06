"""A sample that is made while training, and its place in a batch."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """A sample that is not stored.

    Attributes:
        bg, fg_bg: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 255 times the visible opacity of all cutouts together.
        depth: (H, W) float32 in [0, 1], larger = farther, 0 where unknown; `None`
            without depth.
        sample_id: unique.
        bg_id, fg_id: of the background and the first cutout, as in records; the latter
            also of an empty pair.
        box: (4,) float32 ymin, xmin, ymax, xmax of mask > 0 as shares of the sides; all
            0 for an empty pair.
    """

    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    sample_id: str
    bg_id: str
    fg_id: str
    box: np.ndarray

    def write(self, images: np.ndarray, labels: np.ndarray, box: np.ndarray) -> None:
        """Write it into its place in a batch.

        Args:
            images: for `bg` and `fg_bg`, (2, H, W, 3) uint8.
            labels: for `mask` and `depth`, (2, H, W, 1) float32, in [0, 1].
            box: (4,).
        """
        images[0], images[1] = self.bg, self.fg_bg
        np.divide(self.mask[..., None], np.float32(255), out=labels[0])
        labels[1] = 0 if self.depth is None else self.depth[..., None]
        box[:] = self.box
