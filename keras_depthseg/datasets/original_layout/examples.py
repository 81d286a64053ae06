"""Checked examples of a layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets.building.shards import Finding, Shard
from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.original_layout.depth import turned
from keras_depthseg.datasets.original_layout.doubts import doubt_of_mask, thumbnail
from keras_depthseg.datasets.original_layout.masks import decode_mask, opacity
from keras_depthseg.datasets.original_layout.pictures import (
    decode_map,
    decode_photograph,
)
from keras_depthseg.datasets.original_layout.reader import Layout
from keras_depthseg.datasets.records import Example
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import encode
from keras_depthseg.pictures.inversion import OPAQUE
from keras_depthseg.pictures.orientation import Oriented


class _Background(NamedTuple):
    """What is kept of a background, however many samples use it."""

    oriented: Oriented
    statistics: ImageStatistics
    thumbnail: np.ndarray
    rewritten: bool


class Decoded(NamedTuple):
    """A sample whose pictures were decoded and checked.

    Attributes:
        example: for the records.
        mask: (H, W) uint8.
        depth: (H, W), larger is farther.
        doubts: one line each.
    """

    example: Example
    mask: np.ndarray
    depth: np.ndarray
    doubts: list[str]


class ExampleReader:
    """Reads and checks samples. Can be used by several threads at once, and pickled."""

    def __init__(
        self, layout: Layout, depth_dtype: type, larger: str, opaque: Mapping[int, int]
    ):
        """
        Args:
            layout: the source.
            depth_dtype: `np.uint8` or `np.uint16`, the type of every depth picture.
            larger: what a larger number of depth pictures means, `"farther"` or
                `"nearer"`.
            opaque: from `masks.opaque_values`.
        """
        self._arguments = layout, depth_dtype, larger, opaque
        self._layout = layout
        self._depth_dtype = depth_dtype
        self._larger = larger
        self._opaque = opaque
        self._backgrounds: dict[str, _Background] = {}

    def __reduce__(self):
        return ExampleReader, self._arguments

    def decode(self, sample: tables.MapRow) -> Decoded:
        """Read, decode and check one sample.

        Raises:
            UserError: a picture or the box cannot be used.
        """
        where, data = {}, {}
        for field in ("bg", "fg_bg", "mask", "depth"):
            where[field], data[field] = self._layout.read(field, sample)
        bg, data["bg"] = self._background(sample.bg, where["bg"], data["bg"])
        fg_bg, data["fg_bg"], picture = decode_photograph(data["fg_bg"], where["fg_bg"])
        if fg_bg.shape[:2] != bg.oriented.shape:
            raise UserError(
                f"{where['fg_bg']}: received {picture}, but {where['bg']} is "
                f"{bg.oriented}; the four pictures of a sample must have one size. "
                "Resize or replace one of them."
            )
        levels = decode_mask(data["mask"], where["mask"], picture)
        mask, data["mask"] = opacity(levels, self._opaque)
        depth, data["depth"] = self._depth(data["depth"], where["depth"], picture)
        features = {
            **data,
            "sample_id": sample.fg_bg,
            "bg_id": sample.bg_id,
            "fg_id": sample.fg_id,
            "box": self._box(sample, mask, where["mask"], levels.peak.is_jpeg),
        }
        doubt = doubt_of_mask(bg.thumbnail, thumbnail(fg_bg), mask)
        return Decoded(
            Example(features, bg.statistics, ImageStatistics.of(fg_bg)),
            mask,
            depth,
            [f"{where['mask']}: {doubt}"] if doubt else [],
        )

    def _background(
        self, name: str, where: str, data: bytes
    ) -> tuple[_Background, bytes]:
        """Return what is kept of a background, which is decoded once; and its bytes."""
        found = self._backgrounds.get(name)
        if found is None:
            # Two threads may both decode it: they find the same.
            pixels, stored, oriented = decode_photograph(data, where)
            statistics = ImageStatistics.of(pixels)
            found = _Background(
                oriented, statistics, thumbnail(pixels), stored is not data
            )
            self._backgrounds[name] = found
        # Not kept: there may be thousands of large ones.
        stored = decode_photograph(data, where).data if found.rewritten else data
        return found, stored

    def _depth(
        self, data: bytes, where: str, picture: Oriented
    ) -> tuple[np.ndarray, bytes]:
        """Return depth, larger is farther, and the bytes to store."""
        levels, single = decode_map(data, where, picture, "Save it in greyscale")
        if levels.dtype != self._depth_dtype:
            received, expected = (
                8 * np.dtype(dtype).itemsize
                for dtype in (levels.dtype, self._depth_dtype)
            )
            raise UserError(
                f"{where}: received depth of {received} bit, expected {expected} bit "
                "like the rest of the data set. Convert the picture, or, if all have "
                f"{received} bit, pass `depth_dtype`='uint{received}'."
            )
        if self._larger == "nearer":
            levels, single = turned(levels), False
        return levels, data if single else encode.encode_levels(levels)

    def _box(
        self, sample: tables.MapRow, mask: np.ndarray, where: str, is_jpeg: bool
    ) -> tfds.features.BBox:
        """Return the foreground's box in fractions of the picture, from label or mask.

        Without any foreground it is 0, 0, 0, 0.
        """
        height, width = mask.shape
        extent = _extent(mask, is_jpeg)
        box = self._layout.box(sample)
        if box is None:
            left, top, right, bottom = extent or (0, 0, 0, 0)
        else:
            left, right = box.x, box.x + box.width
            top, bottom = box.y, box.y + box.height
            self._check_box(box, mask.shape)
            is_empty = not (box.width and box.height)
            if is_empty != (extent is None):
                received = "an empty box" if is_empty else "a box"
                there = "has foreground" if is_empty else "is black"
                raise UserError(
                    f"{self._layout.root / tables.LABELS}, line {box.line}: received "
                    f"{received}, but {where} {there}; expected a box around the "
                    "foreground, or 0, 0, 0, 0 without any. Correct the line, or remove "
                    "the file to have the boxes computed from the masks."
                )
            if is_empty:
                left = top = right = bottom = 0
        return tfds.features.BBox(
            float(top / height),
            float(left / width),
            float(bottom / height),
            float(right / width),
        )

    def _check_box(self, box: tables.Box, shape: tuple[int, int]) -> None:
        right, bottom = box.x + box.width, box.y + box.height
        if bottom > shape[0] or right > shape[1]:
            raise UserError(
                f"{self._layout.root / tables.LABELS}, line {box.line}: received a box "
                f"that ends at x={right:g}, y={bottom:g}, outside the picture "
                f"({_shown(shape)}); it must lie inside. Correct the line, or remove the "
                "file to have the boxes computed from the masks."
            )


def _extent(mask: np.ndarray, is_jpeg: bool) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the foreground; `None` without any.

    JPEG leaves faint noise around the foreground: only pixels more opaque than
    transparent count. A PNG may have a foreground that is faint everywhere.
    """
    opaque = mask > OPAQUE
    if not is_jpeg and not opaque.any():
        opaque = mask > 0
    rows = np.flatnonzero(opaque.any(axis=1))
    columns = np.flatnonzero(opaque.any(axis=0))
    if not len(rows):
        return None
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]} pixels"


@dataclasses.dataclass(frozen=True, eq=False)
class LayoutShard(Shard):
    """Some samples of a split."""

    reader: ExampleReader
    samples: Sequence[tables.MapRow]

    def __len__(self) -> int:
        return len(self.samples)

    def examples(self) -> Iterator[Example | Finding]:
        """Yield the samples, and why some are doubtful or left out."""
        for sample in self.samples:
            try:
                decoded = self.reader.decode(sample)
            except UserError as error:
                yield Finding(sample.fg_bg, str(error), left_out=True)
                continue
            for doubt in decoded.doubts:
                yield Finding(sample.fg_bg, doubt, left_out=False)
            yield decoded.example
