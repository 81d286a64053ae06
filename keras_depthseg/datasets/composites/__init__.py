"""Composites of cutouts on backgrounds, from the user's own pictures."""

from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from keras_depthseg.datasets.composites.settings import (
    CompositesConfig,
    CompositeSettings,
)

__all__ = ["Builder", "CompositesConfig", "CompositeSettings"]
