"""95 % bootstrap intervals of mean scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

_RESAMPLES = 1000
_PERCENT = (2.5, 97.5)
_BATCH = 50
"""Resamples at a time, for memory: each needs a weight a sample."""


def sample_intervals(
    values: np.ndarray, bg_ids: Sequence[str], fg_ids: Sequence[str], seed: int = 0
) -> np.ndarray | None:
    """Return intervals of the means over samples.

    Samples of one background, or of one cutout, are alike, so that samples must not be
    drawn one by one. Backgrounds and cutouts are drawn with replacement, each for itself,
    and a sample's weight is the product of the numbers of times that its two were drawn.
    Source: Owen 2007, The pigeonhole bootstrap, https://doi.org/10.1214/07-AOAS122.

    Args:
        values: (N, K) float64, a row a sample and a column a score, of any number of
            programs; NaN where undefined.
        bg_ids, fg_ids: N names.
        seed: of the draws, which all columns share.

    Returns:
        (2, K): low and high; NaN for a column with defined values of fewer than two
        backgrounds or two cutouts; `None` if all samples have fewer.
    """
    return _intervals(values, (bg_ids, fg_ids), seed)


def scene_intervals(
    values: np.ndarray, scenes: Sequence[str], seed: int = 0
) -> np.ndarray | None:
    """Return intervals of the means over scenes, which are drawn with replacement.

    Args:
        values: (N, K) float64, a row a pair; NaN where undefined.
        scenes: N names.
        seed: of the draws, which all columns share.

    Returns:
        (2, K): low and high; NaN for a column with defined values of fewer than two
        scenes; `None` if there are fewer.
    """
    names, means = scene_means(values, scenes)
    return _intervals(means, (names,), seed)


def scene_means(
    values: np.ndarray, scenes: Sequence[str]
) -> tuple[list[str], np.ndarray]:
    """Return the names of the scenes, in order, and their means over pairs, (S, K).

    Args:
        values: (N, K) float64; NaN where undefined, which is left out.
        scenes: N names.
    """
    names, index = np.unique(np.asarray(scenes, str), return_inverse=True)
    member = np.arange(len(names))[:, None] == index
    return names.tolist(), _means(member.astype(np.float64), values)


def _intervals(
    values: np.ndarray, groupings: Sequence[Sequence[str]], seed: int
) -> np.ndarray | None:
    indices = [
        np.unique(np.asarray(ids, str), return_inverse=True)[1] for ids in groupings
    ]
    sizes = [int(index.max(initial=-1)) + 1 for index in indices]
    if min(sizes) < 2:
        return None

    def mean(*drawn: np.ndarray, axis: int) -> np.ndarray:
        del axis  # always the last one
        weights = np.ones(len(values))
        for groups, index in zip(drawn, indices, strict=True):
            weights = weights * _counts(groups)[..., index]
        return np.moveaxis(_means(weights, values), -1, 0)

    with warnings.catch_warnings():
        # Draws without any defined value are left out below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            [np.arange(size) for size in sizes],
            mean,
            n_resamples=_RESAMPLES,
            batch=_BATCH,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    means = result.bootstrap_distribution
    few = [
        min(len(np.unique(index[column])) for index in indices) < 2
        for column in np.isfinite(values).T
    ]
    means[few] = 0.0  # not only NaN, of which NumPy would warn
    limits = np.nanpercentile(means, _PERCENT, axis=-1)
    limits[:, few] = np.nan
    return limits


def _counts(drawn: np.ndarray) -> np.ndarray:
    """Return how often each of n groups is among n drawn ones, along the last axis."""
    rows = drawn.reshape(-1, drawn.shape[-1])
    count, size = rows.shape
    flat = (rows + size * np.arange(count)[:, None]).ravel()
    return np.bincount(flat, minlength=rows.size).reshape(drawn.shape)


def _means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return weighted means over the defined values: weights (…, N), values (N, K)."""
    defined = np.isfinite(values)
    total = weights @ np.where(defined, values, 0.0)
    count = weights @ defined.astype(np.float64)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
