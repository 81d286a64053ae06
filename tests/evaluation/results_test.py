"""Means and intervals of groups of samples, and of scenes."""

import numpy as np
import pytest

from keras_depthseg.evaluation.intervals import sample_intervals, scene_intervals
from keras_depthseg.evaluation.results import (
    ALL_SCENES,
    SCORES,
    Condition,
    SampleScores,
    pooled,
    summarise,
)


def _rows(values, groups, score="mask_hard_iou"):
    return [
        SampleScores(f"s{i}", f"bg{i % 3}", f"fg{i % 2}", group, {score: value})
        for i, (value, group) in enumerate(zip(values, groups, strict=True))
    ]


def test_splits():
    a, b = np.random.default_rng(0).random((2, 12))
    a[4] = np.nan
    groups = ["val"] * 6 + ["unseen_bg"] * 6
    condition = Condition(
        "clean", {"model": _rows(a, groups), "rows": _rows(b, groups, "depth_rmse")}
    )
    summary = summarise(condition, seed=3)
    assert list(summary) == ["val", "unseen_bg"]
    value = summary["val"]["model"]["mask_hard_iou"]
    assert value.value == pytest.approx(np.nanmean(a[:6]), abs=1e-12)
    assert value.samples == 5
    bg, fg = [f"bg{i % 3}" for i in range(6)], [f"fg{i % 2}" for i in range(6)]
    limits = sample_intervals(np.stack([a, b], axis=1)[:6], bg, fg, seed=3)
    assert (value.low, value.high) == pytest.approx(limits[:, 0], abs=1e-12)
    # A program has no scores of what it does not give.
    assert list(summary["val"]["rows"]) == ["depth_rmse"]
    means = pooled(condition)
    assert means["rows"]["depth_rmse"] == pytest.approx(b.mean(), abs=1e-12)
    assert np.isnan(means["rows"]["mask_hard_iou"])


def test_scenes_count_alike():
    values = np.array([0.0, 0.2, 0.4, 1.0])
    scenes = ["yard", "yard", "yard", "road"]
    summary = summarise(Condition("clean", {"model": _rows(values, scenes)}), scenes=True)
    assert list(summary) == ["yard", "road", ALL_SCENES]
    assert summary["yard"]["model"]["mask_hard_iou"].value == pytest.approx(0.2)
    assert np.isnan(summary["yard"]["model"]["mask_hard_iou"].low)
    everything = summary[ALL_SCENES]["model"]["mask_hard_iou"]
    assert everything.value == pytest.approx(0.6)
    limits = scene_intervals(values[:, None], scenes)
    assert (everything.low, everything.high) == pytest.approx(limits[:, 0])
    assert everything.samples == 4


def test_all_scores_have_a_column():
    assert len(SCORES) == 14
    assert SCORES[2] == "mask_hard_iou"
