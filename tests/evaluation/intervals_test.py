"""Bootstrap intervals against theory and a plain loop."""

import numpy as np
import pytest

from keras_depthseg.evaluation.intervals import (
    sample_intervals,
    scene_intervals,
    scene_means,
)


def _crossed(backgrounds, cutouts, rng):
    """A score with an effect of the background and one of the cutout."""
    bg, fg = np.divmod(np.arange(backgrounds * cutouts), cutouts)
    values = rng.normal(size=backgrounds)[bg] + rng.normal(size=cutouts)[fg]
    return values[:, None], bg, fg


def test_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    values, bg, fg = _crossed(20, 30, rng)
    bg_names, fg_names = ([f"{x:02}" for x in ids] for ids in (bg, fg))
    low, high = np.mean(
        [sample_intervals(values, bg_names, fg_names, seed)[:, 0] for seed in range(20)],
        0,
    )
    means = []
    for _ in range(5000):
        weights = [np.bincount(rng.integers(0, n, n), minlength=n) for n in (20, 30)]
        means.append(np.average(values[:, 0], weights=weights[0][bg] * weights[1][fg]))
    spread = np.std(means)
    expected = np.percentile(means, (2.5, 97.5))
    assert (low, high) == pytest.approx(tuple(expected), abs=0.12 * spread)
    # Samples drawn one by one would seem far more certain.
    assert high - low > 3 * 4 * values.std() / np.sqrt(len(values))


def test_depends_on_the_seed_alone():
    values, bg, fg = _crossed(5, 6, np.random.default_rng(1))
    first, again, other = (sample_intervals(values, bg, fg, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # All columns share the draws.
    both = sample_intervals(np.hstack([values, values + 1]), bg, fg)
    np.testing.assert_allclose(both[:, 1], first[:, 0] + 1)


@pytest.mark.parametrize(("bg", "fg"), [("aaaa", "abcd"), ("abcd", "aaaa"), ("", "")])
def test_none_for_one_background_or_cutout(bg, fg):
    assert sample_intervals(np.ones((len(bg), 2)), list(bg), list(fg)) is None


def test_undefined_scores_are_left_out():
    rng = np.random.default_rng(2)
    values, bg, fg = _crossed(8, 9, rng)
    values = np.repeat(values, 3, axis=1)
    values[bg > 0, 1] = np.nan  # defined with one background
    values[:, 2] = np.nan
    intervals = sample_intervals(values, bg, fg)
    assert np.isfinite(intervals[:, 0]).all()
    assert np.isnan(intervals[:, 1:]).all()
    holes = np.where(rng.random(values[:, :1].shape) < 0.3, np.nan, 0.7)
    np.testing.assert_allclose(sample_intervals(holes, bg, fg), 0.7)


def test_pairs_are_averaged_within_a_scene_first():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [10.0, 4.0], [np.nan, 6.0]])
    names, means = scene_means(values, ["b", "b", "a", "a"])
    assert names == ["a", "b"]
    np.testing.assert_array_equal(means, [[10, 5], [2, np.nan]])


def test_scenes_against_the_standard_error():
    rng = np.random.default_rng(3)
    values = np.repeat(rng.normal(size=(200, 1)), 4, axis=0)
    low, high = scene_intervals(values, np.repeat(np.arange(200), 4))[:, 0]
    error = values.std() / np.sqrt(200)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.3 * error
    )
    assert scene_intervals(values, ["one"] * len(values)) is None
