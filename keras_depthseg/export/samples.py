"""Samples to check an exported network with, and to calibrate its integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np

from keras_depthseg.datasets.inspection.damage import naming_damage
from keras_depthseg.datasets.locate import locate_records
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.datasets.rooms.endless import SAMPLES_A_ROOM, EndlessRooms
from keras_depthseg.files import default_cache_dir
from keras_depthseg.pipeline import make_pipeline

_ROOMS = "rooms"
# Rendered while exporting: four samples of a room, instead of all.
_OF_A_ROOM = 4


@dataclasses.dataclass(frozen=True, eq=False)
class ExportSample:
    """A pair of images and its truth.

    Attributes:
        bg, fg_bg: (H, W, 3) uint8, RGB.
        mask: (H, W) float32 in [0, 1].
        depth: (H, W) float32 in [0, 1], 0 where unknown.
    """

    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray

    def resized(self, height: int, width: int) -> ExportSample:
        """Return it at another size."""
        size = width, height
        if self.mask.shape == (height, width):
            return self
        bg, fg_bg = (
            cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in self.images
        )
        return ExportSample(
            bg,
            fg_bg,
            cv2.resize(self.mask, size, interpolation=cv2.INTER_AREA),
            cv2.resize(self.depth, size, interpolation=cv2.INTER_NEAREST),
        )

    @property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """`bg` and `fg_bg`."""
        return self.bg, self.fg_bg

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """The images by name as a network takes them: (1, H, W, 3) float32 in 0..255."""
        return {
            name: image[None].astype(np.float32)
            for name, image in zip(("bg", "fg_bg"), self.images, strict=True)
        }


def read_samples(
    data: str, split: str, count: int, height: int, width: int
) -> list[ExportSample]:
    """Return samples of a split at a size; the same for the same arguments.

    Args:
        data: as for `locate_records`; `rooms` renders a few.
        split: `train` or `val`.
        count: at most so many.
        height, width: in pixels.

    Raises:
        UserError: the data cannot be used.
    """
    side = max(height, width)
    made = _rendered if data == _ROOMS else _stored
    return [sample.resized(height, width) for sample in made(data, split, count, side)]


def _rendered(_: str, split: str, count: int, side: int) -> Iterator[ExportSample]:
    rooms = EndlessRooms(seed=0, size=side)
    for number in range(count):
        room, place = divmod(number, _OF_A_ROOM)
        sample = rooms.sample(split, room * SAMPLES_A_ROOM + place)
        depth = np.zeros(sample.mask.shape) if sample.depth is None else sample.depth
        yield ExportSample(
            sample.bg,
            sample.fg_bg,
            sample.mask / np.float32(255),
            depth.astype(np.float32),
        )


def _stored(data: str, split: str, count: int, side: int) -> Iterator[ExportSample]:
    records = open_records(locate_records(data, default_cache_dir()))
    batches = make_pipeline(
        records,
        split if records.splits.get(split) else next(iter(records.splits)),
        resolution=side,
        batch_size=1,
        shuffle=True,
        epoch=0,
        samples=count,
        unknown_depth=True,
    )
    with naming_damage([records]):
        for inputs, labels in batches:
            yield ExportSample(
                *(inputs[name].numpy()[0] for name in ("bg", "fg_bg")),
                *(labels[name].numpy()[0, ..., 0] for name in ("mask", "depth")),
            )
