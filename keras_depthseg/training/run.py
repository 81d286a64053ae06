"""A training run: trains, scores and describes a model in a run folder."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from pathlib import Path

from keras_depthseg import figures
from keras_depthseg.backend import backend_name, software_versions
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.scores import evaluate, score_table
from keras_depthseg.files import replacing
from keras_depthseg.model import TwoPictureNetwork
from keras_depthseg.processor import computes_with
from keras_depthseg.schedule import format_schedule
from keras_depthseg.training.checkpoints import latest
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.curves import save_curves
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.fit import fit
from keras_depthseg.training.report import write_report
from keras_depthseg.training.run_files import read_config, write_json
from keras_depthseg.training.run_folder import RunFolder
from keras_depthseg.training.speed import speed_summary

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        run_dir: the run folder.
        history: a value for each epoch, by name.
        scores: scores by split, see `evaluation.scores.evaluate`.
    """

    run_dir: Path
    history: dict[str, list[float]]
    scores: dict[str, dict[str, float]]


def train(
    config: RunConfig,
    run_dir: str | os.PathLike,
    *,
    resume: bool = False,
    verbose: str | int = "auto",
) -> RunResult:
    """Train a model and leave a run folder; `RunFolder` names its files.

    A run that was stopped by Ctrl-C, SIGTERM or a crash is resumed with `resume` from the
    last saved position: the same batches, weights, optimizer, learning rate, metrics and
    history as if it had not been stopped; with `config.deterministic` the same bits.

    Messages go to the logger `keras_depthseg`.

    Args:
        config: how to train on which data.
        run_dir: the run folder; must be new or empty, or with `resume` the folder of a
            run with the same configuration.
        resume: resume the run in the folder.
        verbose: as for `keras.Model.fit`.

    Raises:
        UserError: if the configuration or the data cannot be used or differ from those
            of the run (nothing is written then), if a file cannot be written, or if a
            loss or gradient is not finite.
        KeyboardInterrupt: if the process was asked to stop; the position is saved then.
    """
    experiment = Experiment(config)
    folder = RunFolder(run_dir)
    if resume:
        _check_can_resume(experiment, folder)
    else:
        folder.check_new()
    with folder.locked():
        start = latest(folder) if resume else None
        model = experiment.model()
        if not resume:
            with folder.writing(remedy="free some space and start again"):
                experiment.config.save(
                    folder,
                    samples=experiment.samples,
                    depth=dict(experiment.data.depth),
                    parameters=model.count_params(),
                    command=sys.argv,
                    versions=software_versions(),
                    computes_with=computes_with(experiment.config.precision),
                    augment_sha256=experiment.augment_digest,
                    composites_sha256=experiment.data.digest,
                    start_from_sha256=experiment.start_digest,
                )
        counts = ", ".join(f"{name} {n}" for name, n in experiment.samples.items())
        logger.info("Data: %s (%s)", experiment.config.described_data, counts)
        experiment.data.tell_missing_splits()
        logger.info(
            "Model: width %d, %s weights, %s",
            *(experiment.config.recipe.width, f"{model.count_params():,}"),
            experiment.config.precision,
        )
        if experiment.start is not None:
            logger.info("Starting from: %s", experiment.config.start_from)
        logger.info(
            "Schedule (resolution:epochs:batch): %s", format_schedule(experiment.phases)
        )
        logger.info("Run folder: %s", folder)
        if start is not None:
            logger.info("Resuming in epoch %d, step %d", start.epoch + 1, start.step + 1)
        history = fit(experiment, model, folder, start, verbose)
        return _finish(experiment, model, folder, history)


def _check_can_resume(experiment: Experiment, folder: RunFolder) -> None:
    experiment.config.require_same(folder)
    config = read_config(folder)
    backend = config["versions"].get("backend")
    if backend != backend_name():
        raise UserError(
            f"{folder}: this run uses another Keras backend: received "
            f"{backend_name()}, it has {backend}; set KERAS_BACKEND={backend} "
            "to resume, or choose another `run_dir`."
        )
    if config["samples"] != experiment.samples:
        raise UserError(
            f"{experiment.config.described_data}: this data set has changed since the "
            f"run began: received {experiment.samples}, it had {config['samples']}; "
            "start a new run."
        )
    if config.get("augment_sha256") != experiment.augment_digest:
        raise UserError(
            f"{experiment.config.recipe.augment}: this file has changed since the run "
            "began; restore it, or start a new run."
        )
    if config.get("composites_sha256") != experiment.data.digest:
        raise UserError(
            f"{experiment.config.described_data}: a picture has changed since the run "
            "began; restore it, or start a new run."
        )
    if config.get("start_from_sha256") != experiment.start_digest:
        raise UserError(
            f"{experiment.config.start_from}: this model has changed since the run "
            "began; restore it, or start a new run."
        )
    if folder.report.exists():  # Written last.
        raise UserError(
            f"{folder}: this run is finished; start a new one in another `run_dir`."
        )
    changed = [
        f"{name} {config['versions'][name]}, now {version}"
        for name, version in software_versions().items()
        if config["versions"].get(name, version) != version
    ]
    if changed:
        logger.warning(
            "%s: begun with %s: resumed, perhaps not to the same bits",
            *(folder, "; ".join(changed)),
        )


def _finish(
    experiment: Experiment,
    model: TwoPictureNetwork,
    folder: RunFolder,
    history: dict[str, list[float]],
) -> RunResult:
    """Save, draw, score and describe the trained model."""
    phase = experiment.phases[-1]
    model.resolution = phase.resolution
    inputs, labels = experiment.pictured_samples(phase.resolution)
    predictions = model.predict_on_batch(inputs)
    with folder.writing():
        with replacing(folder.model) as part:
            model.save(part)
        save_curves(folder.curves, history)
        figures.save_prediction_figure(folder.predictions, inputs, labels, predictions)
    scores = {
        split: evaluate(model, experiment.split_batches(split, phase))
        for split in SPLITS
        if split != "train" and experiment.data.size(split)
    }
    phases = [dataclasses.asdict(each) for each in experiment.phases]
    logger.info(
        "\nSpeed (%s):\n%s",
        computes_with(experiment.config.precision),
        speed_summary(phases, history),
    )
    if scores:
        logger.info("\nScores at %d px:\n%s", phase.resolution, score_table(scores))
    with folder.writing():
        write_json(folder.scores, {"resolution": phase.resolution, "scores": scores})
    write_report(folder)
    logger.info("\nRun folder: %s; open %s first", folder, folder.report)
    return RunResult(folder.path, history, scores)
