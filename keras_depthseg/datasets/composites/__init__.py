"""Composites of cutouts on backgrounds, from the user's own pictures."""

from keras_depthseg.datasets.composites.composites_dataset_builder import (
    Builder,
    CompositesConfig,
    Recipe,
)

__all__ = ["Builder", "CompositesConfig", "Recipe"]
