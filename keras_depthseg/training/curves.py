"""Draws the history of a training run, as a PNG file or as SVG for a page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from keras_depthseg.figures import save_figure
from keras_depthseg.training.history import History, phases_of, values_of

CURVES = ("loss", "mask_hard_iou", "mask_soft_iou", "depth_rmse")
"""The columns that are drawn with their validation."""

# On white paper; a page has CSS variables of these names, with other values for dark.
_COLOURS = {
    "ink": "#1b1f24",
    "faint": "#5b6470",
    "line": "#d5dae0",
    "train": "#1f68ab",
    "val": "#b4500f",
}
# With more epochs markers would touch, and be most of the page's bytes.
_MARKED_EPOCHS = 60
_SIZE = (4.4, 3.0)


def save_curves(path: str | Path, history: History) -> None:
    """Draw losses and scores of training and validation over epochs, as a PNG.

    Args:
        path: of the PNG.
        history: a value for each epoch by name; `None` and NaN are gaps.

    Raises:
        OSError: if the file cannot be written.
    """
    names = [name for name in CURVES if _has_values(history, name)]
    width, height = _SIZE
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


def column_title(name: str) -> str:
    """Return the heading of a column of the history or of the scores."""
    words = {"iou": "IoU", "rmse": "RMSE", "mae": "MAE", "f1": "F1"}
    return " ".join(words.get(word, word) for word in name.split("_"))


def _has_values(history: History, name: str) -> bool:
    return bool(np.isfinite(values_of(history, name)).any())


def _plot(name: str, columns: Sequence[str], history: History) -> str:
    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    _draw(axes, name, columns, history)
    return _svg(figure, axes.get_title())


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
                color=_COLOURS[label],
                linestyle="-" if label == "train" else "--",
                linewidth=1.4,
                markersize=3,
                label=label,
            )
    if len(columns) > 1:
        axes.legend(fontsize=8, frameon=False, labelcolor=_COLOURS["ink"])
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
    axes.set_title(title, fontsize=10, color=_COLOURS["ink"], pad=16)
    axes.set_xlabel("epoch", fontsize=8, color=_COLOURS["faint"])
    axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.tick_params(which="both", labelsize=8, colors=_COLOURS["faint"])
    axes.yaxis.get_offset_text().set_fontsize(8)
    axes.grid(color=_COLOURS["line"], linewidth=0.6)
    axes.spines[:].set_color(_COLOURS["line"])


def _mark_phases(axes: Axes, epochs: np.ndarray, history: History) -> None:
    for number, (phase, resolution) in enumerate(phases_of(history)):
        left, right = epochs[phase.start] - 0.5, epochs[phase.stop - 1] + 0.5
        if number % 2:
            axes.axvspan(left, right, color=_COLOURS["line"], alpha=0.4, lw=0, zorder=0)
        if resolution is not None:
            axes.text(
                (left + right) / 2,
                1.02,
                f"{resolution:g} px",
                transform=axes.get_xaxis_transform(),
                ha="center",
                fontsize=7,
                color=_COLOURS["faint"],
            )


def _svg(figure: Figure, title: str) -> str:
    data = io.BytesIO()
    # Ids in the file are hashes of the salt and the part: no two plots may share one.
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(data)
    svg = data.getvalue().decode()
    svg = svg[svg.index("<svg ") :]
    # The metadata has a date, a style would apply to the whole page, and ids without a
    # hash occur in every plot.
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", svg, flags=re.S)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)
    # Use the page's font.
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title} by epoch" ', 1)


def _epochs(history: History) -> np.ndarray:
    """The numbers of the epochs, from 1."""
    epochs = values_of(history, "epoch")
    if np.isfinite(epochs).all():
        return epochs + 1
    return np.arange(1.0, len(epochs) + 1)
