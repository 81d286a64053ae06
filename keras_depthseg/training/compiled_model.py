"""The network of a recipe, compiled to be trained on any Keras backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_depthseg.losses import combination
from keras_depthseg.metrics import training_metrics
from keras_depthseg.model import TwoPictureNetwork
from keras_depthseg.model_file import ModelFile
from keras_depthseg.networks.initialisation import INITIALISATIONS
from keras_depthseg.networks.registry import make_alike, make_network
from keras_depthseg.optimizers import OPTIMIZERS, cosine_decay
from keras_depthseg.precision import jit_compile
from keras_depthseg.runtimes import opened
from keras_depthseg.training.recipes import Recipe


def compiled_model(
    recipe: Recipe,
    steps: int,
    precision: str,
    seed: int,
    statistics: Mapping[str, Any] | None = None,
    xla: bool = False,
    depth: bool = True,
    start: ModelFile | None = None,
) -> TwoPictureNetwork:
    """Return a new compiled model, the same each time.

    Sets the seed of Python, NumPy and the backend for the whole process.

    Args:
        recipe: how to train.
        steps: batches of the whole training.
        precision: dtype policy; Keras scales the loss under `mixed_float16`.
        seed: of the weights.
        statistics: of the data, see `DSResNet`; by default the original project's.
        xla: see `precision.jit_compile`.
        depth: whether the depth of any sample is known.
        start: the model whose weights, moving statistics and normalisation the new one
            gets, in place of new weights and `statistics`, which its first layers do not
            know; of the recipe's network and width.

    Raises:
        UserError: if the weights of `start` are damaged.
    """
    keras.utils.set_random_seed(seed)
    if start is None:
        model = make_network(recipe.network, recipe.width, precision, statistics)
        INITIALISATIONS[recipe.initialisation](model)
    else:
        model = make_alike(start.network, start.config, precision)
        opened(str(start.path), model.load_weights)
    options: dict[str, Any] = combination(recipe.loss)
    model.compile(
        optimizer=make_optimizer(recipe, steps),
        metrics=training_metrics(depth),
        jit_compile=jit_compile(xla),  # pyright: ignore[reportArgumentType]: may be False
        **options,
    )
    # Else Keras creates its variables inside the training step, which is then traced
    # twice: ten seconds on a slow core.
    model.optimizer.build(model.trainable_variables)
    return model


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
