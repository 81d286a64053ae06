"""Pictures for people: prediction grids and training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Depth runs from near (bright) to far (dark), as depth is mostly shown.
DEPTH_COLOURS = "magma_r"

_COLUMNS = ("bg", "fg_bg", "mask", "predicted mask", "depth", "predicted depth")


def prediction_grid(
    inputs: Mapping, labels: Mapping | None, predictions: Mapping
) -> np.ndarray:
    """One row a sample: bg, fg_bg, mask, predicted mask, depth, predicted depth.

    Args:
        inputs: `bg`, `fg_bg`: (B, H, W, 3) in 0..255.
        labels: `mask`, `depth`: (B, H, W, 1) in [0, 1]; `None` leaves their columns out.
        predictions: `mask`, `depth`: (B, H, W, 1) in [0, 1].

    Returns:
        (rows, columns, 3) uint8 RGB; depth of a row is coloured on one scale.
    """
    rows = []
    for i in range(len(predictions["mask"])):
        predicted_depth = np.asarray(predictions["depth"][i, ..., 0])
        depths = [predicted_depth]
        if labels is not None:
            depths.insert(0, np.asarray(labels["depth"][i, ..., 0]))
        # The truth sets the scale of its row, so that the prediction can be compared.
        low, high = np.percentile(depths[0], (1, 99))
        cells = [np.asarray(inputs[name][i]) for name in ("bg", "fg_bg")]
        if labels is not None:
            cells.append(_grey(labels["mask"][i]))
        cells.append(_grey(predictions["mask"][i]))
        cells += [colour_depth(depth, low, high) for depth in depths]
        rows.append(np.concatenate([_framed(cell) for cell in cells], axis=1))
    return np.concatenate(rows, axis=0)


def colour_depth(depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """(H, W) depth to (H, W, 3) uint8 colours between `low` (near) and `high` (far)."""
    scaled = np.clip((depth - low) / max(high - low, 1e-6), 0.0, 1.0)
    return (matplotlib.colormaps[DEPTH_COLOURS](scaled)[..., :3] * 255).astype(np.uint8)


def _grey(mask) -> np.ndarray:
    # A model that has diverged predicts NaN: black.
    levels = (np.nan_to_num(np.asarray(mask)) * 255).round().astype(np.uint8)
    return np.repeat(levels, 3, axis=-1)


def _framed(cell: np.ndarray) -> np.ndarray:
    return np.pad(cell.astype(np.uint8), ((1, 1), (1, 1), (0, 0)), constant_values=255)


def save_prediction_figure(
    path: str | Path, inputs: Mapping, labels: Mapping, predictions: Mapping
) -> None:
    """Writes `prediction_grid` with headings as a PNG."""
    grid = prediction_grid(inputs, labels, predictions)
    height, width = grid.shape[:2]
    figure = Figure(figsize=(10, 10 * height / width + 0.35), dpi=150)
    axes = figure.add_axes((0, 0, 1, (10 * height / width) / figure.get_figheight()))
    axes.imshow(grid, interpolation="nearest", aspect="auto")
    axes.axis("off")
    for i, name in enumerate(_COLUMNS):
        axes.text(
            (i + 0.5) * width / len(_COLUMNS),
            -0.01 * width,
            name,
            ha="center",
            va="bottom",
            fontsize=9,
        )
    _save(figure, path)


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
        _mark_phases(axes, history["resolution"])
        axes.set_title(name)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    _save(figure, path)


def _mark_phases(axes, resolutions: Sequence[int]) -> None:
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


def _save(figure: Figure, path: str | Path) -> None:
    FigureCanvasAgg(figure).print_png(str(path))
