"""Samples of a layout as checked examples, decoded on all cores in a fixed order."""

from __future__ import annotations

import collections
import concurrent.futures
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.original_layout.reader import Layout
from keras_depthseg.datasets.records import Example
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks


class Plate(NamedTuple):
    """What is kept of a decoded background: height and width, and its statistics."""

    size: tuple[int, int]
    statistics: ImageStatistics


class ExampleReader:
    """Reads and checks samples; a background is decoded once, however often it is used.

    Files are read by the calling thread and decoded by as many threads as there are
    cores (Pillow and NumPy release the GIL), with a few samples in flight.
    """

    def __init__(self, layout: Layout, depth_dtype: type):
        """
        Args:
            layout: the source.
            depth_dtype: `np.uint8` or `np.uint16`, what every depth picture must be.
        """
        self._layout = layout
        self._depth_dtype = depth_dtype
        self._backgrounds: dict[str, concurrent.futures.Future[Plate]] = {}

    def examples(self, samples: Iterable[tables.MapRow]) -> Iterator[Example]:
        """Yields an example for each sample, in the order given.

        Raises:
            UserError: the first picture or box that cannot be used; see `images`.
        """
        workers = os.cpu_count() or 1
        pending: collections.deque[concurrent.futures.Future[Example]] = (
            collections.deque()
        )
        with (
            self._layout,
            concurrent.futures.ThreadPoolExecutor(workers) as pool,
        ):
            try:
                for task in self._tasks(samples, pool):
                    pending.append(pool.submit(self._example, *task))
                    if len(pending) > 4 * workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _tasks(
        self, samples: Iterable[tables.MapRow], pool: concurrent.futures.Executor
    ) -> Iterator[tuple]:
        name, bg = None, ("", b"")
        for sample in samples:
            if sample.bg != name:
                name, bg = sample.bg, self._layout.read("bg", sample)
            if name not in self._backgrounds:
                # Queued before the samples that wait for it, so they cannot block it.
                self._backgrounds[name] = pool.submit(_background, *bg)
            pictures = {
                field: self._layout.read(field, sample)
                for field in ("fg_bg", "mask", "depth")
            }
            yield sample, self._backgrounds[name], {"bg": bg, **pictures}

    def _example(
        self,
        sample: tables.MapRow,
        background: concurrent.futures.Future[Plate],
        pictures: dict[str, tuple[str, bytes]],
    ) -> Example:
        """Decodes and checks one sample; runs in a worker thread."""
        bg = background.result()
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
            if size != bg.size:
                raise UserError(
                    f"{where[field]}: received {_shown(size)}, but {where['bg']} is "
                    f"{_shown(bg.size)}; the four pictures of a sample must have one "
                    "size. Resize or replace one of them."
                )
        features = {
            **data,
            "sample_id": sample.fg_bg,
            "bg_id": sample.bg_id,
            "fg_id": sample.fg_id,
            "box": self._box(sample, mask),
        }
        return Example(features, bg.statistics, ImageStatistics.of(fg_bg))

    def _check_depth_bits(self, data: bytes, where: str) -> None:
        received = checks.bits_per_channel(data)
        expected = 8 * np.dtype(self._depth_dtype).itemsize
        if received != expected:
            raise UserError(
                f"{where}: received depth of {received} bit, expected {expected} bit "
                "like the rest of the data set. Convert the picture, or, if all have "
                f"{received} bit, pass ModestConfig(depth_dtype='uint{received}')."
            )

    def _box(self, sample: tables.MapRow, mask: np.ndarray) -> tfds.features.BBox:
        """The foreground's box in fractions of the picture, from the label or mask."""
        height, width = mask.shape
        if self._layout.boxes is None:
            # JPEG leaves faint noise around the foreground: only what is more opaque
            # than not counts. An empty mask has an empty box.
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


def _background(where: str, data: bytes) -> Plate:
    image = checks.decode_colour(data, where)
    return Plate(image.shape[:2], ImageStatistics.of(image))


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]} pixels"
