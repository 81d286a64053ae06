"""Describes an evaluation on one HTML page: tables, worst samples, curves."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_depthseg.augment.effects import EFFECTS
from keras_depthseg.evaluation.curves import by_effect, sweep_svg
from keras_depthseg.evaluation.evaluate import Evaluation
from keras_depthseg.evaluation.results import (
    ALL_SCENES,
    SCORES,
    Summary,
    Value,
    pooled,
)
from keras_depthseg.evaluation.table import format_value, group_samples
from keras_depthseg.figures import COLUMNS, ERROR_LEGENDS
from keras_depthseg.pages.html_page import shell_command, write_page
from keras_depthseg.text import column_title

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
# Pixels.
_PICTURE_WIDTH = 1100
_SWEPT = ("mask_hard_iou", "depth_rmse")


def write_report(
    path: Path,
    about: Mapping[str, Any],
    evaluation: Evaluation,
    summaries: Mapping[str, Summary],
) -> None:
    """Write the page, one file that needs no other; arguments as of `write_scores`.

    Raises:
        UserError: if the page cannot be written.
    """
    worst = evaluation.worst
    columns = COLUMNS if worst.has_depth else COLUMNS[: COLUMNS.index("depth")]
    write_page(
        path,
        _TEMPLATE,
        {
            "name": about["name"],
            "facts": about["facts"],
            "scenes": evaluation.scenes,
            "tables": [
                (title if len(summaries) > 1 else "", _tables(summary, evaluation.scenes))
                for title, summary in summaries.items()
            ],
            "worst": [
                (_caption(sample, len(summaries) > 1), _jpeg(sample.picture))
                for sample in worst.samples()
            ],
            "columns": [
                f"{name} ({ERROR_LEGENDS[name]})" if name in ERROR_LEGENDS else name
                for name in columns
            ],
            "sweep": _sweep(evaluation),
            "command": shell_command(about["command"]),
            "versions": {"computes with": about["computes_with"], **about["versions"]},
        },
    )


def _tables(summary: Summary, scenes: bool) -> list[tuple[str, list[list]]]:
    """Return captions and tables of masks and of depth.

    Cells are texts, or pairs of a value and its interval. Of a split, or of all scenes,
    there is a row a program; of single scenes the program that is evaluated has a row a
    scene.
    """
    if not scenes:
        return [
            (_title(group, "sample", programs), table)
            for group, programs in summary.items()
            for table in _by_kind(programs)
        ]
    everything = summary[ALL_SCENES]
    program = next(iter(everything))
    single = {
        f"{group} ({group_samples(programs)})": programs[program]
        for group, programs in summary.items()
        if group != ALL_SCENES
    }
    title = _title(ALL_SCENES, "pair", everything)
    return [(title, table) for table in _by_kind(everything)] + [
        (f"each scene (pairs), {program}", table) for table in _by_kind(single)
    ]


def _title(group: str, unit: str, programs: Mapping[str, Mapping[str, Value]]) -> str:
    count = group_samples(programs)
    return f"{group}, {count:,} {unit}{'' if count == 1 else 's'}"


def _by_kind(rows: Mapping[str, Mapping[str, Value]]) -> list[list[list]]:
    """Return a table of mask scores and one of depth scores, without empty ones."""
    tables = []
    for kind in ("mask", "depth"):
        shown = [
            name
            for name in sorted(SCORES, key=lambda name: name != "mask_hard_iou")
            if name.startswith(kind) and any(name in values for values in rows.values())
        ]
        table: list[list] = [
            [kind, *(column_title(name.partition("_")[2]) for name in shown)]
        ]
        for row, values in rows.items():
            if any(name in values for name in shown):
                cells = (_cell(name, values.get(name)) for name in shown)
                table.append([row, *cells])
        if shown:
            tables.append(table)
    return tables


def _cell(name: str, value: Value | None) -> tuple[str, str]:
    text, _, interval = format_value(name, value, interval=True).partition(" ")
    return text, interval.strip("()")


def _caption(worst, several: bool) -> str:
    sample = worst.sample
    scores = [
        f"{column_title(name)} {format_value(name, Value(value, np.nan, np.nan, 1))}"
        for name in ("mask_hard_iou", "mask_mad", "depth_rmse")
        if (value := sample.scores.get(name, np.nan)) == value
    ]
    where = f"{sample.group}, {worst.title}" if several else sample.group
    return f"{sample.sample_id} ({where}): {', '.join(scores)}"


def _sweep(evaluation: Evaluation) -> dict[str, Any] | None:
    if not evaluation.sweep:
        return None
    clean = evaluation.conditions[0]
    everything = pooled(clean)
    names = list(pooled(evaluation.sweep[0]))
    columns = [
        (program, score)
        for score in _SWEPT
        for program in names
        if everything[program][score] == everything[program][score]
    ]
    rows = [["effect", "strength"]]
    rows[0] += [f"{column_title(score)}: {program}" for program, score in columns]

    def row(effect: str, strength: str, scores: Mapping) -> list[str]:
        values = [scores[program][score] for program, score in columns]
        return [effect, strength, *(f"{value:.3f}" for value in values)]

    rows.append(row(clean.title, "", everything))
    for effect, conditions in by_effect(evaluation.sweep).items():
        for condition in conditions:
            strength = f"{condition.strength:g} {EFFECTS[effect].unit}"
            rows.append(row(effect.replace("_", " "), strength, pooled(condition)))
    return {
        "samples": len(next(iter(clean.programs.values()))),
        "curves": [
            (column_title(score), svg)
            for score in _SWEPT
            if (svg := sweep_svg(clean, evaluation.sweep, score))
        ],
        "rows": rows,
        "meanings": {
            effect: f"{EFFECTS[effect].description} ({EFFECTS[effect].unit})"
            for effect in by_effect(evaluation.sweep)
        },
    }


def _jpeg(picture: np.ndarray) -> str:
    data = io.BytesIO()
    image = Image.fromarray(picture)
    # At most twice as high as wide, so that no picture can outgrow the page.
    image.thumbnail((_PICTURE_WIDTH, 2 * _PICTURE_WIDTH))
    image.save(data, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
