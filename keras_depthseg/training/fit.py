"""Trains the model of an experiment."""

from __future__ import annotations

import shlex
from pathlib import Path

import keras
import tensorflow as tf
from PIL import Image

from keras_depthseg import figures
from keras_depthseg.callbacks.non_finite import NonFiniteError, StopAtNonFinite
from keras_depthseg.callbacks.plateau import ReduceLROnPlateau
from keras_depthseg.callbacks.resolution import ResolutionScheduler
from keras_depthseg.callbacks.watching import PredictionPictures, StepTimes
from keras_depthseg.callbacks.weight_average import WeightAverage
from keras_depthseg.datasets.opening import Records
from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.model import DSResNet
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.schedule import Phase
from keras_depthseg.training.checkpoints import (
    Checkpoints,
    Position,
    TrainingInterruptedError,
)
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import _order, _plain_pipeline, training_batches
from keras_depthseg.training.input_clock import InputClock
from keras_depthseg.training.recipes import Recipe
from keras_depthseg.training.run_folder import (
    PICTURES,
    writing_to,
)
from keras_depthseg.training.signals import asked_to_stop

PICTURED_SAMPLES = 6


def _fit(
    config: RunConfig,
    run_dir: Path,
    records: Records,
    model: DSResNet,
    start: Position | None,
) -> dict[str, list[float]]:
    validation = "val" if records.size("val") else None
    clock = InputClock()
    scheduler = ResolutionScheduler(
        config.phases,
        train=lambda phase, epoch, step: clock.watch(
            training_batches(config, records, phase, epoch, step)
        ),
        validation=validation
        and (lambda phase: _plain_pipeline(records, validation, phase)),
    )
    learning = _learning_callbacks(config.recipe, scheduler.phases, validation)
    with asked_to_stop() as should_stop:
        checkpoints = Checkpoints(
            run_dir,
            {type(c).__name__: c for c in learning if hasattr(c, "set_state")},
            start,
            keep=config.keep,
            minutes=config.checkpoint_minutes,
            should_stop=should_stop,
        )
        try:
            scheduler.fit(
                model,
                callbacks=[
                    *learning,
                    *_watching_callbacks(run_dir, records, scheduler, clock),
                    checkpoints,
                ],
                first_epoch=start.epoch if start else 0,
                first_step=start.step if start else 0,
            )
        except UserError:
            print()  # Ends the line of the progress bar.
            raise
        except NonFiniteError as error:
            print()
            raise _non_finite(error, config, run_dir, records, scheduler) from error
        except TrainingInterruptedError:
            print(
                "\nStopped; it goes on with: python train.py --resume --run-dir "
                f"{shlex.quote(str(run_dir))}"
            )
            raise KeyboardInterrupt from None
    if start is not None and start.epoch == scheduler.epochs:
        # All epochs were trained, and it was stopped while it was scored.
        start.restore_model(model)
    return checkpoints.history


def _non_finite(
    error: NonFiniteError,
    config: RunConfig,
    run_dir: Path,
    records: Records,
    scheduler: ResolutionScheduler,
) -> UserError:
    order = _order(config, scheduler.phase, error.epoch, error.step)
    batches = make_pipeline(records, "train", whole_samples=True, **order)
    (batch,) = batches.take(1).as_numpy_iterator()
    ids = ", ".join(name.decode() for name in batch["sample_id"])
    clipping = "" if config.recipe.clip_norm else ", or --clip-norm 1"
    return UserError(
        f"the {error.what} is not finite in epoch {error.epoch + 1}, step "
        f"{error.step + 1}, at {scheduler.phase.resolution} px, samples {ids}; try a "
        f"learning rate below {config.recipe.learning_rate:g}{clipping}. "
        f"Checkpoints from before are in {run_dir}."
    )


def _learning_callbacks(
    recipe: Recipe, phases: tuple[Phase, ...], validation: str | None
) -> list[keras.callbacks.Callback]:
    """Those that change what is learned, in the order in which they must hear."""
    callbacks = [StopAtNonFinite()]
    if recipe.divide_after_first_phase != 1.0:

        def divided(epoch, learning_rate):
            if epoch == phases[0].epochs:
                return learning_rate / recipe.divide_after_first_phase
            return learning_rate

        # Before the plateau: both note the rate, this one before the other lowers it.
        callbacks.append(keras.callbacks.LearningRateScheduler(divided))
    if recipe.learning_rate_schedule == "plateau":
        callbacks.append(
            ReduceLROnPlateau(
                monitor="val_loss" if validation else "loss", patience=2, min_lr=1e-6
            )
        )
    if recipe.average:
        callbacks.append(WeightAverage(recipe.average))
    return callbacks


def _watching_callbacks(
    run_dir: Path, records: Records, scheduler: ResolutionScheduler, clock: InputClock
) -> list[keras.callbacks.Callback]:
    with writing_to(run_dir):
        (run_dir / PICTURES).mkdir(exist_ok=True)
    writer = tf.summary.create_file_writer(str(run_dir / "tensorboard" / "pictures"))

    def publish(epoch, picture):
        path = run_dir / PICTURES / f"epoch-{epoch + 1:03d}.png"
        with writing_to(run_dir):
            with replacing(path) as part:
                Image.fromarray(picture).save(part)
            with writer.as_default():
                tf.summary.image("predictions", picture[None], step=epoch)
            writer.flush()

    return [
        StepTimes(lambda: clock.seconds, lambda: scheduler.phase.batch_size),
        keras.callbacks.TensorBoard(run_dir / "tensorboard", write_graph=False),
        PredictionPictures(
            lambda resolution: _pictured_samples(records, resolution),
            draw=figures.prediction_grid,
            publish=publish,
            resolution=lambda: scheduler.phase.resolution,
            is_last=lambda epoch: epoch == scheduler.epochs - 1,
        ),
    ]


def _pictured_samples(records: Records, resolution: int) -> tuple[dict, dict]:
    split = next(name for name in ("val", "train") if records.size(name))
    batches = make_pipeline(
        records, split, resolution=resolution, batch_size=PICTURED_SAMPLES
    )
    return next(iter(batches.take(1).as_numpy_iterator()))
