"""Scores of each image against plain NumPy and the metrics of training."""

import cv2
import numpy as np
import pytest

from keras_depthseg.evaluation.per_image import (
    DEPTH_SCORES,
    MASK_SCORES,
    depth_scores,
    mask_scores,
)
from keras_depthseg.metrics import evaluation_metrics
from tests.support import numpy_scores


def _maps(seed, shape=(4, 48, 40)):
    """Soft blobs, and noisy copies of them."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape)
    blobs = np.stack([cv2.GaussianBlur(x, (0, 0), 5) * 9 for x in noise])
    true = np.clip(blobs + 0.4, 0, 1).astype(np.float32)
    predicted = np.clip(true + rng.normal(size=shape) * 0.2, 0, 1).astype(np.float32)
    return true[..., None], predicted[..., None]


def _assert_equal(scores, names, images):
    assert tuple(scores) == names
    for name, values in scores.items():
        assert values.dtype == np.float64
        expected = [image[name] for image in images]
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", ["all known", "partly known"])
def test_masks_equal_plain_numpy(case):
    true, predicted = _maps(0)
    true[1] = 0  # an empty mask
    true[2] = predicted[2] = 0
    known = None
    if case == "partly known":
        known = np.random.default_rng(1).random(true.shape) < 0.9
        known[:, 10:30, 5:20] = False
        known[3] = False
    images = [
        numpy_scores.mask_scores(
            true[i, ..., 0],
            predicted[i, ..., 0],
            None if known is None else known[i, ..., 0],
        )
        for i in range(len(true))
    ]
    scores = mask_scores(true, predicted, known)
    _assert_equal(scores, MASK_SCORES, images)
    assert scores["mask_hard_iou"][1] == 0
    assert scores["mask_hard_iou"][2] == scores["mask_boundary_f1"][2] == 1
    assert np.isnan(scores["mask_hard_iou"][3]) == (known is not None)


def test_depth_equals_plain_numpy():
    true, predicted = _maps(2)
    true[0, :20] = 0
    true[2] = 0  # nothing known
    images = [
        numpy_scores.depth_scores(a, b) for a, b in zip(true, predicted, strict=True)
    ]
    scores = depth_scores(true, predicted)
    _assert_equal(scores, DEPTH_SCORES, images)
    assert np.isnan(scores["depth_rmse"][2])


def test_means_equal_the_metrics_of_training():
    true, predicted = _maps(3)
    scores = mask_scores(true, predicted) | depth_scores(true, predicted)
    for output, metrics in evaluation_metrics(from_logits=False).items():
        for metric in metrics:
            metric.update_state(true, predicted)
            mean = np.nanmean(scores[f"{output}_{metric.name}"])
            assert float(metric.result()) == pytest.approx(mean, rel=1e-6)


def test_what_is_predicted_where_unknown_changes_only_neighbours():
    true, predicted = _maps(4)
    known = np.ones(true.shape, bool)
    known[:, 20:40, 10:30] = False
    other = np.where(known, predicted, 1 - predicted)
    first, second = (mask_scores(true, p, known) for p in (predicted, other))
    for name in ("soft_iou", "soft_iou_ceiling", "hard_iou", "mad", "mse"):
        np.testing.assert_array_equal(first[f"mask_{name}"], second[f"mask_{name}"])


def test_a_boundary_among_unknown_pixels_is_right():
    true = np.zeros((1, 40, 40, 1), np.float32)
    true[:, 10:30, 10:30] = 1
    known = np.ones(true.shape, bool)
    known[:, 5:35, 5:35] = False
    known[:, 14:26, 14:26] = True
    predicted = np.zeros_like(true)
    predicted[:, 7:32, 13:28] = 1
    scores = mask_scores(np.where(known, true, 0), predicted, known)
    assert scores["mask_boundary_f1"] == scores["mask_hard_iou"] == 1
    assert scores["mask_grad"] == scores["mask_conn"] == 0
    assert mask_scores(true, predicted)["mask_boundary_f1"] < 0.8
