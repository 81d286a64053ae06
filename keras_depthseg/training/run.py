"""A training run: trains, scores and describes a model in a run folder."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from pathlib import Path

from keras_depthseg import figures
from keras_depthseg.backend import software_versions
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.evaluation.scores import evaluate, score_table
from keras_depthseg.files import replacing
from keras_depthseg.model import TwoPictureNetwork
from keras_depthseg.processor import computes_with
from keras_depthseg.schedule import format_schedule
from keras_depthseg.shapes import ceil_div
from keras_depthseg.training.checkpoints import Position, latest
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.curves import save_curves
from keras_depthseg.training.damage_file import (
    keeping_damage,
    read_damage,
    write_damage,
)
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.fit import fit
from keras_depthseg.training.report import write_report
from keras_depthseg.training.resuming import about_data, check_can_resume
from keras_depthseg.training.run_files import write_json
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
    folder = RunFolder(run_dir)
    if resume:
        config.check_places()
    experiment = Experiment(config, read_damage(folder) if resume else None)
    about = None
    if resume:
        about = check_can_resume(experiment, folder)
    else:
        folder.check_new()
    with folder.locked():
        start = _within(latest(folder), experiment) if resume else None
        model = experiment.model()
        if not resume:
            about = {
                **about_data(experiment),
                "depth": dict(experiment.data.depth),
                "parameters": model.count_params(),
                "command": sys.argv,
                "versions": software_versions(),
                "computes_with": computes_with(experiment.config.precision),
            }
        if about is not None:
            with folder.writing(remedy="free some space and start again"):
                if config.skip_damaged:
                    write_damage(folder, experiment.data.damage)
                experiment.config.save(folder, **about)
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
        with keeping_damage(experiment, folder):
            history = fit(experiment, model, folder, start, verbose)
            return _finish(experiment, model, folder, history)


def _within(position: Position | None, experiment: Experiment) -> Position | None:
    """Return the position in an epoch that has fewer steps since records are left out."""
    if position is None or position.epoch == experiment.epochs:
        return position
    of_epoch = [phase for phase in experiment.phases for _ in range(phase.epochs)]
    batch_size = of_epoch[position.epoch].batch_size
    last = ceil_div(experiment.data.size("train"), batch_size) - 1
    return dataclasses.replace(position, step=min(position.step, last))


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
