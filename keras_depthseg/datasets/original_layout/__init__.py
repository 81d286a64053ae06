"""Reads and writes the folder layout of the original assignment."""

from keras_depthseg.datasets.original_layout.original_layout_dataset_builder import (
    Builder,
    OriginalLayoutConfig,
    build,
)

__all__ = ["Builder", "OriginalLayoutConfig", "build"]
