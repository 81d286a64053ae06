"""Training under Keras's JAX backend, each in a process of its own."""

import json
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

import train
from keras_depthseg import DSResNet
from keras_depthseg.losses import combination
from keras_depthseg.optimizers import SGD
from keras_depthseg.training.checkpoints import latest
from tests.support.processes import TIMEOUT, finish, start
from tests.support.tiny_data import RefusalTestCase, TinyDataTestCase

jax = pytest.importorskip("jax")

STEPS = 20

FOLLOW = """
import sys
import keras
import numpy as np
from keras_depthseg import DSResNet
from keras_depthseg.losses import combination
from keras_depthseg.optimizers import SGD

with np.load(sys.argv[1]) as file:
    arrays = dict(file)
model = DSResNet(4)
model.set_weights([arrays[f"weight{n}"] for n in range(len(model.weights))])
model.compile(SGD(0.002, momentum=0.9), **combination("rmse_bce_dice"))
x = {name: arrays[name] for name in ("bg", "fg_bg")}
y = {name: arrays[name] for name in ("depth", "mask")}
assert keras.backend.backend() == "jax"
steps = range(int(sys.argv[2]))
print([float(model.train_on_batch(x, y, return_dict=True)["loss"]) for _ in steps])
"""

RESUME = """
import itertools
import sys
from pathlib import Path
import keras
import numpy as np
import tensorflow as tf
from keras import ops
from keras_depthseg.callbacks import (
    NonFiniteError, ReduceLROnPlateau, ResolutionScheduler, StopAtNonFinite
)
from keras_depthseg.callbacks.weight_average import WeightAverage
from keras_depthseg.layers import BatchNormalization
from keras_depthseg.optimizers import SGD
from keras_depthseg.schedule import parse_schedule
from keras_depthseg.training.checkpoints import (
    Checkpoints, TrainingInterruptedError, latest
)
from keras_depthseg.training.model_state import snapshot


def data(phase, epoch=99, step=0):
    x = np.random.default_rng(epoch).normal(size=(40, 32, 32, 2)).astype("float32")
    y = x.mean((1, 2, 3))[:, None]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(4).skip(step)


def run(folder, stop_at=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 2))
    x = BatchNormalization()(keras.layers.Conv2D(4, 3, strides=4)(inputs))
    outputs = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile(SGD(0.1, momentum=0.9), loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    plateau = ReduceLROnPlateau("val_loss", patience=1, min_delta=10.0)
    average = WeightAverage(0.9)
    start = latest(folder)
    asked = itertools.count(1)
    checkpoints = Checkpoints(
        folder, {"plateau": plateau, "average": average}, start, minutes=0.0,
        should_stop=lambda: next(asked) == stop_at,
    )
    ResolutionScheduler(parse_schedule("32:3:4"), data, data).fit(
        model, [StopAtNonFinite(), plateau, average, checkpoints], verbose=0,
        first_epoch=start.epoch if start else 0, first_step=start.step if start else 0,
    )
    return {**snapshot(model), **average.state()}, checkpoints.history


alone, killed = Path(sys.argv[1]) / "alone", Path(sys.argv[1]) / "killed"
alone.mkdir()
killed.mkdir()
expected, expected_history = run(alone)
try:
    # It is asked after each of ten steps, after the last one at the epoch's end.
    run(killed, stop_at=10 + 9)
except TrainingInterruptedError:
    assert (latest(killed).epoch, latest(killed).step) == (1, 9), latest(killed)
result, history = run(killed)
assert history == expected_history, (history, expected_history)
for name, array in expected.items():
    np.testing.assert_array_equal(result[name], array, err_msg=name)

# A finite loss whose gradient is infinite, in the last of four steps. In another one the
# next loss would not be finite.
inputs = keras.Input((2,))
dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
model = keras.Model(inputs, dense(inputs))
model.compile(SGD(0.0), lambda y_true, y_pred: ops.sqrt(ops.abs(y_true - y_pred)))
y = np.array([5, 5, 5, 5, 5, 5, 2, 5], "float32")[:, None]
try:
    model.fit(
        np.ones((8, 2), "float32"), y, batch_size=2, shuffle=False, verbose=0,
        callbacks=[StopAtNonFinite()],
    )
except NonFiniteError as error:
    print(error.what, error.epoch, error.step)
"""


class ResumedTest(RefusalTestCase):
    def test_from_the_middle_of_an_epoch_and_at_its_end_sees_gradients(self):
        folder = self.enter_context(tempfile.TemporaryDirectory())
        process = start("jax", "-c", RESUME, folder)
        self.assertEqual(finish(process), ["gradient 0 3\n"])


class XlaTest(RefusalTestCase):
    def test_is_refused(self):
        program = (
            "from keras_depthseg.commands.terminal import run\n"
            "from keras_depthseg.precision import check_xla\n"
            "run(lambda: check_xla('float32'))"
        )
        process = start("jax", "-c", program)
        _, errors = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 2)
        last = errors.splitlines()[-1]
        self.assertStartsWith(last, "error: `xla` is for Keras's TensorFlow backend")
        self.assertIn("received with jax", last)


@pytest.mark.long
class FollowsTensorFlowTest(RefusalTestCase):
    def test_losses_of_the_network(self):
        keras.utils.set_random_seed(0)
        model = DSResNet(4)
        rng = np.random.default_rng(0)
        x = {n: rng.integers(0, 256, (8, 64, 64, 3), np.uint8) for n in ("bg", "fg_bg")}
        # What can be learned: brightness, and where the two differ much.
        bg, fg_bg = (np.float32(x[name].mean(-1, keepdims=True)) for name in x)
        y = {"depth": bg / 255, "mask": np.float32(fg_bg - bg > 40)}
        weights = {f"weight{n}": w for n, w in enumerate(model.get_weights())}
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        np.savez(folder / "arrays.npz", **x, **y, **weights)

        model.compile(SGD(0.002, momentum=0.9), **combination("rmse_bce_dice"))
        expected = [
            float(model.train_on_batch(x, y, return_dict=True)["loss"])
            for _ in range(STEPS)
        ]
        process = start("jax", "-c", FOLLOW, folder / "arrays.npz", STEPS)
        losses = json.loads(*finish(process))
        self.assertLess(expected[-1], expected[0] - 0.05)
        self.assertNear(losses[0], expected[0], 1e-5)
        self.assertAllClose(losses, expected, rtol=0, atol=1e-3)


@pytest.mark.long
class CommandTest(TinyDataTestCase):
    def test_a_whole_run(self):
        run_dir = self.folder / "run"
        finish(
            start(
                *("jax", train.__file__, "--run-dir", run_dir),
                *("--data", self.records, "--resolution-schedule", "32:2:8"),
                *("--width", "1", "--precision", "float32", "--average", "0.9"),
                *("--augment", "original", "--checkpoint-minutes", "0"),
            )
        )
        versions = json.loads((run_dir / "config.json").read_text())["versions"]
        self.assertEqual((versions["backend"], versions["jax"]), ("jax", jax.__version__))
        self.assertTrue((run_dir / "report.html").exists())
        self.assertEqual([row["epoch"] for row in latest(run_dir).rows], [0, 1])
