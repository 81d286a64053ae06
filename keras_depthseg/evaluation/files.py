"""Writes scores.json and samples.csv of an evaluation."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_depthseg.evaluation.evaluate import Evaluation
from keras_depthseg.evaluation.results import SCORES, Summary, pooled
from keras_depthseg.evaluation.table import group_samples
from keras_depthseg.files import replacing
from keras_depthseg.text import printable


def write_scores(
    path: Path,
    about: Mapping[str, Any],
    evaluation: Evaluation,
    summaries: Mapping[str, Summary],
) -> None:
    """Write scores.json, all numbers at full precision.

    Args:
        path: of the file.
        about: what was scored and how, in front of the scores.
        evaluation: the scores.
        summaries: by the title of the condition.

    Raises:
        OSError: if the file cannot be written.
    """
    content = {
        **about,
        "scores": {title: _groups(summary) for title, summary in summaries.items()},
    }
    if evaluation.sweep:
        content["sweep"] = [
            {
                "effect": condition.effect,
                "strength": condition.strength,
                "scores": {
                    program: {
                        name: value for name, value in scores.items() if value == value
                    }
                    for program, scores in pooled(condition).items()
                },
            }
            for condition in evaluation.sweep
        ]
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _groups(summary: Summary) -> dict[str, Any]:
    return {
        group: {
            "samples": group_samples(programs),
            "programs": {
                program: {
                    name: {
                        key: number
                        for key, number in value._asdict().items()
                        if not math.isnan(number)
                    }
                    for name, value in scores.items()
                }
                for program, scores in programs.items()
            },
        }
        for group, programs in summary.items()
    }


def write_samples(path: Path, evaluation: Evaluation) -> None:
    """Write samples.csv: a row for each condition, program and sample; empty if NaN.

    Names are on one line, see `printable`.

    Raises:
        OSError: if the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["condition", "program", "group", "sample_id", "bg_id", "fg_id"]
    writer.writerow([*head, *SCORES])
    for condition in (*evaluation.conditions, *evaluation.sweep):
        for program, rows in condition.programs.items():
            for row in rows:
                values = (row.scores.get(name, math.nan) for name in SCORES)
                names = row.group, row.sample_id, row.bg_id, row.fg_id
                writer.writerow(
                    [condition.title, program, *map(printable, names)]
                    + ["" if math.isnan(value) else value for value in values]
                )
    with replacing(path) as part:
        part.write_text(text.getvalue(), encoding="utf-8")
