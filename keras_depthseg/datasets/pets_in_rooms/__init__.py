"""Pets of Oxford-IIIT standing in rooms of NYU Depth V2, with true sensor depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_depthseg.datasets.pets_in_rooms.pets_in_rooms_dataset_builder import (
        DEFAULT_SAMPLES,
        Builder,
        PetsInRoomsConfig,
        build,
    )

__all__ = ["DEFAULT_SAMPLES", "Builder", "PetsInRoomsConfig", "build"]


def __getattr__(name: str) -> Any:
    # Imported when used: TensorFlow Datasets takes seconds.
    if name in __all__:
        from keras_depthseg.datasets.pets_in_rooms import pets_in_rooms_dataset_builder

        return getattr(pets_in_rooms_dataset_builder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
