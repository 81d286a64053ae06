"""Rooms rendered by this package, with true depth in metres."""

from keras_depthseg.datasets.rooms.rooms_dataset_builder import (
    DEFAULT_SAMPLES,
    SCALE,
    Builder,
    RoomsConfig,
    build,
)

__all__ = ["DEFAULT_SAMPLES", "SCALE", "Builder", "RoomsConfig", "build"]
