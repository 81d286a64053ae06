"""Range tests: losses as NumPy has them, a model left alone, a step that is best."""

import contextlib
import io
import math

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.errors import UserError
from keras_depthseg.training.lr_range import (
    LRRange,
    LRRangeCurve,
    lr_range_test,
    parse_lr_range,
)

# Those of the original project.
FIVE = ("1e-7:5:400", "1e-5:1:400", "1e-4:10:200", "1e-5:2:100", "1e-7:10:400")

POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


def _linear(size, optimizer):
    """Least squares from zero weights."""
    inputs = keras.Input((size,))
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, loss="mse")
    return model


def _regression(size, rows, noise, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, size))
    y = x @ random.normal(size=(size, 1)) / np.sqrt(size)
    y += noise * random.normal(size=(rows, 1))
    return x.astype("float32"), y.astype("float32")


def _batches(x, y, size):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x) - size + 1, size)]


def _state(model):
    """Everything there is, by path; read without the code under test."""
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [(v.path, keras.ops.convert_to_numpy(v.value).tobytes()) for v in variables]


class LRRangeTest(tf.test.TestCase, parameterized.TestCase):
    def test_original_settings(self):
        self.assertEqual(parse_lr_range(FIVE[2]), LRRange(1e-4, 10.0, 200))
        self.assertEqual(str(parse_lr_range(" 1.0E-07:5.:0400 ")), "1e-7:5:400")

    @hypothesis.given(POSITIVE, POSITIVE, st.integers(10, 10**9 - 1))
    def test_reads_back_its_text(self, one, other, iterations):
        hypothesis.assume(one != other)
        lr_range = LRRange(min(one, other), max(one, other), iterations)
        self.assertEqual(parse_lr_range(str(lr_range)), lr_range)

    @parameterized.parameters(
        ("1e-7:5", "start:end:iterations"),
        ("1e-7:5:1.5", "start:end:iterations"),
        ("1e-7:5:" + 5000 * "9", "start:end:iterations"),
        ("1e-7:1e999:400", "finite end"),
        ("0:5:400", "above 0"),
        ("5:5:400", "must rise"),
        ("1e-7:5:9", "at least 10"),
    )
    def test_refused(self, text, part):
        with self.assertRaisesRegex(UserError, f"range {text!r}.*{part}"):
            parse_lr_range(text)
        with self.assertRaisesRegex(UserError, "must rise"):
            LRRange(1.0, math.nan, 100)


class LossesTest(tf.test.TestCase):
    def test_plain_numpy_has_the_same(self):
        x, y = _regression(3, 44, noise=0.1)
        model = _linear(3, keras.optimizers.SGD(0.1))
        # 20 batches of 4 and 5 samples a pass: gone through several times.
        batches = _batches(x[:24], y[:24], 4) + _batches(x[24:], y[24:], 5)
        lr_range = LRRange(1e-4, 10.0, 60)
        curve = lr_range_test(model, batches, lr_range)

        rates = [1e-4 * (10.0 / 1e-4) ** (i / 59) for i in range(60)]
        weights = np.zeros((3, 1))
        losses, smoothed = [], []
        for i, rate in enumerate(rates):
            inputs, labels = batches[i % len(batches)]
            error = inputs @ weights - labels
            losses.append(np.mean(error**2))
            weights -= rate * 2 * inputs.T @ error / len(error)
            ages = np.arange(i + 1)[::-1]
            smoothed.append(np.average(losses, weights=0.95**ages))
            if smoothed[-1] > 5 * min(smoothed):
                break
        self.assertBetween(len(losses), 30, 59)
        self.assertTrue(curve.diverged)
        self.assertEqual(curve.lr_range, lr_range)
        self.assertAllClose(curve.learning_rates, rates[: len(losses)], rtol=1e-12)
        self.assertAllClose(curve.losses, losses, rtol=1e-3)
        self.assertAllClose(curve.smoothed, smoothed, rtol=1e-3)
        lowest = int(np.argmin(smoothed))
        self.assertAllClose(curve.lowest_loss, smoothed[lowest], rtol=1e-3)
        self.assertAllClose(curve.lowest_at, rates[lowest], rtol=1e-12)

    def test_stops_where_the_loss_is_not_finite(self):
        x, y = _regression(2, 8, noise=0.1)
        broken = x.copy()
        broken[0] = np.nan
        batches = [(x, y)] * 7 + [(broken, y)] + [(x, y)] * 50
        model = _linear(2, keras.optimizers.SGD(0.1))
        curve = lr_range_test(model, batches, LRRange(1e-4, 1e-1, 20))
        self.assertTrue(curve.diverged)
        self.assertAllEqual(np.isfinite(curve.losses), [True] * 7 + [False])
        self.assertAllEqual(np.isfinite(curve.smoothed), [True] * 7 + [False])
        self.assertTrue(np.isfinite([curve.lowest_loss, curve.suggestion]).all())

    def test_data_sets_and_progress_bar(self):
        x, y = _regression(2, 24, noise=0.1)
        model = _linear(2, keras.optimizers.SGD(0.1))
        dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
        losses = []
        for verbose, batches in ((0, _batches(x, y, 4)), (1, dataset)):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                curve = lr_range_test(model, batches, LRRange(1e-4, 1e-1, 20), verbose)
            self.assertEqual("20/20" in printed.getvalue(), bool(verbose))
            self.assertFalse(curve.diverged)
            losses.append(curve.losses)
        self.assertAllEqual(*losses)


