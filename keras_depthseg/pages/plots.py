"""Plots inside HTML pages, in the colours of the page."""

from __future__ import annotations

import io
import re

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# On white paper; `page.html.jinja` has CSS variables of these names, with other values
# for dark.
PAGE_COLOURS = {
    "ink": "#1b1f24",
    "faint": "#5b6470",
    "line": "#d5dae0",
    "train": "#1f68ab",
    "val": "#b4500f",
    "other": "#3a7d44",
}
PLOT_SIZE = (4.4, 3.0)
"""Inches."""


def page_axes() -> tuple[Figure, Axes]:
    """Return a figure and its axes, without a background."""
    figure = Figure(figsize=PLOT_SIZE, layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    return figure, axes


def style_axes(axes: Axes, title: str, xlabel: str, pad: float = 6) -> None:
    """Give axes the look of the pages; `pad` is the room below the title, in points."""
    axes.set_title(title, fontsize=10, color=PAGE_COLOURS["ink"], pad=pad)
    axes.set_xlabel(xlabel, fontsize=8, color=PAGE_COLOURS["faint"])
    axes.tick_params(which="both", labelsize=8, colors=PAGE_COLOURS["faint"])
    axes.yaxis.get_offset_text().set_fontsize(8)
    axes.grid(color=PAGE_COLOURS["line"], linewidth=0.6)
    axes.spines[:].set_color(PAGE_COLOURS["line"])


def page_svg(figure: Figure, description: str) -> str:
    """Return an `<svg>` element.

    Args:
        figure: drawn in `PAGE_COLOURS`, which become the page's CSS variables.
        description: for those who cannot see it; differs from plot to plot of a page.
    """
    data = io.BytesIO()
    # Ids in the file are hashes of the salt and the part: no two plots may share one.
    with matplotlib.rc_context({"svg.hashsalt": description, "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(data)
    svg = data.getvalue().decode()
    svg = svg[svg.index("<svg ") :]
    # The metadata has a date, a style would apply to the whole page, and ids without a
    # hash occur in every plot.
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", svg, flags=re.S)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)
    # Use the page's font.
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for name, colour in PAGE_COLOURS.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)
