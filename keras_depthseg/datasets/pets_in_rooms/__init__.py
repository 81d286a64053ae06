"""Pets of Oxford-IIIT standing in rooms of NYU Depth V2, with true sensor depth."""

from keras_depthseg.datasets.pets_in_rooms.pets_in_rooms_dataset_builder import (
    DEFAULT_SAMPLES,
    Builder,
    PetsInRoomsConfig,
    build,
)

__all__ = ["DEFAULT_SAMPLES", "Builder", "PetsInRoomsConfig", "build"]
