"""One training run: data, model, phases, and a run folder with what came of it."""

from __future__ import annotations

import dataclasses
import importlib
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf
from PIL import Image

from keras_depthseg import figures
from keras_depthseg.callbacks import (
    NonFiniteError,
    ReduceLROnPlateau,
    ResolutionScheduler,
    StopAtNonFinite,
)
from keras_depthseg.checkpoints import (
    Checkpoints,
    Position,
    TrainingInterruptedError,
    latest,
)
from keras_depthseg.datasets.opening import Records, open_records, require_depth
from keras_depthseg.datasets.records import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation import evaluate, score_table
from keras_depthseg.files import replacing
from keras_depthseg.initialisation import INITIALISATIONS
from keras_depthseg.input_clock import InputClock
from keras_depthseg.losses import combination
from keras_depthseg.lr_range import (
    LRRange,
    LRRangeCurve,
    lr_range_table,
    lr_range_test,
    write_lr_range_csv,
)
from keras_depthseg.metrics import training_metrics
from keras_depthseg.model import ORIGINAL_STATISTICS, DSResNet
from keras_depthseg.pipeline import make_pipeline, sample_batches
from keras_depthseg.precision import check_xla, jit_compile, resolve_precision
from keras_depthseg.recipes import Recipe
from keras_depthseg.report import write_report
from keras_depthseg.run_config import RunConfig
from keras_depthseg.run_folder import (
    CONFIG,
    PICTURES,
    PREDICTIONS,
    REPORT,
    SCORES,
    at_work_in,
    check_run_dir,
    writing_to,
)
from keras_depthseg.schedule import Phase, format_schedule
from keras_depthseg.stopping import asked_to_stop
from keras_depthseg.watching import PredictionPictures, StepTimes, speed_summary
from keras_depthseg.weight_average import WeightAverage

