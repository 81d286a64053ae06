import inspect

import cv2
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import metrics
from tests.support import reference
from tests.support.numpy_scores import boundary_f1, mean_scores

MASK_CLASSES = (metrics.SoftIoU, metrics.HardIoU, metrics.BoundaryF1)
CLASSES = (
    *MASK_CLASSES,
    *(metrics.DepthRMSE, metrics.DepthMAE, metrics.DepthAbsRel, metrics.DepthDelta),
)


def _on_maps():
    """All metrics, taking maps in [0, 1]: a dict by name."""
    both = metrics.evaluation_metrics(from_logits=False)
    return {metric.name: metric for metric in both["mask"] + both["depth"]}


def _uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def _blobs(count, side, seed=0):
    """Soft blobs (count, side, side, 1), some of them cut by the frame."""
    noise = _uniform(count, side, side, seed=seed)
    soft = np.stack([cv2.GaussianBlur(image, (0, 0), 2.0) for image in noise])
    return np.clip(6 * (soft - 0.5) + 0.5, 0, 1)[..., None]


def _samples(count=20, side=24):
    """Targets and predictions (y_true, p), with the awkward cases among them."""
    y_true = _blobs(count, side)
    p = np.clip(0.8 * y_true + 0.4 * _uniform(count, side, side, 1, seed=1), 0, 1)
    y_true[1, :5] = 0.0
    y_true[2] = 0.0  # no valid depth, empty mask, something predicted
    y_true[3], p[3] = 0.0, 0.0  # the same, nothing predicted
    y_true[4], p[4] = 1.0, 1.0
    y_true[5, 0, 0] = 1e-4  # not valid depth
    p[6] = 0.0
    return y_true.astype("float32"), p.astype("float32")


def _score(metric, y_true, p, batch=None):
    metric.reset_state()
    batch = batch or len(y_true)
    for start in range(0, len(y_true), batch):
        stop = start + batch
        metric.update_state(y_true[start:stop], p[start:stop])
    return float(metric.result())


class ReferenceTest(tf.test.TestCase, parameterized.TestCase):
    """Against the metrics of the original, which pool a batch."""

    @parameterized.parameters(
        (metrics.DepthRMSE, {"per": "batch"}, "depth", "metric_rmse"),
        (metrics.DepthMAE, {"per": "batch"}, "depth", "metric_mae"),
        (metrics.DepthAbsRel, {"per": "batch"}, "depth", "metric_abs_rel"),
        (metrics.SoftIoU, {}, "mask", "metric_soft_iou"),
    )
    def test_correctness(self, cls, arguments, output, number):
        arrays = reference.arrays()
        value = _score(cls(**arguments), arrays[output], arrays[f"loss_{output}_logits"])
        self.assertAllClose(value, reference.numbers()[number], rtol=1e-5, atol=0)


class StreamingTest(tf.test.TestCase, parameterized.TestCase):
    def test_uneven_batches_against_numpy(self):
        y_true, p = _samples()
        expected = mean_scores(y_true, p)
        on_maps = _on_maps()
        self.assertEqual(set(on_maps), set(expected))
        for name, metric in on_maps.items():
            value = _score(metric, y_true, p, batch=8)
            self.assertAllClose(value, expected[name], atol=1e-5, msg=name)
            metric.reset_state()
            self.assertEqual(metric.result(), 0.0)

    def test_sample_weights(self):
        y_true, p = _samples()
        weights = np.arange(20) % 3
        for name, metric in _on_maps().items():
            metric.update_state(y_true, p, sample_weight=weights)
            chosen = np.repeat(np.arange(20), weights)
            expected = mean_scores(y_true[chosen], p[chosen])[name]
            self.assertAllClose(metric.result(), expected, atol=1e-5, msg=name)


