"""Range tests: losses as NumPy has them, a model left alone, a step that is best."""

import contextlib
import csv
import io
import math
import tempfile
from pathlib import Path

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
from keras_depthseg.training.lr_range_run import lr_range_table, write_lr_range_csv

# Those of the original project.
FIVE = ("1e-7:5:400", "1e-5:1:400", "1e-4:10:200", "1e-5:2:100", "1e-7:10:400")

FORM = "start:end:iterations"
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


def _curve(losses, start=1e-3, end=1.0, diverged=True):
    losses = np.array(losses, float)
    return LRRangeCurve(
        LRRange(start, end, len(losses)),
        np.geomspace(start, end, len(losses)),
        losses,
        losses.copy(),
        diverged,
    )


class LRRangeTest(tf.test.TestCase, parameterized.TestCase):
    def test_original_settings(self):
        self.assertEqual(
            [parse_lr_range(text) for text in FIVE],
            [
                LRRange(1e-7, 5.0, 400),
                LRRange(1e-5, 1.0, 400),
                LRRange(1e-4, 10.0, 200),
                LRRange(1e-5, 2.0, 100),
                LRRange(1e-7, 10.0, 400),
            ],
        )
        self.assertEqual(str(parse_lr_range(" 1.0E-07:5.:0400 ")), "1e-7:5:400")

    @hypothesis.given(POSITIVE, POSITIVE, st.integers(10, 10**9 - 1))
    def test_reads_back_its_text(self, one, other, iterations):
        hypothesis.assume(one != other)
        lr_range = LRRange(min(one, other), max(one, other), iterations)
        self.assertEqual(parse_lr_range(str(lr_range)), lr_range)

    @hypothesis.given(st.text("0123456789:.eE+- nai\n", max_size=16))
    def test_any_text_is_read_or_refused_in_one_line(self, text):
        try:
            lr_range = parse_lr_range(text)
        except UserError as error:
            self.assertLen(str(error).splitlines(), 1)
        else:
            self.assertEqual(parse_lr_range(str(lr_range)), lr_range)

    @parameterized.parameters(
        ("", "received ''", FORM),
        ("1e-7:5", "received '1e-7:5'", FORM),
        ("1e-7:5:400:1", FORM, "for instance 1e-7:5:400"),
        ("1e-7:5:1.5", FORM),
        ("1e-7:5:1e2", FORM),
        ("1e-7:5:-10", FORM),
        ("1e-7:5:" + 5000 * "9", FORM),
        ("-1e-7:5:400", FORM),
        ("nan:5:400", FORM),
        ("1e-7:inf:400", FORM),
        ("1e-7,5,400", FORM),
        ("１e-7:5:400", FORM),  # noqa: RUF001 (a full-width digit)
        ("1e-7:1e999:400", "finite end", "end inf"),
        ("0:5:400", "above 0", "start 0 and end 5"),
        ("1e-999:5:400", "above 0", "start 0 and end 5"),
        ("5:1e-7:400", "must rise", "start 5 and end 1e-07"),
        ("5:5:400", "must rise"),
        ("1e-7:5:9", "at least 10", "received 9"),
    )
    def test_refused(self, text, *parts):
        with self.assertRaises(UserError) as caught:
            parse_lr_range(text)
        message = str(caught.exception)
        self.assertLen(message.splitlines(), 1)
        for part in (f"learning-rate range {text!r}", *parts):
            self.assertIn(part, message)

    @parameterized.parameters((math.nan, 1.0), (1.0, math.nan), (1.0, math.inf))
    def test_numbers_are_checked(self, start, end):
        with self.assertRaisesRegex(UserError, "must rise"):
            LRRange(start, end, 100)


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

    def test_datasets_and_lists(self):
        x, y = _regression(2, 24, noise=0.1)
        model = _linear(2, keras.optimizers.SGD(0.1))
        lr_range = LRRange(1e-4, 1e-1, 20)
        of_list = lr_range_test(model, _batches(x, y, 4), lr_range)
        dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
        of_dataset = lr_range_test(model, dataset, lr_range)
        self.assertAllEqual(of_list.losses, of_dataset.losses)
        self.assertLen(of_list.losses, 20)
        self.assertFalse(of_list.diverged)

    def test_stops_above_five_times_the_lowest(self):
        # So small a learning rate that the loss is the square of the label.
        x = np.ones((1, 1), "float32")
        levels = np.array([2.0] * 10 + [1.0] * 10 + [14.0] * 80)
        batches = [(x, np.full((1, 1), np.sqrt(level))) for level in levels]
        model = _linear(1, keras.optimizers.SGD(0.1))
        curve = lr_range_test(model, batches, LRRange(1e-12, 1e-11, 100))
        smoothed = [
            np.average(levels[:n], weights=0.95 ** np.arange(n)[::-1])
            for n in range(1, 101)
        ]
        count = len(curve.losses)
        self.assertTrue(curve.diverged)
        self.assertAllClose(curve.smoothed, smoothed[:count], rtol=1e-6)
        self.assertGreater(smoothed[count - 1], 5 * min(smoothed))
        self.assertLessEqual(max(smoothed[: count - 1]), 5 * min(smoothed))

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

    def test_progress_bar(self):
        x, y = _regression(2, 8, noise=0.1)
        model = _linear(2, keras.optimizers.SGD(0.1))
        for verbose in (0, 1):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                lr_range_test(model, [(x, y)], LRRange(1e-4, 1e-1, 20), verbose)
            self.assertEqual("20/20" in printed.getvalue(), bool(verbose))


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
        ("adam", lambda: keras.optimizers.Adam(0.002), "float32"),
        (
            "mixed_float16",
            lambda: keras.optimizers.LossScaleOptimizer(
                keras.optimizers.Adam(0.002), initial_scale=2.0**10
            ),
            "mixed_float16",
        ),
    )
    def test_five_tests_in_a_row(self, make_optimizer, dtype):
        x, y = _regression(8, 64, noise=0.1)
        batches = _batches(x, y, 16)
        model = self._model(make_optimizer(), dtype)
        model.fit(x, y, batch_size=16, verbose=0)
        before = _state(model)
        self.assertNotEmpty(model.metrics_variables)
        curves = []
        for text in FIVE:
            curves.append(lr_range_test(model, batches, parse_lr_range(text)))
            self.assertEqual(_state(model), before)
        # The loss before a step does not know of the learning rate.
        for curve in curves:
            self.assertEqual(curve.losses[0], curves[0].losses[0])
        again = lr_range_test(model, batches, parse_lr_range(FIVE[0]))
        self.assertAllEqual(again.losses, curves[0].losses)

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

    @parameterized.parameters(KeyboardInterrupt, ZeroDivisionError)
    def test_interrupted(self, error):
        x, y = _regression(8, 32, noise=0.1)
        model = self._model(keras.optimizers.Adam(0.01))
        model.fit(x, y, verbose=0)
        before = _state(model)
        during = []

        def batches():
            yield from [(x, y)] * 5
            during.extend(_state(model))
            raise error

        with self.assertRaises(error):
            lr_range_test(model, batches(), LRRange(1e-4, 1.0, 20))
        self.assertNotEqual(during, before)
        self.assertEqual(_state(model), before)