class ModelStaysTest(tf.test.TestCase, parameterized.TestCase):
    def _model(self, optimizer, dtype="float32"):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8,))
        x = keras.layers.Dense(16, activation="relu", dtype=dtype)(inputs)
        x = keras.layers.BatchNormalization(dtype=dtype)(x)
        x = keras.layers.Dropout(0.2, seed=3, dtype=dtype)(x)
        model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(x))
        model.compile(optimizer, loss="mse", metrics=["mae"], auto_scale_loss=False)
        return model

    @parameterized.named_parameters(
        ("momentum", lambda: keras.optimizers.SGD(0.02, momentum=0.9), "float32"),
        (
            "mixed_float16",
            lambda: keras.optimizers.LossScaleOptimizer(
                keras.optimizers.Adam(0.002), initial_scale=2.0**10
            ),
            "mixed_float16",
        ),
    )
    def test_tests_in_a_row(self, make_optimizer, dtype):
        x, y = _regression(8, 64, noise=0.1)
        batches = _batches(x, y, 16)
        model = self._model(make_optimizer(), dtype)
        model.fit(x, y, batch_size=16, verbose=0)
        before = _state(model)
        self.assertNotEmpty(model.metrics_variables)
        curves = []
        for text in (FIVE[3], FIVE[2], FIVE[3]):
            curves.append(lr_range_test(model, batches, parse_lr_range(text)))
            self.assertEqual(_state(model), before)
        # The loss before a step does not know of the learning rate.
        self.assertEqual(curves[1].losses[0], curves[0].losses[0])
        self.assertAllEqual(curves[2].losses, curves[0].losses)

    def test_fresh_model(self):
        """Optimizer and metrics that Keras would build in the first step."""
        x, y = _regression(8, 32, noise=0.1)
        model, fresh = (self._model(keras.optimizers.Adam(0.01)) for _ in range(2))
        lr_range_test(model, [(x, y)], LRRange(1e-4, 1.0, 20))
        self.assertEqual(float(model.optimizer.learning_rate), np.float32(0.01))
        self.assertEqual(int(model.optimizer.iterations), 0)
        for variable in model.metrics_variables:
            self.assertAllEqual(variable.value, 0.0 * variable.value)
        histories = [
            one.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
            for one in (model, fresh)
        ]
        self.assertEqual(*histories)

    def test_interrupted(self):
        x, y = _regression(8, 32, noise=0.1)
        model = self._model(keras.optimizers.Adam(0.01))
        model.fit(x, y, verbose=0)
        before = _state(model)
        during = []

        def batches():
            yield from [(x, y)] * 5
            during.extend(_state(model))
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            lr_range_test(model, batches(), LRRange(1e-4, 1.0, 20))
        self.assertNotEqual(during, before)
        self.assertEqual(_state(model), before)


class RefusedTest(tf.test.TestCase):
    LR_RANGE = LRRange(1e-4, 1.0, 20)

    def test_learning_rate_that_is_not_fixed(self):
        x, y = _regression(2, 8, noise=0.1)
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
        model = _linear(2, keras.optimizers.Adam(schedule))
        with self.assertRaisesRegex(ValueError, r"not a schedule.*Adam\(learning_rate"):
            lr_range_test(model, [(x, y)], self.LR_RANGE)

    def test_batches(self):
        x, y = _regression(2, 8, noise=0.1)
        model = _linear(2, keras.optimizers.SGD(0.1))
        for batches, message in (
            ([], "an empty list"),
            (iter([(x, y)] * 19), "an iterator that is used up"),
            ([(x, np.nan * y)], "the loss is nan before the first step"),
        ):
            with self.assertRaisesRegex((ValueError, UserError), message):
                lr_range_test(model, batches, self.LR_RANGE)

    def test_model_that_is_not_ready(self):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        with self.assertRaisesRegex(ValueError, "built=False, compiled=True"):
            lr_range_test(model, [], self.LR_RANGE)


@pytest.mark.long
class SuggestionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(text=FIVE, size_and_batch=((8, 16), (10, 64)))
    def test_minibatches_with_label_noise(self, text, size_and_batch):
        """Normal inputs, batches of B: best is 1 / (2 (1 + (d + 1) / B)).

        A step of learning rate r multiplies the mean squared distance of the weights by
        1 - 4 r + 4 r² (1 + (d + 1) / B), from the fourth moments of a normal
        distribution; the smallest is there.
        """
        size, batch = size_and_batch
        x, y = _regression(size, 1024, noise=1.0)
        model = _linear(size, keras.optimizers.SGD(0.1))
        curve = lr_range_test(model, _batches(x, y, batch), parse_lr_range(text))
        best = 1 / (2 * (1 + (size + 1) / batch))
        self.assertTrue(curve.diverged)
        self.assertBetween(curve.suggestion / best, 1 / 2, 2)


class GrowthTest(tf.test.TestCase):
    RATES = np.geomspace(1e-3, 1.0, 40)

    def _suggestion(self, losses, diverged=True):
        losses = np.array(losses, float)
        return LRRangeCurve(
            *(LRRange(1e-3, 1.0, 40), self.RATES, losses, losses, diverged)
        ).suggestion

    def test_quadratic(self):
        """Losses from its limit on give the inverse of the curvature."""
        curvature = 4.0
        losses = np.ones(40)
        for i in range(1, 40):
            growth = (self.RATES[i - 1] * curvature - 1) ** 2
            losses[i] = losses[i - 1] * max(growth, 1.0)
        self.assertAllClose(self._suggestion(losses), 1 / curvature, rtol=0.02)

    def test_explosion_is_taken_for_a_tenth(self):
        rate = self.RATES[38]
        self.assertAllClose(self._suggestion([1.0] * 39 + [1e12]), rate / 10)
        self.assertAllClose(self._suggestion([1.0] * 39 + [np.inf]), rate / 2)

    def test_half_of_the_end_where_nothing_rises(self):
        suggestion = self._suggestion(np.linspace(2.0, 1.0, 40), diverged=False)
        self.assertAllClose(suggestion, 0.5)
