"""An experiment: records, phases, model and batches of a configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_depthseg.datasets.opening import Records, open_records, require_depth
from keras_depthseg.errors import UserError
from keras_depthseg.losses import combination
from keras_depthseg.metrics import training_metrics
from keras_depthseg.model import ORIGINAL_STATISTICS, DSResNet
from keras_depthseg.networks.initialisation import INITIALISATIONS
from keras_depthseg.optimizers import OPTIMIZERS, cosine_decay
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.precision import check_xla, jit_compile, resolve_precision
from keras_depthseg.schedule import Phase
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import Recipe


def _resolved(config: RunConfig) -> RunConfig:
    """With nothing left that depends on where it is."""
    return dataclasses.replace(
        config,
        data=str(Path(config.data).resolve()),
        precision=resolve_precision(config.precision),
    )


def _open(config: RunConfig) -> Records:
    if config.xla:
        check_xla(config.precision)
    records = open_records(config.data)
    require_depth(records)
    if not records.size("train"):
        raise UserError(
            f"{config.data}: the split 'train' is empty; nothing to train on."
        )
    return records


def make_model(config: RunConfig, records: Records) -> DSResNet:
    """A new model, compiled as the configuration says; the same for the same seed."""
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    recipe = config.recipe
    model = DSResNet(
        recipe.width, records.statistics or ORIGINAL_STATISTICS, dtype=config.precision
    )
    INITIALISATIONS[recipe.initialisation](model)
    model.compile(
        optimizer=make_optimizer(
            recipe, sum(phase.epochs * _steps(records, phase) for phase in config.phases)
        ),
        metrics=training_metrics(),
        jit_compile=jit_compile(config.xla),
        **combination(recipe.loss),
    )
    # Else Keras makes its variables inside the training step, which is then traced twice:
    # ten seconds on a slow core.
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


def _steps(records: Records, phase: Phase) -> int:
    return -(-records.size("train") // phase.batch_size)


def training_batches(
    config: RunConfig, records: Records, phase: Phase, epoch: int, step: int = 0
) -> tf.data.Dataset:
    """Batches of an epoch from a step on; they follow from seed and epoch alone."""
    return make_pipeline(records, "train", **_order(config, phase, epoch, step))


def _order(config: RunConfig, phase: Phase, epoch: int, step: int) -> dict:
    return {
        "resolution": phase.resolution,
        "batch_size": phase.batch_size,
        "augment": config.recipe.augment,
        "shuffle": True,
        "seed": config.seed,
        "epoch": epoch,
        "skip": step,
    }


def _plain_pipeline(records: Records, split: str, phase: Phase) -> tf.data.Dataset:
    return make_pipeline(
        records, split, resolution=phase.resolution, batch_size=phase.batch_size
    )
