"""Scores of a split against plain NumPy, and their table."""

import numpy as np

from keras_depthseg.evaluation.scores import evaluate, score_table
from keras_depthseg.pipeline import make_pipeline
from tests.support.numpy_scores import DEPTH_NAMES, MASK_NAMES, mean_scores
from tests.support.tiny_data import TinyDataTestCase

NAMES = [
    *("samples", "mask_soft_iou", "mask_soft_iou_ceiling", "mask_hard_iou"),
    *("mask_boundary_f1", "depth_rmse", "depth_mae", "depth_abs_rel"),
    *("depth_delta1", "depth_delta2", "depth_delta3"),
]


class _Guess:
    """Takes a picture's red for the mask and nearly its green for the depth."""

    def predict_on_batch(self, inputs):
        picture = np.asarray(inputs["fg_bg"], "float32") / 255
        return {"mask": picture[..., :1], "depth": 0.9 * picture[..., 1:2] + 0.013}


class _Copy:
    """Predicts the labels, which it is given."""

    def __init__(self, batches):
        self._labels = [labels for _, labels in batches]

    def predict_on_batch(self, inputs):
        return {name: x.numpy() for name, x in self._labels.pop(0).items()}


def _numpy_scores(batches):
    ((inputs, labels),) = batches.unbatch().batch(999).as_numpy_iterator()
    maps = _Guess().predict_on_batch(inputs)
    mask, depth = (mean_scores(labels[name], maps[name]) for name in ("mask", "depth"))
    return {
        **{f"mask_{name}": mask[name] for name in MASK_NAMES},
        "mask_soft_iou_ceiling": mean_scores(labels["mask"], labels["mask"])["soft_iou"],
        **{f"depth_{name}": depth[name] for name in DEPTH_NAMES},
    }


class EvaluateTest(TinyDataTestCase):
    def _batches(self, batch_size, split="unseen_bg", resolution=32):
        return make_pipeline(
            self.records, split, resolution=resolution, batch_size=batch_size
        )

    def test_equals_numpy_whatever_the_batch_size(self):
        size = len(self._batches(1))
        expected = _numpy_scores(self._batches(1))
        for batch_size in (5, 100):
            scores = evaluate(_Guess(), self._batches(batch_size))
            self.assertEqual(list(scores), NAMES)
            self.assertEqual(scores["samples"], size)
            for name, value in expected.items():
                self.assertIsInstance(scores[name], float)
                self.assertNear(scores[name], value, 1e-5 * max(1, value), name)

    def test_a_perfect_copy_reaches_the_ceiling(self):
        # Interpolated masks are soft, those of the stored size are not.
        for resolution, ceiling in ((96, (0.8, 0.995)), (64, (1 - 1e-6, 1 + 1e-6))):
            batches = self._batches(4, resolution=resolution)
            scores = evaluate(_Copy(batches), batches)
            self.assertNear(
                scores["mask_soft_iou"], scores["mask_soft_iou_ceiling"], 1e-6
            )
            self.assertBetween(scores["mask_soft_iou_ceiling"], *ceiling)
            self.assertNear(scores["mask_boundary_f1"], 1.0, 1e-6)
            self.assertNear(scores["depth_rmse"], 0.0, 1e-6)

    def test_table(self):
        scores = {
            "val": {"samples": 12, "mask_soft_iou": 0.5, "depth_rmse": 0.12346},
            "unseen_both": {"samples": 1234567, "mask_soft_iou": 0.25, "depth_rmse": 1.0},
        }
        self.assertEqual(
            score_table(scores),
            "split        samples  mask_soft_iou  depth_rmse\n"
            "val               12         0.5000      0.1235\n"
            "unseen_both  1234567         0.2500      1.0000",
        )

    def test_table_of_a_split_without_depth(self):
        scores = {
            "val": {"samples": 12, "depth_rmse": 0.12346},
            "unseen_bg": {"samples": 9},
        }
        self.assertEqual(
            score_table(scores),
            "split      samples  depth_rmse\n"
            "val             12      0.1235\n"
            "unseen_bg        9           –",
        )