class RefusedTest(tf.test.TestCase, parameterized.TestCase):
    LR_RANGE = LRRange(1e-4, 1.0, 20)

    @parameterized.parameters(
        keras.optimizers.schedules.CosineDecay(0.1, 100), lambda: 0.1
    )
    def test_learning_rate_that_is_not_fixed(self, learning_rate):
        x, y = _regression(2, 8, noise=0.1)
        model = _linear(2, keras.optimizers.Adam(learning_rate))
        with self.assertRaisesRegex(ValueError, r"not a schedule.*Adam\(learning_rate"):
            lr_range_test(model, [(x, y)], self.LR_RANGE)

    def test_no_batches(self):
        x, y = _regression(2, 8, noise=0.1)
        model = _linear(2, keras.optimizers.SGD(0.1))
        before = _state(model)
        with self.assertRaisesRegex(ValueError, "an empty list"):
            lr_range_test(model, [], self.LR_RANGE)
        with self.assertRaisesRegex(ValueError, "an iterator that is used up"):
            lr_range_test(model, iter([(x, y)] * 19), self.LR_RANGE)
        lr_range_test(model, iter([(x, y)] * 20), self.LR_RANGE)
        self.assertEqual(_state(model)[0], before[0])

    def test_model_that_is_not_ready(self):
        with self.assertRaisesRegex(ValueError, "built=True, compiled=False"):
            lr_range_test(
                keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
                [],
                self.LR_RANGE,
            )
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        with self.assertRaisesRegex(ValueError, "built=False, compiled=True"):
            lr_range_test(model, [], self.LR_RANGE)

    def test_loss_that_is_not_finite_from_the_start(self):
        x, y = _regression(2, 8, noise=0.1)
        model = _linear(2, keras.optimizers.SGD(0.1))
        with self.assertRaisesRegex(UserError, "the loss is nan before the first step"):
            lr_range_test(model, [(x, np.nan * y)], self.LR_RANGE)


