"""The TensorFlow Datasets builder of `composites`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building.sharded import ShardedBuilder
from keras_depthseg.datasets.building.shards import Shard, parts, shard_count
from keras_depthseg.datasets.composites.maker import Maker
from keras_depthseg.datasets.composites.settings import VERSION, CompositesConfig
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.pictures import encode


class Builder(ShardedBuilder):
    """Builder of the data set `composites`."""

    VERSION = tfds.core.Version(VERSION)
    RELEASE_NOTES = {"1.0.0": "First version."}

    @property
    def _config(self) -> CompositesConfig:
        return self.builder_config or CompositesConfig(name="empty")

    def _fingerprint(self) -> str:
        return self._config.fingerprint()

    def _info(self) -> tfds.core.DatasetInfo:
        config = self._config
        depth = config.settings.depth_metadata
        metadata = records.sample_metadata(depth)
        metadata["composed"] = config.to_json()
        metadata["licences"] = dict(config.licences)
        metadata["sources"] = config.sources()
        return self.dataset_info_from_configs(
            features=records.sample_features(np.uint16 if depth else None),
            metadata=metadata,
            supervised_keys=None,
        )

    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        del dl_manager  # nothing is downloaded
        return composites_shards(self._config)


def composites_shards(config: CompositesConfig) -> dict[str, list[Shard]]:
    """Return the shards of each split, for a builder of any sources.

    Raises:
        UserError: nothing is left for training.
    """
    maker = Maker.of(config)
    return {
        split: [
            _CompositesShard(maker, part)
            for part in parts(numbers, shard_count(len(numbers)))
        ]
        for split, numbers in config.splits().items()
    }


@dataclasses.dataclass(frozen=True, eq=False)
class _CompositesShard(Shard):
    """Planned composites by their numbers, (N,) int64."""

    maker: Maker
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def examples(self) -> Iterator[records.Example]:
        for planned, scene, composite in self.maker.composites(self.numbers):
            height, width = composite.mask.shape
            top, left, bottom, right = composite.box
            features = {
                "bg": scene.encoded,
                "fg_bg": scene.encode(composite.fg_bg, *composite.changed),
                "mask": encode.encode_mask(composite.mask),
                "sample_id": planned.sample_id,
                "bg_id": planned.bg_id,
                "fg_id": planned.fg_id,
                "box": tfds.features.BBox(
                    top / height, left / width, bottom / height, right / width
                ),
            }
            if composite.depth is not None:
                features["depth"] = encode.encode_depth(composite.depth)
            yield records.Example(
                features, scene.statistics, ImageStatistics.of(composite.fg_bg)
            )
