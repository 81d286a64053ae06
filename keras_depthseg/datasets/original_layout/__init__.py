"""The original assignment's folder layout, as a TensorFlow Datasets builder."""

from keras_depthseg.datasets.original_layout.original_layout_dataset_builder import (
    Builder,
    ModestConfig,
    build,
)

__all__ = ["Builder", "ModestConfig", "build"]