PICTURED_SAMPLES = 6
CURVES = ("loss", "mask_hard_iou", "mask_soft_iou", "depth_rmse")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        run_dir: the run folder.
        history: value per epoch, by name.
        scores: scores by split, see `evaluation.evaluate`.
    """

    run_dir: Path
    history: dict[str, list[float]]
    scores: dict[str, dict[str, float]]


def train(config: RunConfig, run_dir: str | Path, *, resume: bool = False) -> RunResult:
    """Trains a model and leaves a run folder.

    The folder holds config.json, history.csv, checkpoints/ (weights of epochs), resume/
    (to go on from), tensorboard/, pictures/, model.keras, curves.png, predictions.png,
    scores.json and report.html.

    Stopped by Ctrl-C, SIGTERM or anything worse, it goes on with `resume` from the last
    position that was saved: the same batches, weights, optimizer, learning rate, metrics
    and history as if it had not been stopped; the same bits, if `config.deterministic`.

    Args:
        config: how to train on what.
        run_dir: the run folder; must be new or empty, or with `resume` that of a run of
            the same configuration.
        resume: go on where the run in the folder stopped.

    Raises:
        UserError: if the configuration or the data is bad or not that of the run
            (nothing has been written then), if a file cannot be written, or if a loss or
            gradient is not finite.
        KeyboardInterrupt: if it was asked to stop; its position has been saved.
    """
    config = _resolved(config)
    phases = config.phases
    records = _open(config)
    start = None
    if resume:
        _check_goes_on(config, run_dir, records)
    else:
        check_run_dir(run_dir)
    with at_work_in(run_dir) as run_dir:
        if resume:
            start = latest(run_dir)
        model = make_model(config, records)
        if not resume:
            with writing_to(run_dir, remedy="free some space and start it again"):
                _write_config(config, run_dir, records, model)
        print(
            f"Data: {config.data} ("
            + ", ".join(f"{name} {records.size(name)}" for name in SPLITS)
            + f")\nModel: width {config.recipe.width}, {model.count_params():,} weights, "
            f"{config.precision}\nSchedule (resolution:epochs:batch): "
            f"{format_schedule(phases)}\nRun folder: {run_dir}"
        )
        if start is not None:
            print(f"Going on in epoch {start.epoch + 1}, after {start.step} steps")
        history = _fit(config, run_dir, records, model, start)
        return _finish(run_dir, model, records, phases, history)


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
        optimizer=recipe.make_optimizer(
            sum(phase.epochs * _steps(records, phase) for phase in config.phases)
        ),
        metrics=training_metrics(),
        jit_compile=jit_compile(config.xla),
        **combination(recipe.loss),
    )
    # Else Keras makes its variables inside the training step, which is then traced twice:
    # ten seconds on a slow core.
    model.optimizer.build(model.trainable_variables)
    return model


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


def _check_goes_on(config: RunConfig, run_dir: str | Path, records: Records) -> None:
    config.require_same(run_dir)
    about = json.loads((Path(run_dir) / CONFIG).read_text())
    backend = about.get("versions", {}).get("backend")
    if backend != keras.backend.backend():
        raise UserError(
            f"{run_dir}: this run was told otherwise: received Keras backend "
            f"{keras.backend.backend()}, it has {backend}; set KERAS_BACKEND={backend} "
            "to go on, or choose another --run-dir."
        )
    samples = about.get("samples")
    if samples != _samples(records):
        raise UserError(
            f"{config.data}: this data set has changed since the run began: received "
            f"{_samples(records)}, it had {samples}; start a new run."
        )
    if (Path(run_dir) / REPORT).exists():  # It is written last.
        raise UserError(
            f"{run_dir}: this run is finished; start a new one with another --run-dir."
        )
    begun_with = about["versions"]
    changed = [
        f"{name} {begun_with[name]}, now {version}"
        for name, version in _versions().items()
        if begun_with.get(name, version) != version
    ]
    if changed:
        print(
            f"warning: {run_dir}: begun with {'; '.join(changed)}: it goes on, perhaps "
            "not to the same bits"
        )


def _samples(records: Records) -> dict[str, int]:
    return {name: records.size(name) for name in SPLITS}


def _write_config(config: RunConfig, run_dir: Path, records: Records, model) -> None:
    config.save(
        run_dir,
        samples=_samples(records),
        depth=dict(records.depth),
        parameters=model.count_params(),
        command=sys.argv,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    names = ("keras_depthseg", "keras", "tensorflow", backend)
    modules = {name: importlib.import_module(name) for name in names}
    return {
        "python": platform.python_version(),
        **{name: module.__version__ for name, module in modules.items()},
        "backend": backend,
    }


def find_learning_rate(
    config: RunConfig, run_dir: str | Path, lr_ranges: Sequence[LRRange]
) -> list[LRRangeCurve]:
    """Learning-rate range tests of a configuration, each from the same new weights.

    At the resolution of the first phase. Prints the table and leaves lr_range.csv and
    lr_range.png in the folder.

    Args:
        config: how to train on what; the learning rate of its recipe is not used.
        run_dir: the folder; must be new or empty.
        lr_ranges: the ranges, in order.

    Raises:
        UserError: if the configuration or the data is bad, or a file cannot be written.
    """
    fixed = {"learning_rate_schedule": "plateau", "divide_after_first_phase": 1.0}
    config = _resolved(
        dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, **fixed))
    )
    records = _open(config)
    check_run_dir(run_dir)
    with at_work_in(run_dir) as run_dir:
        model = make_model(config, records)
        phase = config.phases[0]
        curves = []
        for lr_range in lr_ranges:
            print(f"Learning rates {lr_range} at {phase.resolution} px:")
            batches = training_batches(config, records, phase, epoch=0)
            curves.append(lr_range_test(model, batches, lr_range, verbose=1))
            with writing_to(
                run_dir, remedy="free some space and test again in another --run-dir"
            ):
                write_lr_range_csv(run_dir / "lr_range.csv", curves)
                figures.save_lr_range_curves(run_dir / "lr_range.png", curves)
    print(f"\n{lr_range_table(curves)}\n\nCurves: {run_dir / 'lr_range.png'}")
    return curves


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
    batches = sample_batches(records, "train", **order)
    (batch,) = batches.take(1).as_numpy_iterator()
    ids = ", ".join(name.decode() for name in batch["sample_id"])
    clipping = "" if config.recipe.clip_norm else ", or --clip-norm 1"
    return UserError(
        f"the {error.what} is not finite in epoch {error.epoch + 1}, step "
        f"{error.step + 1}, at {scheduler.phase.resolution} px, samples {ids}; try a "
        f"learning rate below {config.recipe.learning_rate:g}{clipping}. "
        f"Checkpoints from before are in {run_dir}."
    )


def _plain_pipeline(records: Records, split: str, phase: Phase) -> tf.data.Dataset:
    return make_pipeline(
        records, split, resolution=phase.resolution, batch_size=phase.batch_size
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


def _finish(
    run_dir: Path,
    model: DSResNet,
    records: Records,
    phases: Sequence[Phase],
    history: dict[str, list[float]],
) -> RunResult:
    phase = phases[-1]
    inputs, labels = _pictured_samples(records, phase.resolution)
    predictions = model.predict_on_batch(inputs)
    with writing_to(run_dir):
        with replacing(run_dir / "model.keras") as part:
            model.save(part)
        figures.save_curves(run_dir / "curves.png", history, CURVES)
        figures.save_prediction_figure(run_dir / PREDICTIONS, inputs, labels, predictions)
    scores = {
        split: evaluate(model, _plain_pipeline(records, split, phase))
        for split in SPLITS
        if split != "train" and records.size(split)
    }
    summary = speed_summary([dataclasses.asdict(each) for each in phases], history)
    print(f"\nSpeed:\n{summary}")
    if scores:
        print(f"\nScores at {phase.resolution} px:\n{score_table(scores)}")
    with writing_to(run_dir), replacing(run_dir / SCORES) as part:
        content = {"resolution": phase.resolution, "scores": scores}
        part.write_text(json.dumps(content, indent=2) + "\n")
    write_report(run_dir)
    print(f"\nRun folder: {run_dir}; look at {run_dir / REPORT} first")
    return RunResult(run_dir, history, scores)
