"""Rooms rendered by this package: composites with true metric depth."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building.sharded import ShardedBuilder
from keras_depthseg.datasets.building.shards import Shard, parts, shard_count
from keras_depthseg.datasets.rooms import cutouts, geometry, plan, render, scene
from keras_depthseg.pictures import encode

SCALE = geometry.FAR
"""Metres at the full scale of the stored depth."""

# Of a room of 224 pixels this keeps about 1 MB. Splits and shards share them.
_room = functools.lru_cache(160)(scene.make_room)
_cutout = functools.lru_cache(256)(cutouts.make_cutout)

_ORDER = 5
"""Keeps the random stream of a shard's order apart from those in `plan` and `render`."""


@dataclasses.dataclass(eq=False)
class RoomsConfig(tfds.core.BuilderConfig):
    """How many samples, how large, and from which random numbers.

    Attributes:
        num_samples: in all splits together; one room and one cutout for every eight.
        size: height and width of the pictures in pixels.
        seed: the same seed gives the same records.
        workers: threads that render; `None` takes one for each core. The records do
            not depend on it.
    """

    num_samples: int = 1200
    size: int = 224
    seed: int = 0
    workers: int | None = None

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


class Builder(ShardedBuilder):
    """Builds the data set `rooms`; nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        RoomsConfig(
            name="small", description="240 samples of 96 px.", num_samples=240, size=96
        ),
        RoomsConfig(
            name="medium",
            description="1,200 samples of 128 px.",
            num_samples=1200,
            size=128,
        ),
        RoomsConfig(
            name="large",
            description="6,000 samples of 224 px.",
            num_samples=6000,
            size=224,
        ),
    ]

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
        config = self.builder_config
        groups = plan.splits(plan.entries(config.num_samples, config.seed), config.seed)
        return {
            name: [
                _RoomsShard(config.seed, config.size, index, tuple(part))
                # The samples of a room stand together, so that it is rendered once.
                for index, part in enumerate(parts(group, shard_count(len(group))))
            ]
            for name, group in groups.items()
        }


@dataclasses.dataclass(frozen=True)
class _RoomsShard(Shard):
    """Some rooms of a split."""

    seed: int
    size: int
    index: int
    entries: tuple[plan.RoomSample, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def examples(self) -> Iterator[records.Example]:
        rng = np.random.default_rng([self.seed, _ORDER, self.index])
        for number in rng.permutation(len(self.entries)):
            entry = self.entries[number]
            composite = render.make_composite(
                _room(self.seed, entry.room, self.size),
                _cutout(self.seed, entry.cutout, self.size),
                self.seed,
                entry.index,
            )
            ymin, xmin, ymax, xmax = map(float, composite.box)
            yield records.Example(
                {
                    # Linear in metres, 65,535 at `SCALE`.
                    "depth": encode.encode_depth(composite.depth / SCALE),
                    "bg": encode.encode_colour(composite.bg),
                    "fg_bg": encode.encode_colour(composite.fg_bg),
                    "mask": encode.encode_mask(composite.mask),
                    "sample_id": entry.sample_id,
                    "bg_id": entry.bg_id,
                    "fg_id": entry.fg_id,
                    "box": tfds.features.BBox(ymin, xmin, ymax, xmax),
                },
                records.ImageStatistics.of(composite.bg),
                records.ImageStatistics.of(composite.fg_bg),
            )
