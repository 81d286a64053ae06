"""The TensorFlow Datasets builder of `rooms`: rendered composites with metric depth."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building.clean_builder import prepare
from keras_depthseg.datasets.building.sharded import ShardedBuilder
from keras_depthseg.datasets.building.shards import Shard, parts, shard_count
from keras_depthseg.datasets.rooms import cutouts, geometry, plan, render, scene
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import encode

DEFAULT_SAMPLES = 1200

SCALE = geometry.FAR
"""Metres at the full scale of the stored depth."""

MOST_PARALLAX = 10.0
"""In centimetres; the camera is at least 15 from every wall."""

# Of a room of 224 pixels this keeps about 1 MB. Splits and shards share them.
_room = functools.lru_cache(160)(scene.make_room)
_cutout = functools.lru_cache(256)(cutouts.make_cutout)

_ORDER = 5
"""Keeps the random stream of a shard's order apart from those of `plan` and `render`."""


@dataclasses.dataclass(eq=False)
class RoomsConfig(tfds.core.BuilderConfig):
    """The configuration of a data set of rooms.

    Attributes:
        num_samples: in all splits together; one room and one cutout for every eight.
        size: height and width of the images, in pixels.
        seed: the same seed gives the same records.
        workers: threads that render; `None` takes one for each core. The records do
            not depend on the number.
        parallax: centimetres that the camera of `bg` has moved, `MOST_PARALLAX` at most.
    """

    num_samples: int = DEFAULT_SAMPLES
    size: int = 224
    seed: int = 0
    workers: int | None = None
    parallax: float = 0.0

    def __post_init__(self):
        if self.num_samples < 1:
            raise ValueError(
                "a data set of rooms needs samples. "
                f"Received: num_samples={self.num_samples!r}. "
                "Accepted: 1 or more. Pass e.g. num_samples=1200."
            )
        if self.size < 1:
            raise ValueError(
                "the pictures need a size in pixels. "
                f"Received: size={self.size!r}. "
                "Accepted: 1 or more. Pass e.g. size=128."
            )
        if self.seed < 0:
            raise ValueError(
                "random streams start from a non-negative integer. "
                f"Received: seed={self.seed!r}. Accepted: 0 or more. Pass e.g. seed=0."
            )
        if not 0 <= self.parallax <= MOST_PARALLAX:
            raise ValueError(
                "the camera has to stay in the room. "
                f"Received: parallax={self.parallax!r}. "
                f"Accepted: 0 to {MOST_PARALLAX:g} centimetres. Pass e.g. parallax=2."
            )


def build(
    data_dir: Path | str,
    *,
    num_samples: int = DEFAULT_SAMPLES,
    size: int = 224,
    seed: int = 0,
    parallax: float = 0.0,
) -> Path:
    """Render a data set, or find the finished one.

    Args:
        data_dir: the folder of data sets; created if missing.
        num_samples: in all splits together; at least 60, so that no split is empty.
        size: height and width of the images, in pixels.
        seed: the same seed gives the same records.
        parallax: centimetres that the camera of `bg` has moved, `MOST_PARALLAX` at most.

    Returns:
        The folder that `tfds.builder_from_directory` opens.

    Raises:
        UserError: an argument or the folder cannot be used.
    """
    if num_samples < 60:
        raise UserError(
            f"rooms: received {num_samples} samples; at least 60 are needed for every "
            "split to have some, for instance rooms:240."
        )
    if not 0 <= parallax <= MOST_PARALLAX:
        raise UserError(
            f"rooms: received parallax={parallax:g}; accepted: 0 to {MOST_PARALLAX:g} "
            "centimetres, for instance rooms:240,parallax=2."
        )
    moved = f"_parallax{parallax:g}cm" if parallax else ""
    config = RoomsConfig(
        name=f"{num_samples}x{size}px_seed{seed}{moved}",
        num_samples=num_samples,
        size=size,
        seed=seed,
        parallax=parallax,
    )
    return prepare(Builder, config, data_dir)


class Builder(ShardedBuilder):
    """Builder of the data set `rooms`; nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}

    @property
    def _config(self) -> RoomsConfig:
        return self.builder_config or RoomsConfig(name="default")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.sample_features(np.uint16),
            metadata=records.sample_metadata(
                records.DepthMetadata(unit="metre", scale=SCALE)
            ),
            supervised_keys=None,
        )

    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        del dl_manager  # everything is rendered here
        config = self._config
        groups = plan.splits(
            plan.planned_samples(config.num_samples, config.seed), config.seed
        )
        return {
            name: [
                _RoomsShard(config.seed, config.size, config.parallax, index, tuple(part))
                # The samples of a room stay together, so that it is rendered once.
                for index, part in enumerate(parts(group, shard_count(len(group))))
            ]
            for name, group in groups.items()
        }


@dataclasses.dataclass(frozen=True)
class _RoomsShard(Shard):
    """Some rooms of a split, with their samples."""

    seed: int
    size: int
    parallax: float
    index: int
    samples: tuple[plan.RoomSample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def examples(self) -> Iterator[records.Example]:
        rng = np.random.default_rng([self.seed, _ORDER, self.index])
        for number in rng.permutation(len(self.samples)):
            sample = self.samples[number]
            composite = render.make_composite(
                _room(self.seed, sample.room, self.size, self.parallax),
                _cutout(self.seed, sample.cutout, self.size),
                self.seed,
                sample.index,
            )
            ymin, xmin, ymax, xmax = map(float, composite.box)
            yield records.Example(
                {
                    # Linear in metres, 65,535 at `SCALE`.
                    "depth": encode.encode_depth(composite.depth / SCALE),
                    "bg": encode.encode_colour(composite.bg),
                    "fg_bg": encode.encode_colour(composite.fg_bg),
                    "mask": encode.encode_mask(composite.mask),
                    "sample_id": sample.sample_id,
                    "bg_id": sample.bg_id,
                    "fg_id": sample.fg_id,
                    "box": tfds.features.BBox(ymin, xmin, ymax, xmax),
                },
                ImageStatistics.of(composite.bg),
                ImageStatistics.of(composite.fg_bg),
            )
