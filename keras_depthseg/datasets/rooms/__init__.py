"""Rooms rendered by this package, with true depth in metres."""

from __future__ import annotations

from pathlib import Path

from keras_depthseg.datasets.building.clean_builder import prepare
from keras_depthseg.datasets.rooms.rooms_dataset_builder import (
    SCALE,
    Builder,
    RoomsConfig,
)
from keras_depthseg.errors import UserError

__all__ = ["DEFAULT_SAMPLES", "SCALE", "Builder", "RoomsConfig", "build"]

DEFAULT_SAMPLES = 1200


def build(
    data_dir: Path | str,
    *,
    num_samples: int = DEFAULT_SAMPLES,
    size: int = 224,
    seed: int = 0,
) -> Path:
    """Renders a data set, or finds it when it is rendered already.

    Args:
        data_dir: where data sets go; made when missing.
        num_samples: in all splits together, at least 60 so that none is empty.
        size: height and width of the pictures in pixels.
        seed: the same seed gives the same records.

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
    config = RoomsConfig(
        name=f"{num_samples}x{size}px_seed{seed}",
        num_samples=num_samples,
        size=size,
        seed=seed,
    )
    return prepare(Builder, config, data_dir)
