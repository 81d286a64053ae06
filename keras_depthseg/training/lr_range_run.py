"""A learning-rate range test of a configuration, with its table, CSV file and figure."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from keras_depthseg.figures import save_figure
from keras_depthseg.files import replacing
from keras_depthseg.text import text_table
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import (
    _open,
    _resolved,
    make_model,
    training_batches,
)
from keras_depthseg.training.lr_range import LRRange, LRRangeCurve, lr_range_test
from keras_depthseg.training.run_folder import at_work_in, check_run_dir, writing_to


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
                save_lr_range_curves(run_dir / "lr_range.png", curves)
    print(f"\n{lr_range_table(curves)}\n\nCurves: {run_dir / 'lr_range.png'}")
    return curves


_COLUMNS = ("start", "end", "iterations", "loss", "learning rate", "suggestion")


_CSV_COLUMNS = (
    *("start", "end", "iterations"),
    *("iteration", "learning_rate", "loss", "smoothed"),
)


def lr_range_table(curves: Sequence[LRRangeCurve]) -> str:
    """A text table with a row a curve, as in the document of the original project.

    `loss` is the lowest smoothed loss, `learning rate` where it was; `suggestion` is
    `LRRangeCurve.suggestion`. Behind a row that diverged stands at which iteration.
    """
    rows = [(*_COLUMNS, "")]
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
    """Writes a row a step: range, iteration from 1, learning rate, loss, smoothed."""
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
    """Draws loss over learning rate, one plot a curve, as a PNG.

    The smoothed loss over that of single batches (faint), with the lowest and the
    suggested learning rate marked. The loss axis ends a little above what came before the
    lowest, for one that diverges would flatten all else.
    """
    rows = math.ceil(len(curves) / 3)
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