@pytest.mark.long
class SuggestionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(text=FIVE, curvature=(10.0, 300.0), noise=(0.0, 0.3))
    def test_whole_data_set(self, text, curvature, noise):
        """Curvature the same in all directions: the best step is its inverse."""
        size, rows = 8, 32
        random = np.random.default_rng(0)
        orthogonal, _ = np.linalg.qr(random.normal(size=(rows, size)))
        # The mean squared error has the curvature 2 xᵀx / rows.
        x = orthogonal * np.sqrt(rows * curvature / 2)
        # Zero labels, and noise that no weights can fit, keep float32 from landing on
        # the minimum exactly, from where no learning rate would leave it.
        y = x @ random.normal(size=(size, 1)) + random.normal(size=(rows, 1)) * max(
            noise, 1e-4
        )
        model = _linear(size, keras.optimizers.SGD(0.1))
        batches = [(x.astype("float32"), y.astype("float32"))]
        curve = lr_range_test(model, batches, parse_lr_range(text))
        self.assertTrue(curve.diverged)
        self.assertBetween(curve.suggestion * curvature, 1 / 1.5, 1.5)

    @parameterized.product(
        text=FIVE, size_and_batch=((8, 16), (10, 64)), noise=(0.2, 1.0)
    )
    def test_minibatches_with_label_noise(self, text, size_and_batch, noise):
        """Normal inputs, batches of B: best is 1 / (2 (1 + (d + 1) / B)).

        A step of learning rate r multiplies the mean squared distance of the weights by
        1 - 4 r + 4 r² (1 + (d + 1) / B), from the fourth moments of a normal
        distribution; the smallest is there.
        """
        size, batch = size_and_batch
        x, y = _regression(size, 1024, noise)
        model = _linear(size, keras.optimizers.SGD(0.1))
        curve = lr_range_test(model, _batches(x, y, batch), parse_lr_range(text))
        best = 1 / (2 * (1 + (size + 1) / batch))
        self.assertTrue(curve.diverged)
        self.assertBetween(curve.suggestion / best, 1 / 2, 2)

    def test_growth(self):
        """Losses on a quadratic from its limit on give the inverse of the curvature."""
        rates = np.geomspace(1e-3, 1.0, 40)
        curvature = 4.0
        losses = np.ones(40)
        for i in range(1, 40):
            losses[i] = losses[i - 1] * max((rates[i - 1] * curvature - 1) ** 2, 1.0)
        self.assertAllClose(_curve(losses).suggestion, 1 / curvature, rtol=0.02)

    def test_explosion_is_taken_for_a_tenth(self):
        rates = np.geomspace(1e-3, 1.0, 40)
        curve = _curve([1.0] * 39 + [1e12])
        self.assertAllClose(curve.suggestion, rates[38] / 10)
        self.assertAllClose(_curve([1.0] * 39 + [np.inf]).suggestion, rates[38] / 2)

    def test_half_of_the_end_where_nothing_rises(self):
        curve = _curve(np.linspace(2.0, 1.0, 40), diverged=False)
        self.assertAllClose(curve.suggestion, 0.5)


class TableTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.curves = [
            _curve([2.0, 1.5] + [1.25] * 8, 1e-7, 5.0, diverged=False),
            _curve([2.0] * 10 + [0.75, 12.5], 1e-5, 1.0),
        ]

    def test_table(self):
        lines = lr_range_table(self.curves).splitlines()
        cells = [line.split() for line in lines]
        self.assertEqual(
            cells[0],
            ["start", "end", "iterations", "loss", "learning", "rate", "suggestion"],
        )
        self.assertEqual(
            cells[1][:5], ["1e-07", "5", "10", "1.25", f"{self.curves[0].lowest_at:.2e}"]
        )
        self.assertEqual(cells[1][5:], [f"{self.curves[0].suggestion:.2e}"])
        self.assertEqual(cells[2][:4], ["1e-05", "1", "12", "0.75"])
        self.assertEndsWith(
            lines[2], f"{self.curves[1].suggestion:.2e}  stopped at iteration 12"
        )

    def test_csv(self):
        path = Path(self.enter_context(tempfile.TemporaryDirectory())) / "lr.csv"
        write_lr_range_csv(path, self.curves)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertLen(rows, 22)
        for curve, start in zip(self.curves, (0, 10), strict=True):
            part = rows[start : start + len(curve.losses)]
            self.assertEqual(
                [int(row["iteration"]) for row in part],
                list(range(1, len(curve.losses) + 1)),
            )
            for name in ("start", "end", "iterations"):
                self.assertEqual(
                    {float(row[name]) for row in part}, {getattr(curve.lr_range, name)}
                )
            # To the last bit.
            for column, values in (
                ("learning_rate", curve.learning_rates),
                ("loss", curve.losses),
                ("smoothed", curve.smoothed),
            ):
                self.assertEqual([float(row[column]) for row in part], list(values))


if __name__ == "__main__":
    tf.test.main()