class MaskMetricsTest(tf.test.TestCase):
    def test_empty_masks(self):
        empty = np.zeros((1, 8, 8, 1), "float32")
        dot = empty.copy()
        dot[0, 4, 4] = 1.0
        for cls in MASK_CLASSES:
            metric = cls(from_logits=False)
            self.assertAllClose(_score(metric, empty, empty), 1.0)
            self.assertAllClose(_score(metric, empty, dot), 0.0, atol=1e-5)
            self.assertAllClose(_score(metric, dot, empty), 0.0, atol=1e-5)

    def test_boundary_f1_against_cv2(self):
        for radius in (0, 1, 4):
            metric = metrics.BoundaryF1(from_logits=False, tolerance=radius)
            for seed in range(4):
                a, b = _blobs(1, 32, seed), _blobs(1, 32, seed // 2 * 2)
                b = np.roll(b, (seed % 5, -seed % 3), axis=(1, 2))
                expected = boundary_f1(a[0] >= 0.5, b[0] >= 0.5, radius)
                self.assertAllClose(_score(metric, a, b), expected, atol=1e-6)

    def test_threshold(self):
        mask, p = np.full((2, 1, 8, 8, 1), 0.4, "float32")
        mask[:, :, :4], p[:, :, :2] = 0.0, 0.0
        low = metrics.HardIoU(from_logits=False, threshold=0.4)
        self.assertAllClose(_score(low, mask, p), 4 / 6)
        default = metrics.HardIoU(from_logits=False)
        self.assertAllClose(_score(default, mask, p), 1.0)


class DepthMetricsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("rmse", "abs_rel", "delta2")
    def test_invalid_pixels_and_images_do_not_count(self, name):
        metric = _on_maps()[name]
        y_true, p = _samples()
        y_true[0, :10] = 1e-4
        before = _score(metric, y_true, p)
        # Whatever is predicted there:
        value = _score(metric, y_true, np.where(y_true > 1e-4, p, 1 - p))
        self.assertEqual(value, before)
        without = [i for i in range(20) if i not in (2, 3)]
        self.assertAllClose(_score(metric, y_true[without], p[without]), before)

    def test_no_valid_image(self):
        zeros = np.zeros((2, 4, 4, 1), "float32")
        for per in ("image", "batch"):
            metric = metrics.DepthRMSE(from_logits=False, per=per)
            self.assertEqual(_score(metric, zeros, zeros), 0.0)
        with self.assertRaisesRegex(ValueError, "per='pixel'"):
            metrics.DepthRMSE(per="pixel")


class ClassesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*CLASSES)
    def test_round_trip(self, cls):
        parameters = inspect.signature(cls.__init__).parameters
        other = {
            "name": "other",
            "from_logits": False,
            "threshold": 0.25,
            "tolerance": 1,
            "per": "batch",
            "power": 2,
        }
        arguments = {key: value for key, value in other.items() if key in parameters}
        metric = cls(**arguments)
        self.assertEqual(set(metric.get_config()), set(parameters) - {"self"})
        revived = keras.metrics.deserialize(keras.metrics.serialize(metric))
        self.assertIs(type(revived), cls)
        self.assertEqual(revived.get_config(), {**arguments, "dtype": "float32"})

    @parameterized.parameters(*CLASSES)
    def test_refuses_to_broadcast(self, cls):
        good = _uniform(2, 8, 8, 1)
        for pair in ((good, good[:1]), (np.repeat(good, 3, axis=-1), good)):
            with self.assertRaisesRegex(ValueError, "nothing is broadcast"):
                cls().update_state(*pair)

    @parameterized.parameters(*CLASSES)
    def test_float32_under_a_global_half_policy(self, cls):
        self.addCleanup(keras.config.set_dtype_policy, keras.config.dtype_policy())
        keras.config.set_dtype_policy("mixed_float16")
        metric = cls(from_logits=False)
        # 300 x 300 ones sum to more than float16 holds.
        ones = np.ones((1, 300, 300, 1), "float16")
        metric.update_state(ones, ones)
        self.assertEqual(metric.result().dtype, "float32")
        self.assertTrue(np.isfinite(metric.result()))
