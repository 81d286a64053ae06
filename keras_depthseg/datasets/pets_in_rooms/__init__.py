"""Pets of Oxford-IIIT standing in rooms of NYU Depth V2, with true sensor depth."""

from __future__ import annotations

from pathlib import Path

from keras_depthseg.datasets.building.clean_builder import prepare
from keras_depthseg.datasets.pets_in_rooms.pets_in_rooms_dataset_builder import (
    Builder,
    PetsInRoomsConfig,
)

__all__ = ["DEFAULT_SAMPLES", "Builder", "PetsInRoomsConfig", "build"]

DEFAULT_SAMPLES = 40_000


def build(
    data_dir: Path | str,
    *,
    num_samples: int = DEFAULT_SAMPLES,
    size: int = 224,
    seed: int = 0,
) -> Path:
    """Downloads the two public data sets (35 GB) and composes them, or finds the result.

    Args:
        data_dir: where data sets and downloads go; made when missing.
        num_samples: in all splits together.
        size: height and width of the pictures in pixels.
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
