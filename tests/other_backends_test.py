"""The network and its training under PyTorch and JAX, each in a process of its own."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_depthseg import DSResNet
from keras_depthseg.losses import COMBINATIONS, combination
from keras_depthseg.metrics import evaluation_metrics
from keras_depthseg.networks.original_weights import load_original_weights
from keras_depthseg.optimizers import SGD
from tests.support import reference
from tests.support.processes import finish, start

STEPS = 5
RATE = 0.002

COMMON = """
import json
import sys
import keras
import numpy as np
from keras_depthseg import DSResNet
from keras_depthseg.losses import COMBINATIONS, combination
from keras_depthseg.metrics import evaluation_metrics
from keras_depthseg.optimizers import SGD

with np.load(sys.argv[1]) as file:
    arrays = dict(file)
x = {name: arrays[name] for name in ("bg", "fg_bg")}
y = {name: arrays[name] for name in ("depth", "mask")}


def make_model():
    model = DSResNet(2)
    model.set_weights([arrays[f"weight{n}"] for n in range(len(model.weights))])
    return model
"""

# One result for each kind of number that TensorFlow gives as well.
SAME = """
model = make_model()
logits = model(x)
results = {"backend": keras.backend.backend()}
for name in COMBINATIONS:
    for output, loss in combination(name)["loss"].items():
        results[f"{name}/{output}"] = float(loss(y[output], logits[output]))
for output, metrics in evaluation_metrics().items():
    for metric in metrics:
        metric.update_state(y[output], logits[output])
        results[metric.name] = float(metric.result())
model.compile(SGD(float(sys.argv[3]), momentum=0.9), **combination("rmse_bce_dice"))
results["steps"] = [
    float(model.train_on_batch(x, y, return_dict=True)["loss"])
    for _ in range(int(sys.argv[4]))
]
maps = make_model().predict(x, verbose=0)
np.savez(sys.argv[2], **maps)
print(json.dumps(results))
"""

FIT = """
import tensorflow as tf
from keras_depthseg.callbacks import (
    NonFiniteError, ReduceLROnPlateau, ResolutionScheduler, StopAtNonFinite, WeightAverage
)
from keras_depthseg.schedule import parse_schedule


def data(phase, epoch=0, step=0):
    side = phase.resolution
    part = [{k: v[:, :side, :side] for k, v in fields.items()} for fields in (x, y)]
    return tf.data.Dataset.from_tensor_slices(tuple(part)).batch(2).skip(step)


model = make_model()
model.compile(SGD(0.002, momentum=0.9), **combination("rmse_bce_dice"))
callbacks = [StopAtNonFinite(), ReduceLROnPlateau(), WeightAverage(0.5)]
history = ResolutionScheduler(parse_schedule("32:1,64:2"), data, data).fit(
    model, callbacks, verbose=0
).history
assert history["resolution"] == [32, 64, 64], history
assert np.isfinite(history["val_loss"]).all(), history

model.compile(SGD(float("nan")), **combination("rmse_bce_dice"))
try:
    model.fit(x, y, batch_size=1, verbose=0, callbacks=[StopAtNonFinite()])
except NonFiniteError as error:
    print(json.dumps([error.what, history["loss"]]))
"""


class OtherBackendsTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.model = DSResNet(2)
        load_original_weights(cls.model, reference.state_dict(width=2))
        rng = np.random.default_rng(0)
        cls.x = {
            name: rng.integers(0, 256, (4, 64, 64, 3)).astype("float32")
            for name in ("bg", "fg_bg")
        }
        cls.y = {
            name: rng.uniform(size=(4, 64, 64, 1)).astype("float32")
            for name in ("depth", "mask")
        }
        weights = {f"weight{n}": w for n, w in enumerate(cls.model.get_weights())}
        np.savez(cls.folder / "arrays.npz", **cls.x, **cls.y, **weights)

    def _run(self, backend, script, *arguments):
        pytest.importorskip(backend)
        arrays = self.folder / "arrays.npz"
        (output,) = finish(start(backend, "-c", COMMON + script, arrays, *arguments))
        return json.loads(output.splitlines()[-1])

    def _assert_same_numbers(self, backend):
        results = self._run(backend, SAME, self.folder / "maps.npz", RATE, STEPS)
        self.assertEqual(results["backend"], backend)
        expected = self.model.predict(self.x, verbose=0)
        with np.load(self.folder / "maps.npz") as maps:
            for name, array in expected.items():
                self.assertAllClose(maps[name], array, atol=1e-4)
        logits = self.model(self.x)
        for name in COMBINATIONS:
            for output, loss in combination(name)["loss"].items():
                value = float(loss(self.y[output], logits[output]))
                self.assertNear(results[f"{name}/{output}"], value, 1e-4, name)
        for output, metrics in evaluation_metrics().items():
            for metric in metrics:
                metric.update_state(self.y[output], logits[output])
                value = float(metric.result())
                self.assertNear(results[metric.name], value, 1e-3, metric.name)
        weights = self.model.get_weights()
        self.model.compile(
            SGD(RATE, momentum=0.9), run_eagerly=True, **combination("rmse_bce_dice")
        )
        steps = [
            float(self.model.train_on_batch(self.x, self.y, return_dict=True)["loss"])
            for _ in range(STEPS)
        ]
        self.model.set_weights(weights)
        self.assertLess(steps[-1], steps[0])
        self.assertAllClose(results["steps"], steps, rtol=0, atol=2e-3)

    def test_same_numbers_under_torch_as_under_tensorflow(self):
        self._assert_same_numbers("torch")

    @pytest.mark.long
    def test_same_numbers_under_jax_as_under_tensorflow(self):
        self._assert_same_numbers("jax")

    @pytest.mark.long
    def test_fit_through_resolutions_and_a_loss_that_is_not_finite(self):
        what, losses = self._run("torch", FIT)
        self.assertEqual(what, "loss")
        self.assertLess(losses[-1], losses[-2])
