"""The TensorFlow Datasets builder of `pets_in_rooms`, made of two public data sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building.clean_builder import prepare
from keras_depthseg.datasets.building.sharded import ShardedBuilder
from keras_depthseg.datasets.building.shards import Shard
from keras_depthseg.datasets.composites.composites_dataset_builder import (
    composites_shards,
)
from keras_depthseg.datasets.composites.settings import (
    CompositesConfig,
    CompositeSettings,
)
from keras_depthseg.datasets.pets_in_rooms import sources
from keras_depthseg.errors import UserError

DEFAULT_SAMPLES = 40_000


@dataclasses.dataclass(eq=False)
class PetsInRoomsConfig(tfds.core.BuilderConfig):
    """The configuration of a data set of pets in rooms.

    Attributes:
        num_samples: in all splits together.
        size: height and width of the images, in pixels.
        seed: the same seed gives the same records.
        frame_step: of a recording of NYU Depth V2 every `frame_step`-th frame is used.
        workers: threads that compose; `None` takes one for each core. The records do
            not depend on the number.
    """

    num_samples: int = DEFAULT_SAMPLES
    size: int = 224
    seed: int = 0
    frame_step: int = 20
    workers: int | None = None

    def __post_init__(self):
        for name, least in (
            ("num_samples", 1),
            ("size", 32),
            ("seed", 0),
            ("frame_step", 1),
        ):
            if getattr(self, name) < least:
                raise UserError(
                    f"pets_in_rooms: received {name}={getattr(self, name)}; accepted: "
                    f"{least} or more."
                )


def build(
    data_dir: Path | str,
    *,
    num_samples: int = DEFAULT_SAMPLES,
    size: int = 224,
    seed: int = 0,
) -> Path:
    """Download the two public data sets (35 GB) and compose them, or find the result.

    Args:
        data_dir: the folder of data sets and downloads; created if missing.
        num_samples: in all splits together.
        size: height and width of the images, in pixels.
        seed: the same seed gives the same records.

    Returns:
        The folder that `tfds.builder_from_directory` opens.

    Raises:
        UserError: a download, an argument or the folder cannot be used.
    """
    config = PetsInRoomsConfig(
        name=f"{num_samples}x{size}px_seed{seed}",
        num_samples=num_samples,
        size=size,
        seed=seed,
    )
    return prepare(Builder, config, data_dir)


class Builder(ShardedBuilder):
    """Builder of `oxford_iiit_pet` cutouts on `nyu_depth_v2` rooms with sensor depth.

    A pet stands on the ground, sized by its distance, and nearer surfaces hide it; two
    in three cast a shadow. 7,349 pets, 2,400 frames of 464 recordings.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}

    @property
    def _config(self) -> PetsInRoomsConfig:
        return self.builder_config or PetsInRoomsConfig(name="full")

    def _info(self) -> tfds.core.DatasetInfo:
        metadata = records.sample_metadata(
            records.DepthMetadata("metre", sources.NYU_SCALE)
        )
        metadata["licences"] = {
            "bg": "NYU Depth V2 (Silberman et al. 2012), for research, without a licence",
            "fg": "Oxford-IIIT Pet (Parkhi et al. 2012), CC BY-SA 4.0",
        }
        return self.dataset_info_from_configs(
            features=records.sample_features(np.uint16),
            metadata=metadata,
            homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
            supervised_keys=None,
        )

    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        config = self._config
        folders = _download(dl_manager)
        backgrounds = sources.nyu_rooms(folders["rooms"], config.frame_step)
        cutouts = sources.pets(folders["photographs"], folders["annotations"])
        for kind, found in (("rooms", backgrounds), ("pets", cutouts)):
            if not found:
                raise UserError(
                    f"pets_in_rooms: received archives without {kind}; expected those "
                    "of NYU Depth V2 and Oxford-IIIT Pet. Remove the downloads and "
                    "start again."
                )
        settings = CompositeSettings(
            size=config.size,
            # A cat or a dog; a person is about 108 of 224.
            fg_height=max(1, round(config.size * 0.3)),
            placement="standing",
            shadow=2 / 3,
            depth="sensor",
            seed=config.seed,
        )
        composites = CompositesConfig(
            name=config.name,
            backgrounds=backgrounds,
            cutouts=cutouts,
            settings=settings,
            count=config.num_samples,
        )
        # `_info` has set the metadata.
        self.info.metadata["composed"] = composites.to_json()  # pyright: ignore[reportOptionalSubscript]
        self.info.metadata["sources"] = composites.sources()  # pyright: ignore[reportOptionalSubscript]
        return composites_shards(composites)


def _download(dl_manager: tfds.download.DownloadManager) -> dict[str, Path]:
    urls = {
        "rooms": sources.NYU_URL,
        "photographs": f"{sources.PETS_URL}/images.tar.gz",
        "annotations": f"{sources.PETS_URL}/annotations.tar.gz",
    }
    try:
        found = dl_manager.download_and_extract(urls)
    # The network, the disk and damaged archives raise errors of many kinds.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"pets_in_rooms: its two public data sets (35 GB) cannot be downloaded "
            f"({type(error).__name__}: {reason}). Check the network and the disk; what "
            "is complete is not downloaded again."
        ) from error
    # A path for each name: TFDS annotates its answer to a single URL.
    return {name: Path(path) for name, path in found.items()}  # pyright: ignore[reportAttributeAccessIssue]
