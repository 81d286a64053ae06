"""The optimizer of a recipe."""

from __future__ import annotations

from typing import Any

import keras

from keras_depthseg.optimizers import OPTIMIZERS, cosine_decay
from keras_depthseg.training.recipes import Recipe


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return a new optimizer.

    Args:
        recipe: gives the kind and its options.
        steps: batches of the whole training, for a cosine schedule.
    """
    rate = recipe.learning_rate
    options: dict[str, Any] = {}
    if recipe.learning_rate_schedule == "cosine":
        rate = cosine_decay(rate, steps)
    if recipe.clip_norm:
        options["global_clipnorm"] = recipe.clip_norm
    if recipe.accumulate > 1:
        options["gradient_accumulation_steps"] = recipe.accumulate
    if recipe.optimizer == "sgd":
        options["momentum"] = 0.9
    if recipe.optimizer == "adamw":
        options["weight_decay"] = recipe.weight_decay
    return OPTIMIZERS[recipe.optimizer](rate, **options)
