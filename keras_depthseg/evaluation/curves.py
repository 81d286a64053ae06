"""Draws score against strength for each effect of a sweep, as SVG for a page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from keras_depthseg.augment.effects import EFFECTS
from keras_depthseg.evaluation.results import Condition, pooled
from keras_depthseg.pages.plots import PAGE_COLOURS, page_axes, page_svg, style_axes
from keras_depthseg.text import column_title

_STYLES = (("train", "o", "-"), ("val", "s", "--"), ("other", "^", ":"))


def sweep_svg(clean: Condition, sweep: Sequence[Condition], score: str) -> str:
    """Draw one plot for each effect, a line for each program that has the score.

    Args:
        clean: the samples without an effect.
        sweep: conditions of single effects, each from weak to strong.
        score: such as `mask_hard_iou`.

    Returns:
        `<svg>` elements, one after the other; empty if no program has the score.
    """
    return "\n".join(
        _plot(effect, [clean, *conditions], score)
        for effect, conditions in by_effect(sweep).items()
        if any(values[score] == values[score] for values in pooled(clean).values())
    )


def by_effect(sweep: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Return the conditions of each effect."""
    effects: dict[str, list[Condition]] = {}
    for condition in sweep:
        effects.setdefault(condition.effect or "", []).append(condition)
    return effects


def _plot(name: str, conditions: Sequence[Condition], score: str) -> str:
    effect = EFFECTS[name]
    scores = [pooled(condition) for condition in conditions]
    strengths = [effect.none, *(condition.strength for condition in conditions[1:])]
    figure, axes = page_axes()
    styles = cycle(_STYLES)
    for program in scores[-1]:
        values = [score_of[program][score] for score_of in scores]
        if all(value != value for value in values):
            continue
        colour, marker, line = next(styles)
        axes.plot(
            values,
            marker=marker,
            color=PAGE_COLOURS[colour],
            linestyle=line,
            linewidth=1.4,
            markersize=3,
            label=program,
        )
    title = name.replace("_", " ")
    style_axes(axes, title, f"{effect.unit}")
    # Evenly spaced, as strengths mostly double.
    axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    if score.startswith("mask"):
        axes.set_ylim(0, 1.02)
    else:
        axes.set_ylim(bottom=0)
    if len(axes.lines) > 1:
        axes.legend(fontsize=7, frameon=False, labelcolor=PAGE_COLOURS["ink"])
    return page_svg(figure, f"{column_title(score)} by strength of {title}")
