"""Scores of samples, and their means with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_depthseg.evaluation.intervals import (
    sample_intervals,
    scene_intervals,
    scene_means,
)
from keras_depthseg.evaluation.per_image import DEPTH_SCORES, MASK_SCORES

SCORES = (*MASK_SCORES, *DEPTH_SCORES)
"""The names of all scores, in the order of tables."""
ALL_SCENES = "all scenes"


@dataclasses.dataclass(frozen=True)
class SampleScores:
    """The scores of a program on a sample.

    Attributes:
        sample_id, bg_id, fg_id: of the sample; of a pair its name.
        group: its split, or of a pair its scene.
        scores: by name; NaN, or left out, where undefined.
    """

    sample_id: str
    bg_id: str
    fg_id: str
    group: str
    scores: dict[str, float]


@dataclasses.dataclass
class Condition:
    """A data set as it was scored: as it is, or changed as by a capture.

    Attributes:
        title: such as `clean`, `handheld` or `shift 2 px of 224`.
        programs: a row a sample for each program; all have the same samples in the same
            order.
        effect, strength: of a condition of a sweep.
    """

    title: str
    programs: dict[str, list[SampleScores]] = dataclasses.field(default_factory=dict)
    effect: str | None = None
    strength: float | None = None


class Value(NamedTuple):
    """The mean of a score.

    Attributes:
        value: over samples; of `ALL_SCENES` over the means of scenes.
        low, high: of the 95 % interval; NaN where it is undefined.
        samples: how many have this score.
    """

    value: float
    low: float
    high: float
    samples: int


Summary = dict[str, dict[str, dict[str, Value]]]
"""Values by group, program and score; without scores of what a program does not give."""


def summarise(condition: Condition, *, scenes: bool = False, seed: int = 0) -> Summary:
    """Average the scores of each group.

    Args:
        condition: the scores.
        scenes: whether groups are scenes: then `ALL_SCENES` comes last, whose intervals
            are over scenes, and single scenes have none.
        seed: of the intervals.
    """
    programs = list(condition.programs)
    samples = condition.programs[programs[0]]
    table = np.concatenate(
        [_table(condition.programs[program]) for program in programs], axis=1
    )
    groups = np.array([sample.group for sample in samples])
    summary = {}
    for group in dict.fromkeys(groups.tolist()):
        chosen = np.flatnonzero(groups == group)
        limits = None
        if not scenes:
            limits = sample_intervals(
                table[chosen],
                [samples[i].bg_id for i in chosen],
                [samples[i].fg_id for i in chosen],
                seed,
            )
        summary[group] = _by_program(
            programs, table[chosen], mean_defined(table[chosen]), limits
        )
    if scenes:
        means = mean_defined(scene_means(table, groups.tolist())[1])
        limits = scene_intervals(table, groups.tolist(), seed)
        summary[ALL_SCENES] = _by_program(programs, table, means, limits)
    return summary


def pooled(condition: Condition) -> dict[str, dict[str, float]]:
    """Return the means over all samples, whatever their group, by program and score."""
    return {
        program: dict(zip(SCORES, mean_defined(_table(rows)).tolist(), strict=True))
        for program, rows in condition.programs.items()
    }


def mean_defined(table: np.ndarray) -> np.ndarray:
    """Return the means of columns over what is not NaN; NaN where nothing is left."""
    defined = np.isfinite(table)
    counts = defined.sum(axis=0)
    totals = np.where(defined, table, 0.0).sum(axis=0)
    return np.divide(
        totals, counts, out=np.full(table.shape[1], np.nan), where=counts > 0
    )


def _table(samples: Sequence[SampleScores]) -> np.ndarray:
    """Return (N, K) float64, a column a score."""
    rows = [[sample.scores.get(name, np.nan) for name in SCORES] for sample in samples]
    return np.array(rows, np.float64).reshape(len(samples), len(SCORES))


def _by_program(
    programs: Sequence[str],
    table: np.ndarray,
    means: np.ndarray,
    limits: np.ndarray | None,
) -> dict[str, dict[str, Value]]:
    low, high = limits if limits is not None else np.full((2, table.shape[1]), np.nan)
    counts = np.isfinite(table).sum(axis=0)
    values: dict[str, dict[str, Value]] = {program: {} for program in programs}
    names = [(program, name) for program in programs for name in SCORES]
    for column, (program, name) in enumerate(names):
        if counts[column]:
            values[program][name] = Value(
                float(means[column]),
                float(low[column]),
                float(high[column]),
                int(counts[column]),
            )
    return values
