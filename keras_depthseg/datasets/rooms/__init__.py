"""Rooms rendered by this package, with true depth in metres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_depthseg.datasets.rooms.rooms_dataset_builder import (
        DEFAULT_SAMPLES,
        SCALE,
        Builder,
        RoomsConfig,
        build,
    )

__all__ = ["DEFAULT_SAMPLES", "SCALE", "Builder", "RoomsConfig", "build"]


def __getattr__(name: str) -> Any:
    # Imported when used: TensorFlow Datasets takes seconds.
    if name in __all__:
        from keras_depthseg.datasets.rooms import rooms_dataset_builder

        return getattr(rooms_dataset_builder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
