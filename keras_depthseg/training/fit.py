"""Trains the model of an experiment through all its phases."""

from __future__ import annotations

import logging
import shlex

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg import figures
from keras_depthseg.callbacks.non_finite import NonFiniteError, StopAtNonFinite
from keras_depthseg.callbacks.plateau import ReduceLROnPlateau
from keras_depthseg.callbacks.resolution import ResolutionScheduler
from keras_depthseg.callbacks.resumable import Resumable
from keras_depthseg.callbacks.watching import PredictionPictures, StepTimes
from keras_depthseg.callbacks.weight_average import WeightAverage
from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.model import TwoPictureNetwork
from keras_depthseg.training.checkpoints import (
    Checkpoints,
    Position,
    TrainingInterruptedError,
)
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.input_clock import InputClock
from keras_depthseg.training.run_folder import RunFolder
from keras_depthseg.training.signals import asked_to_stop

logger = logging.getLogger(__name__)


def fit(
    experiment: Experiment,
    model: TwoPictureNetwork,
    folder: RunFolder,
    start: Position | None = None,
    verbose: str | int = "auto",
) -> dict[str, list[float]]:
    """Train a model, and write weights, positions, pictures and TensorBoard's logs.

    Args:
        experiment: gives phases and batches.
        model: what `experiment.model()` returned; trained in place.
        folder: the run folder, locked by this process.
        start: the position to resume from, if any.
        verbose: as for `keras.Model.fit`.

    Returns:
        A value for each epoch, those before `start` included, by name.

    Raises:
        UserError: if a file cannot be written, or a loss or gradient is not finite.
        KeyboardInterrupt: if the process was asked to stop; the position is saved then.
    """
    clock = InputClock()
    scheduler = ResolutionScheduler(
        experiment.phases,
        train=lambda phase, epoch, step: clock.watch(
            experiment.train_batches(phase, epoch, step)
        ),
        validation=experiment.validation_batches if experiment.validation else None,
    )
    learning, resumable = _learning_callbacks(experiment)
    with asked_to_stop() as should_stop:
        checkpoints = Checkpoints(
            folder,
            resumable,
            start,
            keep=experiment.config.keep,
            minutes=experiment.config.checkpoint_minutes,
            should_stop=should_stop,
        )
        try:
            scheduler.fit(
                model,
                callbacks=[
                    *learning,
                    *_watching_callbacks(experiment, folder, scheduler, clock),
                    checkpoints,
                ],
                verbose=verbose,
                first_epoch=start.epoch if start else 0,
                first_step=start.step if start else 0,
            )
        except UserError:
            logger.info("")  # Ends the line of the progress bar.
            raise
        except NonFiniteError as error:
            logger.info("")
            raise _non_finite(error, experiment, scheduler, folder) from error
        except TrainingInterruptedError:
            logger.info(
                "\nSaved. Resume with: depthseg train --resume --run-dir %s",
                shlex.quote(str(folder)),
            )
            raise KeyboardInterrupt from None
    if start is not None and start.epoch == experiment.epochs:
        # All epochs were trained; the run was stopped while the model was scored.
        start.restore_model(model)
    return checkpoints.history


def _learning_callbacks(
    experiment: Experiment,
) -> tuple[list[keras.callbacks.Callback], dict[str, Resumable]]:
    """Return the callbacks that change the result, in order, and those with a state.

    The names of the latter are stored in positions, so they never change.
    """
    recipe = experiment.config.recipe
    callbacks: list[keras.callbacks.Callback] = [StopAtNonFinite()]
    resumable: dict[str, Resumable] = {}
    if recipe.divide_after_first_phase != 1.0:

        def divided(epoch, learning_rate):
            if epoch == experiment.phases[0].epochs:
                return learning_rate / recipe.divide_after_first_phase
            return learning_rate

        # Before the plateau: both log the rate, and this one must log it undivided.
        callbacks.append(keras.callbacks.LearningRateScheduler(divided))
    if recipe.learning_rate_schedule == "plateau":
        plateau = ReduceLROnPlateau(
            monitor="val_loss" if experiment.validation else "loss",
            patience=2,
            min_lr=1e-6,
        )
        callbacks.append(plateau)
        resumable["ReduceLROnPlateau"] = plateau
    if recipe.average:
        average = WeightAverage(recipe.average)
        callbacks.append(average)
        resumable["WeightAverage"] = average
    return callbacks, resumable


def _watching_callbacks(
    experiment: Experiment,
    folder: RunFolder,
    scheduler: ResolutionScheduler,
    clock: InputClock,
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that only write: speed, TensorBoard, pictures."""
    with folder.writing():
        folder.pictures.mkdir(exist_ok=True)
    writer = tf.summary.create_file_writer(str(folder.tensorboard / "pictures"))

    def publish(epoch: int, picture: np.ndarray) -> None:
        with folder.writing():
            with replacing(folder.picture(epoch)) as part:
                Image.fromarray(picture).save(part)
            with writer.as_default():
                tf.summary.image("predictions", picture[None], step=epoch)
            writer.flush()

    callbacks: list[keras.callbacks.Callback] = [
        StepTimes(lambda: clock.seconds, lambda: scheduler.phase.batch_size),
        keras.callbacks.TensorBoard(str(folder.tensorboard), write_graph=False),
        PredictionPictures(
            experiment.pictured_samples,
            draw=figures.prediction_grid,
            publish=publish,
            resolution=lambda: scheduler.phase.resolution,
            is_last=lambda epoch: epoch == experiment.epochs - 1,
        ),
    ]
    return callbacks


def _non_finite(
    error: NonFiniteError,
    experiment: Experiment,
    scheduler: ResolutionScheduler,
    folder: RunFolder,
) -> UserError:
    recipe = experiment.config.recipe
    phase = scheduler.phase
    ids = ", ".join(experiment.sample_ids(phase, error.epoch, error.step))
    clipping = "" if recipe.clip_norm else ", or `clip_norm` 1"
    return UserError(
        f"the {error.what} is not finite in epoch {error.epoch + 1}, step "
        f"{error.step + 1}, at {phase.resolution} px, samples {ids}; try a "
        f"`learning_rate` below {recipe.learning_rate:g}{clipping}. "
        f"Checkpoints from before are in {folder}."
    )
