"""Training on several devices: the losses and weights of one device."""

import json
import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.processes import finish, start

# What all processes do: `train(batches, loss, **options)`, and `make_batches`.
COMMON = """
import sys
import keras
import numpy as np
import tensorflow as tf
from keras_depthseg.layers import BatchNormalization, BilinearUpsampling2x
from keras_depthseg.losses import combination
from keras_depthseg.metrics import training_metrics
from keras_depthseg.optimizers import SGD
from keras_depthseg.training.model_state import snapshot


def make_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    x = inputs
    for strides in (2, 1):
        x = keras.layers.Conv2D(4, 3, strides, padding="same", activation="relu")(x)
        x = BatchNormalization()(x)
    x = BilinearUpsampling2x()(x)
    heads = {name: keras.layers.Conv2D(1, 1, name=name) for name in ("depth", "mask")}
    return keras.Model(inputs, {name: head(x) for name, head in heads.items()})


def make_arrays(samples):
    x = np.random.default_rng(0).random((samples, 16, 16, 3), dtype="float32")
    return x, {"depth": 0.5 * x[..., :1], "mask": np.float32(x[..., 1:2] < 0.3)}


def train(batches, loss, **options):
    model = make_model()
    model.compile(
        SGD(0.1, momentum=0.9, **options),
        metrics=training_metrics(),
        **combination(loss),
    )
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        batches, validation_data=batches, epochs=3, shuffle=False, verbose=0
    ).history
    # Not of metrics: devices may count twice what is divided by the number.
    state = {k: a for k, a in snapshot(model).items() if not k.startswith("metrics/")}
    return {**history, **state}
"""

MIRRORED = """
import json
from keras_depthseg.optimizers import non_finite_steps

cpu = tf.config.list_physical_devices("CPU")[0]
logical = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [logical] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
folder = sys.argv[1]
for name, (loss, samples, options) in json.loads(sys.argv[2]).items():
    batches = tf.data.Dataset.from_tensor_slices(make_arrays(samples)).batch(8)
    np.savez(f"{folder}/{name}_one.npz", **train(batches, loss, **options))
    with strategy.scope():
        np.savez(f"{folder}/{name}_two.npz", **train(batches, loss, **options))

# The gradient of one device, or of none, is not finite.
with strategy.scope():
    variable = keras.Variable(1.0)
    optimizer = SGD(0.0)
    optimizer.build([variable])


@tf.function
def step(bad):
    def of_replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([tf.where(number == bad, np.nan, 1.0)], [variable])

    strategy.run(of_replica)


counts = []
for bad in (2, 1, 0, 2):
    step(bad)
    counts.append(non_finite_steps(optimizer))
print(counts)
"""

# Loss, samples and options of the optimizer.
MIRRORED_CASES = {
    # Of the last batch one device has three, the other two.
    "pooled": ("rmse_bce_dice", 21, {}),
    "per_image": ("ssim_dice", 21, {}),
    "clipped": ("rmse_bce", 24, {"global_clipnorm": 0.05}),
}

PROCESSES = """
import jax

folder, count, index, port = sys.argv[1], *map(int, sys.argv[2:])
if count > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(f"localhost:{port}", count, index)
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    assert len(jax.devices()) == count and len(jax.local_devices()) == 1
# This process's part of each batch of 8.
part = 8 // count
mine = np.arange(32) // part % count == index
x, y = make_arrays(32)
part_of_all = x[mine], {name: array[mine] for name, array in y.items()}
batches = tf.data.Dataset.from_tensor_slices(part_of_all).batch(part)
np.savez(f"{folder}/{count}_{index}.npz", **train(batches, "rmse_bce_dice"))
"""


def _free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


class DistributionTestCase(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))

    def assert_same_training(self, name, expected_name):
        with (
            np.load(self.folder / f"{name}.npz") as result,
            np.load(self.folder / f"{expected_name}.npz") as expected,
        ):
            self.assertEqual(set(result), set(expected))
            # What was learned is far more than what may differ.
            self.assertLess(expected["loss"][-1], expected["loss"][0] - 0.03)
            for key in expected:
                self.assertAllClose(
                    result[key], expected[key], rtol=1e-5, atol=1e-5, msg=key
                )


@pytest.mark.long
class MirroredStrategyTest(DistributionTestCase):
    def test_same_as_one_device(self):
        cases = json.dumps(MIRRORED_CASES)
        script = COMMON + MIRRORED
        (output,) = finish(start("tensorflow", "-c", script, self.folder, cases))
        for name in MIRRORED_CASES:
            self.assert_same_training(f"{name}_two", f"{name}_one")
        # A step counts once, whichever device's gradient is not finite.
        self.assertEqual(json.loads(output), [0, 1, 2, 2])


@pytest.mark.long
class JaxProcessesTest(DistributionTestCase):
    def test_same_as_one_process(self):
        pytest.importorskip("jax")
        port = _free_port()
        finish(
            *(
                start("jax", "-c", COMMON + PROCESSES, self.folder, *arguments, port)
                for arguments in ((1, 0), (2, 0), (2, 1))
            )
        )
        self.assert_same_training("2_0", "1_0")
        self.assert_same_training("2_1", "1_0")
