"""The numbers and pictures of a data card, collected in one pass over the records."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.building.jobs import in_threads
from keras_depthseg.datasets.inspection.damage import in_words, without_remedy
from keras_depthseg.datasets.inspection.levels import Levels
from keras_depthseg.datasets.inspection.sample_checks import cutout, decode
from keras_depthseg.datasets.inspection.stored_records import read_shard
from keras_depthseg.datasets.opening import Records
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.datasets.stored_sample import StoredSample, parse
from keras_depthseg.errors import UserError
from keras_depthseg.pictures.headers import stored_shape
from keras_depthseg.pictures.near_duplicates import picture_hash

HEAT_SIDE = 56
AREA_BINS = 50
BOX_BINS = 40
THUMBNAIL_SIDE = 96

_GRID = 12
_ROWS_A_SPLIT = 3


class Draw:
    """A few names of many, drawn by seed and name, each with one of its samples.

    The order in which samples are offered has no effect.
    """

    def __init__(self, count: int, seed: int):
        self._count = count
        self._seed = seed
        self._kept: dict[tuple[str, str], tuple[str, StoredSample]] = {}

    def offer(self, name: str, sample: StoredSample) -> None:
        """Draw the name and the sample, or leave them out."""
        key = self._rank(name), name
        rank = self._rank(name, sample.sample_id)
        if key not in self._kept or rank < self._kept[key][0]:
            self._kept[key] = rank, sample
            if len(self._kept) > self._count:
                del self._kept[max(self._kept)]

    def drawn(self) -> list[tuple[str, StoredSample]]:
        """Return names and samples, by name."""
        pairs = ((name, sample) for (_, name), (_, sample) in self._kept.items())
        return sorted(pairs, key=lambda pair: pair[0])

    def _rank(self, *parts: str) -> str:
        text = "\0".join([str(self._seed), *parts])
        return hashlib.sha256(text.encode()).hexdigest()


class Portrait(NamedTuple):
    """The hash and a small JPEG of a background or a cutout."""

    hash: np.ndarray
    jpeg: bytes


@dataclasses.dataclass
class Collected:
    """The contents of a data card.

    Attributes:
        levels: by field; `bg` over distinct backgrounds, `depth` over measured pixels.
        unmeasured: share of the pixels of metric depth that are 0, no measurement.
        sizes: samples by (width, height) in pixels.
        bg_ids, fg_ids: identities by split.
        distinct_backgrounds: different encoded pictures among `bg`.
        heat: (56, 56) mean mask, 0..1, every picture stretched to a square.
        areas: (50,) samples by mean mask, over 0..1.
        boxes: (40, 40) samples by the box's height and width, over 0..1.
        backgrounds, cutouts: portraits by id, of the first sample that shows them.
        drawn_backgrounds, drawn_cutouts, drawn_samples, drawn_by_split: for pictures.
    """

    levels: dict[str, Levels]
    unmeasured: float
    sizes: collections.Counter
    bg_ids: dict[str, set[str]]
    fg_ids: dict[str, set[str]]
    distinct_backgrounds: int
    heat: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray
    backgrounds: dict[str, Portrait]
    cutouts: dict[str, Portrait]
    drawn_backgrounds: Draw
    drawn_cutouts: Draw
    drawn_samples: Draw
    drawn_by_split: dict[str, Draw]


def collect(data_set: Records, seed: int) -> Collected:
    """Read every record once, a few in memory at a time, decoding on all cores.

    Args:
        data_set: an opened data set.
        seed: of the drawn samples.

    Raises:
        UserError: a shard or a record is damaged.
    """
    return _Collection(data_set, seed).run()


class _Look(NamedTuple):
    """The contribution of one sample."""

    split: str
    sample: StoredSample
    levels: dict[str, Levels]
    size: tuple[int, int]
    mask: np.ndarray
    area: float
    bg: Portrait | None
    fg: Portrait | None


class _Collection:
    def __init__(self, data_set: Records, seed: int):
        self.data_set = data_set
        self.metric = data_set.depth.get("unit") == "metre"
        self.digests: set[bytes] = set()
        self.result = Collected(
            levels={field: self._levels(field) for field in self._fields()},
            unmeasured=0.0,
            sizes=collections.Counter(),
            bg_ids={split: set() for split in data_set.splits},
            fg_ids={split: set() for split in data_set.splits},
            distinct_backgrounds=0,
            heat=np.zeros((HEAT_SIDE, HEAT_SIDE)),
            areas=np.zeros(AREA_BINS, int),
            boxes=np.zeros((BOX_BINS, BOX_BINS), int),
            backgrounds={},
            cutouts={},
            drawn_backgrounds=Draw(_GRID, seed),
            drawn_cutouts=Draw(_GRID, seed),
            drawn_samples=Draw(_GRID, seed),
            drawn_by_split={
                split: Draw(_ROWS_A_SPLIT, seed) for split in data_set.splits
            },
        )

    def run(self) -> Collected:
        result = self.result
        for look in in_threads(self._look, self._tasks()):
            self._add(look)
        result.distinct_backgrounds = len(self.digests)
        result.heat /= max(sum(result.sizes.values()), 1)
        if self.metric and "depth" in result.levels:
            counts = result.levels["depth"].counts
            result.unmeasured = counts[0, 0] / max(counts.sum(), 1)
            counts[0, 0] = 0
        return result

    def _fields(self) -> list[str]:
        return [field for field in IMAGE_FIELDS if field in self.data_set.features]

    def _levels(self, field: str) -> Levels:
        if field == "depth" and self.data_set.depth_dtype is not None:
            return Levels(1, self.data_set.depth_dtype)
        return Levels(1 if field == "mask" else 3)

    def _tasks(self) -> Iterator[tuple]:
        for shard in self.data_set.shards():
            number = -1
            try:
                for number, record in enumerate(read_shard(shard.path)):
                    sample = parse(record, self.data_set.features)
                    digest = hashlib.sha256(sample.bg).digest()
                    new = digest not in self.digests
                    self.digests.add(digest)
                    yield shard.split, sample, f"{shard.name} record {number}", new
            except tf.errors.OpError as error:
                line = f"{shard.name} record {number + 1}: it is missing or damaged"
                raise self._damaged(line) from error
            except ValueError as error:
                line = f"{shard.name} record {number}: {error}"
                raise self._damaged(line) from error

    def _damaged(self, line: str) -> UserError:
        return UserError(in_words(self.data_set.path, [line]))

    def _look(self, split: str, sample: StoredSample, where: str, new: bool) -> _Look:
        """Decode one sample. Runs in a worker thread."""
        try:
            return self._looked(split, sample, where, new)
        except UserError as error:
            raise self._damaged(without_remedy(error)) from error

    def _looked(self, split: str, sample: StoredSample, where: str, new: bool) -> _Look:
        def picture(field: str) -> np.ndarray:
            return decode(sample, field, where, self.data_set.depth_dtype)

        known = self.result
        show_bg = sample.bg_id not in known.backgrounds
        show_fg = sample.fg_id is not None and sample.fg_id not in known.cutouts
        pictures = {field: picture(field) for field in self._fields() if field != "bg"}
        bg = picture("bg") if new or show_bg else None
        if bg is not None and new:
            pictures["bg"] = bg
        levels = {field: self._levels(field) for field in pictures}
        for field, counts in levels.items():
            counts.update(pictures[field])
        mask = pictures["mask"]
        height, width = mask.shape
        if any(picture.shape[:2] != mask.shape for picture in pictures.values()) or (
            stored_shape(sample.bg) != mask.shape
        ):
            raise UserError(f"{where}: its pictures differ in size")
        # A cutout is shown even if it is too small to be compared by `validate`.
        crop = cutout(pictures["fg_bg"], mask) if show_fg else None
        return _Look(
            split=split,
            sample=sample,
            levels=levels,
            size=(width, height),
            mask=cv2.resize(mask, (HEAT_SIDE, HEAT_SIDE), interpolation=cv2.INTER_AREA),
            area=float(mask.mean() / 255),
            bg=_portrait(bg) if bg is not None and show_bg else None,
            fg=_portrait(crop) if crop is not None and crop.size else None,
        )

    def _add(self, look: _Look) -> None:
        result, sample = self.result, look.sample
        for field, levels in look.levels.items():
            result.levels[field].counts += levels.counts
        result.sizes[look.size] += 1
        result.heat += look.mask / 255
        result.areas[_bin(look.area, AREA_BINS)] += 1
        if sample.box is not None:
            top, left, bottom, right = sample.box
            result.boxes[_bin(bottom - top, BOX_BINS), _bin(right - left, BOX_BINS)] += 1
        result.bg_ids[look.split].add(sample.bg_id)
        result.drawn_backgrounds.offer(sample.bg_id, sample)
        if look.bg is not None:
            result.backgrounds.setdefault(sample.bg_id, look.bg)
        if sample.fg_id is not None:
            result.fg_ids[look.split].add(sample.fg_id)
            result.drawn_cutouts.offer(sample.fg_id, sample)
            if look.fg is not None:
                result.cutouts.setdefault(sample.fg_id, look.fg)
        result.drawn_samples.offer(sample.sample_id, sample)
        result.drawn_by_split[look.split].offer(sample.sample_id, sample)


def _portrait(image: np.ndarray) -> Portrait:
    return Portrait(picture_hash(image), small_jpeg(image, THUMBNAIL_SIDE))


def small_jpeg(image: np.ndarray, side: int) -> bytes:
    """Return an image as a JPEG whose longer side is at most `side` pixels.

    Args:
        image: (H, W, 3) RGB or (H, W), uint8.
        side: in pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if image.ndim == 3:
        image = np.ascontiguousarray(image[..., ::-1])
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 85))
    return data.tobytes()


def _bin(value: float, bins: int) -> int:
    return min(max(int(value * bins), 0), bins - 1)
