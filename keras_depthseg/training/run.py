"""One training run: data, model, phases, and a run folder with what came of it."""

from __future__ import annotations

import dataclasses
import importlib
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_depthseg import figures
from keras_depthseg.datasets.opening import Records
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.scores import evaluate, score_table
from keras_depthseg.files import replacing
from keras_depthseg.model import DSResNet
from keras_depthseg.schedule import Phase, format_schedule
from keras_depthseg.training.checkpoints import (
    latest,
)
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.curves import save_curves
from keras_depthseg.training.experiment import (
    _open,
    _plain_pipeline,
    _resolved,
    make_model,
)
from keras_depthseg.training.fit import _fit, _pictured_samples
from keras_depthseg.training.report import write_report
from keras_depthseg.training.run_folder import (
    CONFIG,
    PREDICTIONS,
    REPORT,
    SCORES,
    at_work_in,
    check_run_dir,
    writing_to,
)
from keras_depthseg.training.speed import speed_summary

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
        save_curves(run_dir / "curves.png", history, CURVES)
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
