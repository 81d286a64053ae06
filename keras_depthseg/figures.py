"""Pictures for people: grids of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_depthseg.files import replacing
from keras_depthseg.shapes import VALID_DEPTH

# Depth runs from near (bright) to far (dark), as depth is mostly shown.
DEPTH_COLOURS = "magma_r"

# A depth error of this share of the range of the row's true depth has full colour.
FULL_DEPTH_ERROR = 0.25

_NEUTRAL_GREY = 128
COLUMNS = (
    *("bg", "fg_bg", "mask", "predicted mask", "mask error"),
    *("depth", "predicted depth", "depth error"),
)
ERROR_LEGENDS = {
    "mask error": "red: false, blue: missed",
    "depth error": "red: too far, blue: too near",
}


def prediction_grid(
    inputs: Mapping, labels: Mapping | None, predictions: Mapping
) -> np.ndarray:
    """Draw a row a sample: bg, fg_bg, mask, predicted mask and error, depth likewise.

    Depth of a row is coloured on one scale, that of the truth. Errors are black where the
    prediction is right, red where it is too large (false foreground, depth too far), blue
    where it is too small; full colour is 1 for masks and `FULL_DEPTH_ERROR` of the range
    of the row's true depth. Unknown depth (at most 1e-4 in the labels) and its error are
    grey, and so is the error of a prediction that is NaN.

    Args:
        inputs: `bg`, `fg_bg`: (B, H, W, 3) in 0..255.
        labels: `mask`, `depth`: (B, H, W, 1) in [0, 1]; with `None` there are no columns
            of labels and errors.
        predictions: `mask`, `depth`: (B, H, W, 1) in [0, 1].

    Returns:
        (rows, columns, 3) uint8 RGB; each cell has a white frame of 1 pixel.
    """
    rows = []
    for i in range(len(predictions["mask"])):
        cells = [np.asarray(inputs[name][i]) for name in ("bg", "fg_bg")]
        mask, depth = (np.asarray(predictions[name][i]) for name in ("mask", "depth"))
        if labels is None:
            low, high = np.percentile(depth, (1, 99))
            cells += [_grey(mask), colour_depth(depth[..., 0], low, high)]
        else:
            cells += _masks_with_truth(np.asarray(labels["mask"][i]), mask)
            cells += _depths_with_truth(np.asarray(labels["depth"][i]), depth)
        rows.append(np.concatenate([_framed(cell) for cell in cells], axis=1))
    return np.concatenate(rows, axis=0)


def _masks_with_truth(y_true: np.ndarray, y_pred: np.ndarray) -> list[np.ndarray]:
    """Draw masks (H, W, 1): the true one, the predicted one and the error."""
    return [_grey(y_true), _grey(y_pred), _colour_error((y_pred - y_true)[..., 0])]


def _depths_with_truth(y_true: np.ndarray, y_pred: np.ndarray) -> list[np.ndarray]:
    """Draw depths (H, W, 1): the true one, the predicted one and the error."""
    y_true, y_pred = y_true[..., 0], y_pred[..., 0]
    known = y_true > VALID_DEPTH
    # The truth sets the scale of its row, so that the prediction can be compared.
    low, high = np.percentile(y_true[known], (1, 99)) if known.any() else (0.0, 1.0)
    truth = colour_depth(y_true, low, high)
    truth[~known] = _NEUTRAL_GREY
    error = (y_pred - y_true) / (FULL_DEPTH_ERROR * max(high - low, 1e-6))
    return [
        truth,
        colour_depth(y_pred, low, high),
        _colour_error(np.where(known, error, np.nan)),
    ]


def _colour_error(error: np.ndarray) -> np.ndarray:
    """Colour errors (H, W) as (H, W, 3) uint8: -1 blue, 0 black, 1 red, NaN grey."""
    levels = np.clip(np.nan_to_num(error), -1.0, 1.0)[..., None]
    # Pure blue is too dark beside pure red.
    red, blue = np.array([255, 64, 48]), np.array([64, 160, 255])
    colours = np.where(levels > 0, levels * red, -levels * blue).round().astype(np.uint8)
    colours[np.isnan(error)] = _NEUTRAL_GREY
    return colours


def colour_depth(depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colour depth (H, W) as (H, W, 3) uint8, from `low` (near) to `high` (far)."""
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
    """Write `prediction_grid` with headings as a PNG."""
    grid = prediction_grid(inputs, labels, predictions)
    height, width = grid.shape[:2]
    figure = Figure(figsize=(10, 10 * height / width + 0.42), dpi=150)
    axes = figure.add_axes((0, 0, 1, (10 * height / width) / figure.get_figheight()))
    axes.imshow(grid, interpolation="nearest", aspect="auto")
    axes.axis("off")
    for i, name in enumerate(COLUMNS):
        centre = (i + 0.5) * width / len(COLUMNS)
        for text, distance, size in (
            (name, 0.016, 9),
            (ERROR_LEGENDS.get(name, ""), 0.004, 6),
        ):
            height = -distance * width
            axes.text(centre, height, text, ha="center", va="bottom", fontsize=size)
    save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG, atomically."""
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(str(part))
