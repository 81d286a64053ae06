"""The pictures and plots of a data card, as bytes."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_depthseg.datasets.inspection.card_statistics import AREA_BINS, BOX_BINS
from keras_depthseg.datasets.inspection.levels import Levels
from keras_depthseg.figures import colour_depth

_CHANNELS = {1: {"values": "0.25"}, 3: {"red": "C3", "green": "C2", "blue": "C0"}}
# No measurement: a grey that the colours of depth do not have.
_UNMEASURED = 160


def depth_picture(depth: np.ndarray, metric: bool) -> np.ndarray:
    """Return depth in colours over its own range, near bright.

    Args:
        depth: (H, W) uint8 or uint16.
        metric: whether 0 means not measured, which is then grey.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    measured = depth > 0 if metric else np.ones(depth.shape, bool)
    if not measured.any():
        return np.full((*depth.shape, 3), _UNMEASURED, np.uint8)
    low, high = np.percentile(depth[measured], (1, 99))
    colours = colour_depth(depth.astype(np.float64), low, high)
    return np.where(measured[..., None], colours, np.uint8(_UNMEASURED))


def histogram(title: str, levels: Levels, scale: float = 1.0, label: str = "") -> bytes:
    """Plot shares of the pixels by value, a line for each channel, as a PNG.

    Args:
        title: above the plot.
        levels: the values.
        scale: full scale on the axis.
        label: of the axis.
    """
    shares = levels.shares()
    figure, axes = _figure(title)
    edges = np.linspace(0, scale, shares.shape[1] + 1)
    for (name, colour), channel in zip(
        _CHANNELS[len(shares)].items(), shares, strict=True
    ):
        axes.stairs(channel * 100, edges, baseline=None, color=colour, label=name)
    if len(shares) > 1:
        axes.legend(fontsize=8)
    axes.set_xlabel(label or "value, 0 to 1")
    axes.set_ylabel("% of the pixels")
    # Most of a mask is 0: on a linear axis its other values would vanish.
    if shares.max() > 0.3:
        axes.set_yscale("log")
        axes.set_ylim(bottom=1e-3)
    axes.set_xlim(0, scale)
    return _png(figure)


def heat_map(heat: np.ndarray) -> bytes:
    """Plot a mean mask, (H, W) in 0..1, as a PNG."""
    figure, axes = _figure("mean mask: where the foreground is")
    shown = axes.imshow(heat, extent=(0, 1, 1, 0), vmin=0, cmap="viridis")
    figure.colorbar(shown, ax=axes)
    axes.set_xlabel("x, of the width")
    axes.set_ylabel("y, of the height")
    return _png(figure)


def area_histogram(areas: np.ndarray) -> bytes:
    """Plot samples by the share of the picture that the foreground covers, as a PNG."""
    figure, axes = _figure("mask area")
    axes.stairs(areas, np.linspace(0, 1, AREA_BINS + 1), fill=True, color="C0")
    last = np.flatnonzero(areas).max(initial=0)
    axes.set_xlim(0, min((last + 2) / AREA_BINS, 1))
    axes.set_xlabel("mean mask")
    axes.set_ylabel("samples")
    return _png(figure)


def box_histogram(boxes: np.ndarray) -> bytes:
    """Plot samples by height (rows) and width (columns) of the box, as a PNG."""
    figure, axes = _figure(f"box sizes, {BOX_BINS} x {BOX_BINS} bins")
    shown = axes.imshow(
        np.where(boxes, boxes, np.nan), extent=(0, 1, 0, 1), origin="lower", vmin=0
    )
    figure.colorbar(shown, ax=axes, label="samples")
    axes.set_xlabel("width, of the picture's")
    axes.set_ylabel("height, of the picture's")
    return _png(figure)


def _figure(title: str):
    figure = Figure(figsize=(4.4, 3.1), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    # Without the name and version of Matplotlib: same data, same bytes.
    FigureCanvasAgg(figure).print_png(data, metadata={"Software": None})
    return data.getvalue()
