"""Draws the history of a training run, as a PNG file or as SVG for a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from keras_depthseg.figures import save_figure
from keras_depthseg.pages.plots import (
    PAGE_COLOURS,
    PLOT_SIZE,
    page_axes,
    page_svg,
    style_axes,
)
from keras_depthseg.text import column_title
from keras_depthseg.training.history import History, phases_of, values_of

CURVES = ("loss", "mask_hard_iou", "mask_soft_iou", "depth_rmse")
"""The columns that are drawn with their validation."""

# With more epochs markers would touch, and be most of the page's bytes.
_MARKED_EPOCHS = 60


def save_curves(path: str | Path, history: History) -> None:
    """Draw losses and scores of training and validation over epochs, as a PNG.

    Args:
        path: of the PNG.
        history: a value for each epoch by name; `None` and NaN are gaps.

    Raises:
        OSError: if the file cannot be written.
    """
    names = [name for name in CURVES if _has_values(history, name)]
    width, height = PLOT_SIZE
    figure = Figure(
        figsize=(width * max(1, len(names)), height), dpi=120, layout="constrained"
    )
    for i, name in enumerate(names, start=1):
        axes = figure.add_subplot(1, len(names), i)
        _draw(axes, name, (name, f"val_{name}"), history)
    save_figure(figure, path)


def curves_svg(history: History) -> str:
    """Draw the history for a page, one plot for each quantity, phases shaded.

    Losses and scores of training and validation, learning rate and seconds a step, where
    the history has them. Colours are the page's CSS variables `--ink`, `--faint`,
    `--line`, `--train` and `--val`; without them those of white paper.

    Args:
        history: a value for each epoch by name; `None` and NaN are gaps.

    Returns:
        `<svg>` elements, one after the other; empty without epochs.
    """
    plots = {name: (name, f"val_{name}") for name in CURVES}
    plots |= {name: (name,) for name in ("learning_rate", "step_seconds")}
    return "\n".join(
        _plot(name, columns, history)
        for name, columns in plots.items()
        if any(_has_values(history, column) for column in columns)
    )


def _has_values(history: History, name: str) -> bool:
    return bool(np.isfinite(values_of(history, name)).any())


def _plot(name: str, columns: Sequence[str], history: History) -> str:
    figure, axes = page_axes()
    _draw(axes, name, columns, history)
    return page_svg(figure, f"{axes.get_title()} by epoch")


def _draw(axes: Axes, name: str, columns: Sequence[str], history: History) -> None:
    epochs = _epochs(history)
    values = np.empty(0)
    for column, label, marker in zip(columns, ("train", "val"), "os", strict=False):
        values = values_of(history, column)
        if np.isfinite(values).any():
            axes.plot(
                epochs,
                values,
                marker=marker if len(epochs) <= _MARKED_EPOCHS else None,
                color=PAGE_COLOURS[label],
                linestyle="-" if label == "train" else "--",
                linewidth=1.4,
                markersize=3,
                label=label,
            )
    if len(columns) > 1:
        axes.legend(fontsize=8, frameon=False, labelcolor=PAGE_COLOURS["ink"])
    if name == "learning_rate" and np.nanmin(values) > 0:
        narrow = 1 < np.nanmax(values) / np.nanmin(values) < 5
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(
            LogLocator(subs=range(1, 10) if narrow else (1, 2, 5))
        )
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    _mark_phases(axes, epochs, history)
    title = "seconds a step" if name == "step_seconds" else column_title(name)
    style_axes(axes, title, "epoch", pad=16)
    axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _mark_phases(axes: Axes, epochs: np.ndarray, history: History) -> None:
    for number, (phase, resolution) in enumerate(phases_of(history)):
        left, right = epochs[phase.start] - 0.5, epochs[phase.stop - 1] + 0.5
        if number % 2:
            axes.axvspan(
                left, right, color=PAGE_COLOURS["line"], alpha=0.4, lw=0, zorder=0
            )
        if resolution is not None:
            axes.text(
                (left + right) / 2,
                1.02,
                f"{resolution:g} px",
                transform=axes.get_xaxis_transform(),
                ha="center",
                fontsize=7,
                color=PAGE_COLOURS["faint"],
            )


def _epochs(history: History) -> np.ndarray:
    """The numbers of the epochs, from 1."""
    epochs = values_of(history, "epoch")
    if np.isfinite(epochs).all():
        return epochs + 1
    return np.arange(1.0, len(epochs) + 1)
