"""A learning-rate range test of a configuration, with its table, CSV file and figure."""

from __future__ import annotations

import csv
import dataclasses
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from keras_depthseg.datasets.inspection.damage import naming_damage
from keras_depthseg.figures import save_figure
from keras_depthseg.files import replacing
from keras_depthseg.shapes import ceil_div
from keras_depthseg.text import text_table
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.lr_range import LRRange, LRRangeCurve, lr_range_test
from keras_depthseg.training.run_folder import RunFolder

_COLUMNS = ("start", "end", "iterations", "loss", "learning rate", "suggestion")
_CSV_COLUMNS = (
    *("start", "end", "iterations"),
    *("iteration", "learning_rate", "loss", "smoothed"),
)

logger = logging.getLogger(__name__)


def find_learning_rate(
    config: RunConfig,
    run_dir: str | os.PathLike,
    lr_ranges: Sequence[LRRange],
    verbose: int = 1,
) -> list[LRRangeCurve]:
    """Run learning-rate range tests, each from the same new weights.

    At the resolution of the first phase. Writes lr_range.csv and lr_range.png, and logs
    the table.

    Args:
        config: how to train on which data; the learning rate of its recipe is not used.
        run_dir: the folder; must be new or empty.
        lr_ranges: the ranges, in order.
        verbose: 1 shows progress bars, 0 does not.

    Raises:
        UserError: if the configuration or the data cannot be used, or a file cannot be
            written.
    """
    fixed = {"learning_rate_schedule": "plateau", "divide_after_first_phase": 1.0}
    recipe = dataclasses.replace(config.recipe, **fixed)
    experiment = Experiment(dataclasses.replace(config, recipe=recipe))
    folder = RunFolder(run_dir)
    folder.check_new()
    with folder.locked():
        model = experiment.model()
        phase = experiment.phases[0]
        curves = []
        for lr_range in lr_ranges:
            logger.info("Learning rates %s at %d px:", lr_range, phase.resolution)
            batches = experiment.train_batches(phase, epoch=0)
            with naming_damage(experiment.data.records, experiment.data.damage):
                curves.append(lr_range_test(model, batches, lr_range, verbose))
            with folder.writing(
                remedy="free some space and test again in another `run_dir`"
            ):
                write_lr_range_csv(folder.lr_range_table, curves)
                save_lr_range_curves(folder.lr_range_curves, curves)
    logger.info("\n%s\n\nCurves: %s", lr_range_table(curves), folder.lr_range_curves)
    return curves


def lr_range_table(curves: Sequence[LRRangeCurve]) -> str:
    """Return a text table with a row for each curve, as the original project printed it.

    `loss` is the lowest smoothed loss, `learning rate` where it was; `suggestion` is
    `LRRangeCurve.suggestion`. A row that diverged ends with the iteration.
    """
    rows: list[tuple[str, ...]] = [(*_COLUMNS, "")]
    for curve in curves:
        rows.append(
            (
                f"{curve.lr_range.start:g}",
                f"{curve.lr_range.end:g}",
                str(curve.lr_range.iterations),
                f"{curve.lowest_loss:.4g}",
                f"{curve.lowest_at:.2e}",
                f"{curve.suggestion:.2e}",
                f"stopped at iteration {len(curve.losses)}" if curve.diverged else "",
            )
        )
    return text_table(rows, left={len(_COLUMNS)})


def write_lr_range_csv(path: str | Path, curves: Sequence[LRRangeCurve]) -> None:
    """Write a row for each step: range, iteration from 1, learning rate, losses."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_CSV_COLUMNS)
        for curve in curves:
            steps = zip(curve.learning_rates, curve.losses, curve.smoothed, strict=True)
            for iteration, step in enumerate(steps, start=1):
                writer.writerow(
                    [*dataclasses.astuple(curve.lr_range), iteration, *map(float, step)]
                )


def save_lr_range_curves(path: str | Path, curves: Sequence[LRRangeCurve]) -> None:
    """Draw loss over learning rate, one plot for each curve, as a PNG.

    The smoothed loss over that of single batches (faint), with the lowest and the
    suggested learning rate marked. The loss axis ends a little above the losses before
    the lowest: a curve that diverges would flatten the rest.
    """
    rows = ceil_div(len(curves), 3)
    columns = min(len(curves), 3)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), dpi=120, layout="constrained")
    for i, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, i + 1)
        rates = curve.learning_rates
        axes.plot(rates, curve.losses, color="C0", alpha=0.3, linewidth=0.8)
        axes.plot(rates, curve.smoothed, color="C0", label="smoothed loss")
        axes.plot(
            curve.lowest_at,
            curve.lowest_loss,
            "o",
            color="C3",
            label=f"lowest {curve.lowest_loss:.3g} at {curve.lowest_at:.2g}",
        )
        axes.axvline(
            curve.suggestion,
            color="C2",
            linestyle="--",
            label=f"suggestion {curve.suggestion:.2g}",
        )
        before = curve.losses[rates <= curve.lowest_at]
        low = min(before.min(), curve.lowest_loss)
        margin = 0.1 * max(before.max() - low, 1e-6 * before.max())
        axes.set_ylim(low - margin, before.max() + 3 * margin)
        axes.set_xscale("log")
        axes.set_title(str(curve.lr_range), fontsize=10)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower left")
    save_figure(figure, path)
