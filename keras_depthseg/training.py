"""One training run: data, model, phases, and a run folder with what came of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg import figures
from keras_depthseg.callbacks import PredictionPictures, ResolutionScheduler
from keras_depthseg.datasets.opening import Records, open_records, require_depth
from keras_depthseg.datasets.records import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation import evaluate, score_table
from keras_depthseg.losses import combination
from keras_depthseg.metrics import training_metrics
from keras_depthseg.model import ORIGINAL_STATISTICS, DSResNet
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.recipes import Recipe
from keras_depthseg.schedule import Phase, format_schedule, parse_schedule

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
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


def train(
    data_dir: str | Path,
    run_dir: str | Path,
    recipe: Recipe,
    *,
    batch_size: int = 16,
    precision: str = "auto",
    seed: int = 0,
) -> RunResult:
    """Trains a model and leaves a run folder.

    The folder holds config.json, history.csv, checkpoints/ (weights of every epoch),
    tensorboard/, model.keras, curves.png, predictions.png and scores.json.

    Args:
        data_dir: a folder of records.
        run_dir: the run folder; must be new or empty.
        recipe: how to train.
        batch_size: of the phases whose schedule gives none.
        precision: one of `PRECISIONS`; `auto` is `mixed_bfloat16` where the processor or
            the GPU computes in it, else float32.
        seed: of the weights, the order of the samples and the colour changes.

    Raises:
        UserError: if an argument or the data is bad (nothing has been written then), or
            training diverges.
    """
    phases = parse_schedule(recipe.schedule, batch_size)
    policy = resolve_precision(precision)
    records = open_records(data_dir)
    require_depth(records)
    if not records.size("train"):
        raise UserError(f"{data_dir}: the split 'train' is empty; nothing to train on.")
    validation_split = "val" if records.size("val") else None
    check_run_dir(run_dir)

    keras.utils.set_random_seed(seed)
    model = DSResNet(
        recipe.width, records.statistics or ORIGINAL_STATISTICS, dtype=policy
    )
    model.compile(
        optimizer=recipe.make_optimizer(),
        metrics=training_metrics(),
        **combination(recipe.loss),
    )
    # Else Keras makes its variables inside the training step, which is then traced twice:
    # ten seconds on a slow core.
    model.optimizer.build(model.trainable_variables)
    run_dir = _make_run_dir(run_dir)
    _write_json(
        run_dir / "config.json",
        {
            "data": str(Path(data_dir).resolve()),
            "depth": dict(records.depth),
            "recipe": dataclasses.asdict(recipe),
            "phases": [dataclasses.asdict(phase) for phase in phases],
            "precision": policy,
            "seed": seed,
            "parameters": model.count_params(),
            "command": sys.argv,
            "versions": {
                "python": platform.python_version(),
                "keras": keras.__version__,
                "tensorflow": tf.__version__,
                "backend": keras.backend.backend(),
            },
        },
    )
    print(
        f"Data: {data_dir} ("
        + ", ".join(f"{name} {records.size(name)}" for name in SPLITS)
        + f")\nModel: width {recipe.width}, {model.count_params():,} weights, {policy}"
        f"\nSchedule (resolution:epochs:batch): {format_schedule(phases)}"
        f"\nRun folder: {run_dir}"
    )

    scheduler = ResolutionScheduler(
        phases,
        train=lambda phase: make_pipeline(
            records,
            "train",
            resolution=phase.resolution,
            batch_size=phase.batch_size,
            augment=recipe.augment,
            shuffle=True,
            seed=seed,
        ),
        validation=validation_split
        and (lambda phase: _plain_pipeline(records, validation_split, phase)),
    )
    history = scheduler.fit(
        model,
        callbacks=[
            *_training_callbacks(recipe, phases, bool(validation_split)),
            *_recording_callbacks(run_dir, records, scheduler),
        ],
    ).history
    if not math.isfinite(history["loss"][-1]):
        raise UserError(
            f"the loss became {history['loss'][-1]} in epoch {len(history['loss'])}; "
            f"try a learning rate below {recipe.learning_rate:g}. Weights of the epochs "
            f"before are in {run_dir / 'checkpoints'}."
        )
    return _finish(run_dir, model, records, phases[-1], history)


def resolve_precision(precision: str) -> str:
    """The dtype policy for a value of `--precision`.

    Raises:
        UserError: if it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f"unknown precision: received {precision!r}; accepted are "
            f"{', '.join(PRECISIONS)}."
        )
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _computes_in_bfloat16() else "float32"


