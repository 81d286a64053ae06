"""The moving average, against the same training in plain NumPy."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.callbacks.weight_average import WeightAverage
from keras_depthseg.layers import BatchNormalization

RATE, DECAY, BATCH, BATCHES, EPOCHS = 0.05, 0.9, 4, 11, 3


def _samples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * BATCHES, 3)).astype("float32")
    return x, x @ np.array([[1.0], [-2.0], [0.5]], "float32") + 1.0


class _Seen(keras.callbacks.Callback):
    """Notes the weights at the moments that matter."""

    def __init__(self):
        super().__init__()
        self.trained, self.validated, self.ended = [], [], []

    def _weights(self):
        return self.model.get_weights()[0].copy()

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.trained.append(self._weights())

    def on_test_begin(self, logs=None):
        self.validated.append(self._weights())

    def on_epoch_end(self, epoch, logs=None):
        self.ended.append(self._weights())


def _fit(model, **compile_options):
    model.compile(keras.optimizers.SGD(RATE, **compile_options), "mse")
    x, y = _samples()
    seen = _Seen()
    model.fit(
        *(x, y),
        batch_size=BATCH,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        validation_data=(x, y),
        callbacks=[WeightAverage(DECAY), seen],
    )
    return seen


def _expected(w, accumulate=1):
    """Raw weights and averages at the epochs' ends."""
    x, y = _samples()
    average, updated, step = w.copy(), 0, 0
    gradients, raw, averages = [], [], []
    for _ in range(EPOCHS):
        for batch in range(BATCHES):
            at = slice(batch * BATCH, (batch + 1) * BATCH)
            gradients.append(2 * x[at].T @ (x[at] @ w - y[at]) / BATCH)
            if len(gradients) == accumulate:
                w = w - RATE * np.mean(gradients, axis=0)
                step += 1
                gradients = []
            if batch in (7, BATCHES - 1):
                decay = min(DECAY, (1 + step) / (10 + step)) ** (step - updated)
                average = decay * average + (1 - decay) * w
                updated = step
        raw.append(w)
        averages.append(average)
    return raw, averages


class WeightAverageTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((1, {}), (4, {"gradient_accumulation_steps": 4}))
    def test_against_numpy(self, accumulate, options):
        # Accumulated gradients are one step.
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(1, use_bias=False)]
        )
        first = model.get_weights()[0].copy()
        seen = _fit(model, **options)
        raw, averages = _expected(first, accumulate)
        self.assertAllClose(seen.trained, [first, *raw[:-1]], atol=1e-5)
        self.assertAllClose(seen.validated, averages, atol=1e-5)
        self.assertAllClose(seen.ended, averages, atol=1e-5)
        self.assertAllClose(model.get_weights()[0], averages[-1], atol=1e-5)
        self.assertGreater(np.abs(np.subtract(raw, averages)).max(), 0.01)

    def test_moving_statistics_are_averaged(self):
        model = keras.Sequential([keras.Input((3,)), BatchNormalization()])
        model.compile("sgd", "mse")
        average = WeightAverage(DECAY)
        average.set_model(model)
        average.on_train_begin()
        # Scale, offset and two statistics; and how far it is.
        self.assertLen(average.state(), 4 + 2)
