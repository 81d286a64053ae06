"""Curves of a training run as SVG, in the colours of the page that holds them."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from keras_depthseg.figures import save_figure
from keras_depthseg.training.history import History, values_of

_CURVES = ("loss", "mask_hard_iou", "mask_soft_iou", "depth_rmse")
# On light paper; the page has variables of these names, with other values for dark.
_COLOURS = {
    "ink": "#1b1f24",
    "faint": "#5b6470",
    "line": "#d5dae0",
    "train": "#1f68ab",
    "val": "#b4500f",
}
# Beyond, markers touch each other and are most of the page's bytes.
_MARKED_EPOCHS = 60


def curves_svg(history: History) -> str:
    """Draws what changed from epoch to epoch, phases shaded, for a page to hold.

    Loss, mask IoU and depth RMSE with their validation, learning rate and seconds a step,
    as far as `history` has them. Colours are the page's CSS variables `--ink`, `--faint`,
    `--line`, `--train` and `--val`, without them those of light paper.

    Args:
        history: value an epoch, by name, as `History.history`; `None` and NaN are gaps.

    Returns:
        `<svg>` elements, one after the other; empty without epochs.
    """
    plots = {name: (name, f"val_{name}") for name in _CURVES}
    plots |= {name: (name,) for name in ("learning_rate", "step_seconds")}
    return "\n".join(
        _plot(title, names, history)
        for title, names in plots.items()
        if any(np.isfinite(values_of(history, name)).any() for name in names)
    )


def _plot(name: str, columns: Sequence[str], history: History) -> str:
    epochs = _epochs(history)
    figure = Figure(figsize=(4.4, 3.0), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
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
    _mark_phases(axes, epochs, history.get("resolution", ()))
    title = "seconds a step" if name == "step_seconds" else column_title(name)
    axes.set_title(title, fontsize=10, color=_COLOURS["ink"], pad=16)
    axes.set_xlabel("epoch", fontsize=8, color=_COLOURS["faint"])
    axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.tick_params(which="both", labelsize=8, colors=_COLOURS["faint"])
    axes.yaxis.get_offset_text().set_fontsize(8)
    axes.grid(color=_COLOURS["line"], linewidth=0.6)
    axes.spines[:].set_color(_COLOURS["line"])
    return _svg(figure, title)


def _mark_phases(axes, epochs: np.ndarray, resolutions: Sequence[float | None]) -> None:
    start = 0
    for number, (side, phase) in enumerate(itertools.groupby(resolutions)):
        end = start + len(list(phase))
        left, right = epochs[start] - 0.5, epochs[end - 1] + 0.5
        start = end
        if number % 2:
            axes.axvspan(left, right, color=_COLOURS["line"], alpha=0.4, lw=0, zorder=0)
        if side is not None:
            axes.text(
                (left + right) / 2,
                1.02,
                f"{side:g} px",
                transform=axes.get_xaxis_transform(),
                ha="center",
                fontsize=7,
                color=_COLOURS["faint"],
            )


def _svg(figure: Figure, title: str) -> str:
    data = io.BytesIO()
    # Names of parts are hashes of the salt and the part: no two plots may share one.
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(data)
    svg = data.getvalue().decode()
    svg = svg[svg.index("<svg ") :]
    # The metadata has a date, a style would be one of the whole page, and names without
    # a hash are in every plot.
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", svg, flags=re.S)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)
    # The letters of the page, too.
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title} by epoch" ', 1)


def _epochs(history: History) -> np.ndarray:
    """Numbers of the epochs, from 1."""
    epochs = values_of(history, "epoch")
    if np.isfinite(epochs).all():
        return epochs + 1
    return np.arange(1.0, len(epochs) + 1)


def column_title(name: str) -> str:
    """A column of the history or the scores, for people."""
    words = {"iou": "IoU", "rmse": "RMSE", "mae": "MAE", "f1": "F1"}
    return " ".join(words.get(word, word) for word in name.split("_"))


def save_curves(
    path: str | Path, history: Mapping[str, Sequence[float]], names: Sequence[str]
) -> None:
    """Draws training and validation curves, one plot a name, phases shaded, as a PNG.

    Args:
        path: of the PNG.
        history: `History.history`: lists with a value an epoch; with `resolution`.
        names: keys of `history`; `val_` curves are drawn beside them where present.
    """
    names = [name for name in names if name in history]
    epochs = np.arange(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(4.2 * len(names), 3.4), dpi=120, layout="constrained")
    for i, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), i + 1)
        axes.plot(epochs, history[name], "o-", markersize=3, label="train")
        if f"val_{name}" in history:
            axes.plot(epochs, history[f"val_{name}"], "s-", markersize=3, label="val")
        _mark_png_phases(axes, history["resolution"])
        axes.set_title(name)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save_figure(figure, path)


def _mark_png_phases(axes, resolutions: Sequence[int]) -> None:
    starts = [
        i for i, side in enumerate(resolutions) if i == 0 or side != resolutions[i - 1]
    ]
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(resolutions)
        if number % 2:
            axes.axvspan(start + 0.5, end + 0.5, color="0.93", zorder=0)
        axes.text(
            (start + end + 1) / 2,
            0.99,
            f"{resolutions[start]} px",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=7,
            color="0.4",
        )
