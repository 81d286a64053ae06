"""The history of a training run: a value for each epoch, by name."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

History = Mapping[str, Sequence[float | None]]


def values_of(history: History, name: str) -> np.ndarray:
    """Return the values of all epochs, NaN where there is none: (epochs,) float64."""
    values = np.array(
        history.get(name) or [None] * epoch_count(history), dtype=np.float64
    )
    return np.where(np.isfinite(values), values, np.nan)


def epoch_count(history: History) -> int:
    """Return the number of epochs."""
    return len(next(iter(history.values()), ()))


def phases_of(history: History) -> list[tuple[range, float | None]]:
    """Return the epochs of each phase, from 0, and its resolution in pixels.

    Phases are told apart by the column `phase`. Where that is missing, as in runs of
    version 0.1, a phase ends where the resolution changes.
    """
    epochs = range(epoch_count(history))
    resolutions = history.get("resolution") or [None] * len(epochs)
    numbers = history.get("phase") or [None]
    if None in numbers:
        numbers = [None] * len(epochs)
    phases = []
    for (_, resolution), group in itertools.groupby(
        epochs, key=lambda epoch: (numbers[epoch], resolutions[epoch])
    ):
        group = list(group)
        phases.append((range(group[0], group[-1] + 1), resolution))
    return phases
