"""Training under Keras's JAX backend, each in a process of its own."""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from unittest import mock

import pytest

import depthseg
import train
from keras_depthseg.model import DSResNet
from keras_depthseg.training.checkpoints import latest
from tests.support.processes import TIMEOUT, finish, start
from tests.support.tiny_data import (
    RefusalTestCase,
    TinyDataTestCase,
    colour,
    encoded,
)

jax = pytest.importorskip("jax")

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

    def test_export(self):
        model = self.folder / "model.keras"
        DSResNet(width=1).save(model)
        onnx = ("--format", "onnx", "--out", self.folder / "a.onnx")
        with self.assertRaisesRegex(AssertionError, "status 2.*received jax; exports"):
            finish(start("jax", depthseg.__file__, "export", model, *onnx))


@pytest.mark.long
class PredictTest(RefusalTestCase):
    """Networks are converted under TensorFlow, in a process of its own."""

    def setUp(self):
        super().setUp()
        self.model, self.out = self.folder / "model.keras", self.folder / "out"
        self.cache, self.temporary = self.folder / "cache", self.folder / "temporary"
        self.temporary.mkdir()
        environment = {
            "KERAS_DEPTHSEG_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
        }
        self.enter_context(mock.patch.dict(os.environ, environment))

    def start(self):
        picture = self.folder / "a.png"
        picture.write_bytes(encoded(colour(1, (64, 64)), "png"))
        return start(
            *("jax", depthseg.__file__, "predict", "--model", self.model),
            *("--bg", picture, "--image", picture, "--out", self.out),
        )

    def assert_nothing_left(self):
        self.assertEqual(list(self.cache.glob("networks/*")), [])
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_prediction(self):
        DSResNet(width=1).save(self.model)
        # Python puts the current folder first, but not for commands.
        self.enter_context(contextlib.chdir(self.folder))
        (self.folder / "random.py").write_text("raise ImportError")
        finish(self.start())
        self.assertTrue((self.out / "a_mask.png").exists())
        self.assertLen(list(self.cache.glob("networks/*/mask.xml")), 1)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_damaged_model(self):
        self.model.write_bytes(b"no model")
        process = self.start()
        _, errors = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 2, errors)
        self.assertStartsWith(
            errors.splitlines()[-1],
            f"error: {self.model}: this network cannot be opened",
        )
        self.assertNotIn("Traceback", errors)
        self.assert_nothing_left()

    @pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs Linux")
    def test_stopped_while_it_is_converted(self):
        DSResNet(width=1).save(self.model)
        # While TensorFlow is imported, and while files are written.
        for written in ("*", "*/plate.xml"):
            process = self.start()
            self.addCleanup(process.kill)
            others = []
            while not (others and list(self.cache.glob(f"networks/.depthseg-{written}"))):
                self.assertIsNone(process.poll())
                time.sleep(0.1)
                others = _children(process.pid)
            process.terminate()
            _, errors = process.communicate(timeout=TIMEOUT)
            self.assertEqual(process.returncode, 143, errors)
            self.assertEndsWith(errors, "stopped by SIGTERM\n")
            for other in others:
                self.assertFalse(os.path.exists(f"/proc/{other}"))
            self.assert_nothing_left()


def _children(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name before the bracket may hold anything.
            _, parent, *_ = path.read_text().rpartition(")")[2].split()
            found += [int(path.parent.name)] if int(parent) == pid else []
    return found
