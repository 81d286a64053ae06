"""Checked examples of a layout, decoded on all cores in a fixed order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets.building.jobs import in_threads
from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.original_layout.reader import Layout
from keras_depthseg.datasets.records import Example
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks


class _Background:
    """A background that is decoded once, however many samples use it."""

    def __init__(self, where: str, data: bytes):
        self.where = where
        self._data = data
        self._lock = threading.Lock()
        self._decoded: tuple[tuple[int, int], ImageStatistics] | None = None

    def decode(self) -> tuple[tuple[int, int], ImageStatistics]:
        """Return height and width, and the statistics."""
        with self._lock:
            if self._decoded is None:
                image = checks.decode_colour(self._data, self.where)
                self._decoded = image.shape[:2], ImageStatistics.of(image)
                self._data = b""
            return self._decoded


class ExampleReader:
    """Reads and checks samples.

    Files are read by the calling thread and decoded by as many threads as there are
    cores (Pillow and NumPy release the interpreter's lock), a few samples ahead.
    """

    def __init__(self, layout: Layout, depth_dtype: type):
        """
        Args:
            layout: the source.
            depth_dtype: `np.uint8` or `np.uint16`, the type of every depth picture.
        """
        self._layout = layout
        self._depth_dtype = depth_dtype
        self._backgrounds: dict[str, _Background] = {}

    def examples(self, samples: Iterable[tables.MapRow]) -> Iterator[Example]:
        """Yield an example for each sample, in the order given.

        Raises:
            UserError: the first picture or box that cannot be used; see
                `pictures.checks`.
        """
        with self._layout:
            yield from in_threads(self._example, self._tasks(samples))

    def _tasks(self, samples: Iterable[tables.MapRow]) -> Iterator[tuple]:
        name, bg = None, ("", b"")
        for sample in samples:
            if sample.bg != name:
                name, bg = sample.bg, self._layout.read("bg", sample)
            background = self._backgrounds.setdefault(sample.bg, _Background(*bg))
            pictures = {
                field: self._layout.read(field, sample)
                for field in ("fg_bg", "mask", "depth")
            }
            yield sample, background, {"bg": bg, **pictures}

    def _example(
        self,
        sample: tables.MapRow,
        background: _Background,
        pictures: dict[str, tuple[str, bytes]],
    ) -> Example:
        """Decode and check one sample. Runs in a worker thread."""
        bg_size, bg_statistics = background.decode()
        where = {field: place for field, (place, _) in pictures.items()}
        data = {field: content for field, (_, content) in pictures.items()}
        fg_bg = checks.decode_colour(data["fg_bg"], where["fg_bg"])
        mask, data["mask"] = checks.decode_single(data["mask"], where["mask"])
        self._check_depth_bits(data["depth"], where["depth"])
        depth, data["depth"] = checks.decode_single(
            data["depth"], where["depth"], self._depth_dtype
        )
        sizes = {"fg_bg": fg_bg.shape[:2], "mask": mask.shape, "depth": depth.shape}
        for field, size in sizes.items():
            if size != bg_size:
                raise UserError(
                    f"{where[field]}: received {_shown(size)}, but {where['bg']} is "
                    f"{_shown(bg_size)}; the four pictures of a sample must have one "
                    "size. Resize or replace one of them."
                )
        features = {
            **data,
            "sample_id": sample.fg_bg,
            "bg_id": sample.bg_id,
            "fg_id": sample.fg_id,
            "box": self._box(sample, mask),
        }
        return Example(features, bg_statistics, ImageStatistics.of(fg_bg))

    def _check_depth_bits(self, data: bytes, where: str) -> None:
        received = checks.bits_per_channel(data)
        expected = 8 * np.dtype(self._depth_dtype).itemsize
        if received != expected:
            raise UserError(
                f"{where}: received depth of {received} bit, expected {expected} bit "
                "like the rest of the data set. Convert the picture, or, if all have "
                f"{received} bit, pass `depth_dtype`='uint{received}'."
            )

    def _box(self, sample: tables.MapRow, mask: np.ndarray) -> tfds.features.BBox:
        """Return the foreground's box in fractions of the picture, from label or mask."""
        height, width = mask.shape
        if self._layout.boxes is None:
            # JPEG leaves faint noise around the foreground: only pixels more opaque
            # than transparent count. An empty mask has an empty box.
            rows = np.flatnonzero((mask > 127).any(axis=1))
            columns = np.flatnonzero((mask > 127).any(axis=0))
            if not len(rows):
                return tfds.features.BBox(0.0, 0.0, 0.0, 0.0)
            top, bottom = rows[0], rows[-1] + 1
            left, right = columns[0], columns[-1] + 1
        else:
            box = self._layout.boxes[sample.fg_bg]
            left, right = box.x, box.x + box.width
            top, bottom = box.y, box.y + box.height
            if right > width or bottom > height:
                raise UserError(
                    f"{self._layout.root / tables.LABELS}, line {box.line}: received a "
                    f"box that ends at x={right:g}, y={bottom:g}, outside the picture "
                    f"({_shown(mask.shape)}); it must lie inside. Correct the line, or "
                    "remove the file to have the boxes computed from the masks."
                )
        return tfds.features.BBox(
            float(top / height),
            float(left / width),
            float(bottom / height),
            float(right / width),
        )


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]} pixels"
