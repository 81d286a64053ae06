"""The history of a training: values an epoch, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

History = Mapping[str, Sequence[float | None]]


def values_of(history: History, name: str) -> np.ndarray:
    """Values an epoch, NaN where there is none: (epochs,) float64."""
    values = np.array(
        history.get(name) or [None] * epoch_count(history), dtype=np.float64
    )
    return np.where(np.isfinite(values), values, np.nan)


def epoch_count(history: History) -> int:
    """Number of epochs."""
    return len(next(iter(history.values()), ()))