def _computes_in_bfloat16() -> bool:
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        # NVIDIA's from compute capability 8.0 (Ampere).
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    # Without the instructions bfloat16 is emulated, several times slower than float32.
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def check_run_dir(run_dir: str | Path) -> None:
    """Looks whether a run may have this folder, and makes nothing.

    Raises:
        UserError: if it is not a folder or not empty.
    """
    try:
        occupied = Path(run_dir).exists() and any(Path(run_dir).iterdir())
    except OSError as error:
        raise _unusable(run_dir, error) from error
    if occupied:
        raise UserError(
            f"{run_dir}: this folder is not empty; a run needs one of its own, choose "
            "another --run-dir."
        )


def _make_run_dir(run_dir: str | Path) -> Path:
    check_run_dir(run_dir)
    try:
        Path(run_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(run_dir, error) from error
    return Path(run_dir)


def _unusable(run_dir: str | Path, error: OSError) -> UserError:
    return UserError(
        f"{run_dir}: cannot be made a run folder ({error.strerror}); choose another "
        "--run-dir."
    )


def _plain_pipeline(records: Records, split: str, phase: Phase) -> tf.data.Dataset:
    return make_pipeline(
        records, split, resolution=phase.resolution, batch_size=phase.batch_size
    )


def _training_callbacks(recipe: Recipe, phases: tuple[Phase, ...], has_validation):
    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss" if has_validation else "loss", patience=2, min_lr=1e-6
        ),
    ]
    if recipe.divide_after_first_phase != 1.0:

        def divided(epoch, learning_rate):
            if epoch == phases[0].epochs:
                return learning_rate / recipe.divide_after_first_phase
            return learning_rate

        # First: both note the rate, the other one before it lowers it.
        callbacks.insert(0, keras.callbacks.LearningRateScheduler(divided))
    return callbacks


def _recording_callbacks(run_dir: Path, records: Records, scheduler: ResolutionScheduler):
    (run_dir / "checkpoints").mkdir()
    writer = tf.summary.create_file_writer(str(run_dir / "tensorboard" / "pictures"))

    def publish(epoch, picture):
        with writer.as_default():
            tf.summary.image("predictions", picture[None], step=epoch)
        writer.flush()

    return [
        keras.callbacks.ModelCheckpoint(
            run_dir / "checkpoints" / "epoch-{epoch:03d}.weights.h5",
            save_weights_only=True,
        ),
        keras.callbacks.CSVLogger(run_dir / "history.csv"),
        keras.callbacks.TensorBoard(run_dir / "tensorboard", write_graph=False),
        PredictionPictures(
            lambda resolution: _pictured_samples(records, resolution),
            draw=figures.prediction_grid,
            publish=publish,
            resolution=lambda: scheduler.phase.resolution,
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
    phase: Phase,
    history: dict[str, list[float]],
) -> RunResult:
    # Written beside and renamed: model.keras is whole or not there.
    partial = run_dir / "partial.keras"
    model.save(partial)
    os.replace(partial, run_dir / "model.keras")

    figures.save_curves(run_dir / "curves.png", history, CURVES)
    inputs, labels = _pictured_samples(records, phase.resolution)
    figures.save_prediction_figure(
        run_dir / "predictions.png", inputs, labels, model.predict_on_batch(inputs)
    )
    scores = {
        split: evaluate(model, _plain_pipeline(records, split, phase))
        for split in SPLITS
        if split != "train" and records.size(split)
    }
    _write_json(
        run_dir / "scores.json", {"resolution": phase.resolution, "scores": scores}
    )
    if scores:
        print(f"\nScores at {phase.resolution} px:\n{score_table(scores)}")
    print(f"\nRun folder: {run_dir}")
    return RunResult(run_dir, history, scores)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, default=_as_json) + "\n")


def _as_json(value):
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
