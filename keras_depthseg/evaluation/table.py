"""The table of an evaluation for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from keras_depthseg.evaluation.evaluate import Evaluation
from keras_depthseg.evaluation.results import ALL_SCENES, Summary, Value
from keras_depthseg.text import column_title, text_table

# With the longest names a line has 100 characters.
_COLUMNS = (
    *("mask_hard_iou", "mask_soft_iou", "mask_boundary_f1", "mask_mad"),
    "depth_rmse",
)


def evaluation_table(evaluation: Evaluation, summaries: Mapping[str, Summary]) -> str:
    """Return a table: below each group a row for each program.

    Of single scenes only the evaluated program has a row.

    Args:
        evaluation: what was scored.
        summaries: by the title of the condition.
    """
    shown = [
        name
        for name in _COLUMNS
        if any(
            name in scores
            for summary in summaries.values()
            for programs in summary.values()
            for scores in programs.values()
        )
    ]
    kinds, measures = zip(*(name.split("_", 1) for name in shown), strict=True)
    rows = [["", *kinds], ["", *map(column_title, measures)]]
    for condition in evaluation.conditions:
        title = f", {condition.title}" if len(evaluation.conditions) > 1 else ""
        for group, programs in summaries[condition.title].items():
            samples = group_samples(programs)
            unit = "pair" if evaluation.scenes else "sample"
            count = f"{samples:,} {unit}{'' if samples == 1 else 's'}"
            first, *others = programs.items()
            if evaluation.scenes and group != ALL_SCENES:
                rows.append([f"{group}, {count}", *_cells(first[1], shown)])
                continue
            rows.append([f"{group}{title}, {count}", *[""] * len(shown)])
            for name, scores in (first, *others):
                rows.append([f"  {name}", *_cells(scores, shown)])
    return text_table(rows, left={0})


def group_samples(programs: Mapping[str, Mapping[str, Value]]) -> int:
    """Return the number of samples of a group."""
    return max(
        (value.samples for scores in programs.values() for value in scores.values()),
        default=0,
    )


def _cells(scores: Mapping[str, Value], names: list[str]) -> list[str]:
    return [
        format_value(name, scores.get(name), interval=name == "mask_hard_iou")
        for name in names
    ]


def format_value(name: str, value: Value | None, interval: bool = False) -> str:
    """Return a score as text: `0.914 (0.88 to 0.93)`, `–` where there is none."""
    if value is None:
        return "–"
    decimals = 1 if name in ("mask_mad", "mask_mse") else 3
    text = f"{value.value:.{decimals}f}"
    if not interval or value.low != value.low:
        return text
    return f"{text} ({value.low:.{decimals}f}–{value.high:.{decimals}f})"
