"""Reads and writes the folder layout of the original assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_depthseg.datasets.original_layout.original_layout_dataset_builder import (
        Builder,
        OriginalLayoutConfig,
        build,
    )

__all__ = ["Builder", "OriginalLayoutConfig", "build"]


def __getattr__(name: str) -> Any:
    # Imported on first use: TensorFlow takes seconds.
    if name in __all__:
        from keras_depthseg.datasets.original_layout import (
            original_layout_dataset_builder as builder,
        )

        return getattr(builder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
