"""Speed of a training and its pictures, on a clock that the tests turn."""

from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.callbacks import watching
from keras_depthseg.callbacks.watching import PredictionPictures, StepTimes


class _Time:
    """Stands in for the module `time`."""

    def __init__(self):
        self.now = 1000.0

    def perf_counter(self):
        return self.now


class _TimeTestCase(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.time = _Time()
        self.enter_context(mock.patch.object(watching, "time", self.time))


class StepTimesTest(_TimeTestCase):
    def setUp(self):
        super().setUp()
        self.waited = 5.0
        self.batch_size = 8
        self.callback = StepTimes(lambda: self.waited, lambda: self.batch_size)

    def _epoch(self, steps, first=0, between=0.0):
        """Logs of an epoch whose steps take and wait these seconds."""
        self.callback.on_epoch_begin(0)
        for step, (seconds, waited) in enumerate(steps, start=first):
            self.callback.on_train_batch_begin(step)
            self.time.now += seconds
            self.waited += waited
            self.callback.on_train_batch_end(step)
            self.time.now += between
            self.waited += between
        logs = {"loss": 1.0}
        self.callback.on_epoch_end(0, logs)
        return logs

    def test_all_but_the_first_step(self):
        # Time between steps (callbacks, validation) is no part of them.
        steps = [(30.0, 9.0), (0.1, 0.0), (0.3, 0.06)]
        expected = {
            "loss": 1.0,
            "step_seconds": 0.2,
            "images_per_second": 40.0,
            "input_wait": 0.15,
        }
        for first in (7, 0):
            logs = self._epoch(steps, first, between=4.0)
            self.assertEqual(logs, expected)
            self.assertEqual({type(value) for value in logs.values()}, {float})

    def test_one_step_no_steps_and_no_logs(self):
        self.assertEqual(self._epoch([(2.0, 0.5)])["images_per_second"], 4.0)
        self.assertEqual(self._epoch([]), {"loss": 1.0})
        self.callback.on_epoch_end(0)

    def test_in_fit(self):
        self.callback = StepTimes(lambda: self.waited, lambda: 4)

        class Work(keras.callbacks.Callback):
            """Each call of the training function takes half a second."""

            def on_train_batch_begin(_, batch, logs=None):  # noqa: N805
                self.time.now += 0.5
                self.waited += 0.25

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", steps_per_execution=2)
        x = np.ones((24, 1), "float32")
        callbacks = [self.callback, Work()]
        history = model.fit(x, x, 4, epochs=2, verbose=0, callbacks=callbacks).history
        self.assertEqual(history["step_seconds"], [0.25] * 2)
        self.assertEqual(history["images_per_second"], [16.0] * 2)
        self.assertEqual(history["input_wait"], [0.5] * 2)


def _model():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    return model


class PredictionPicturesTest(_TimeTestCase):
    def setUp(self):
        super().setUp()
        self.resolution = 32
        self.read_seconds = self.draw_seconds = 0.0
        self.asked, self.published = [], []
        self.model = _model()

    def _pictures(self, last=None, **options):
        def samples(resolution):
            self.asked.append(resolution)
            self.time.now += self.read_seconds
            return np.ones((2, resolution, resolution, 1)), {"y": resolution}

        def draw(inputs, labels, predictions):
            self.time.now += self.draw_seconds
            self.assertEqual(inputs.shape[1], labels["y"])
            self.assertEqual(predictions.shape, (2, 1))
            return predictions[0, 0]

        pictures = PredictionPictures(
            samples,
            draw=draw,
            publish=lambda epoch, picture: self.published.append((epoch, picture)),
            resolution=lambda: self.resolution,
            is_last=lambda epoch: epoch == last,
            **{"first_seconds": 0.0, **options},
        )
        pictures.set_model(self.model)
        pictures.on_train_begin()
        return pictures

    def _epochs(self, pictures, epochs, seconds):
        """Numbers of those of the epochs, each of so many seconds, that were drawn."""
        self.published.clear()
        for epoch in epochs:
            self.time.now += seconds
            pictures.on_epoch_end(epoch)
        return [epoch for epoch, _ in self.published]

    def test_costs_no_more_than_its_share(self):
        # A picture is as long as an epoch: with n of them drawn and one to come, n + 1
        # may be max_share of the epochs so far.
        self.draw_seconds = 1.0
        drawn = self._epochs(self._pictures(max_share=0.25), range(20), 1.0)
        self.assertEqual(drawn, [0, 7, 11, 15, 19])

    def test_reading_samples_counts(self):
        self.read_seconds = 3.0
        self.draw_seconds = 1.0
        pictures = self._pictures(max_share=0.5)
        # The first took 4, and the next is expected to: half of 16 epochs. It takes 1, as
        # those after it do.
        drawn = self._epochs(pictures, range(19), 1.0)
        self.assertEqual(drawn, [0, 15, 16, 17, 18])
        # 8 have been spent. A new resolution is expected to cost 4 again: half of 24.
        self.resolution = 64
        self.assertEqual(self._epochs(pictures, range(19, 24), 1.0), [23])
        self.assertEqual(self.asked, [32, 64])

    def test_the_last_epoch_in_any_case(self):
        self.draw_seconds = 100.0
        pictures = self._pictures(last=4)
        self.assertEqual(self._epochs(pictures, range(5), 1.0), [0, 4])
        pictures.on_train_begin()
        self.assertEqual(self._epochs(pictures, range(2), 1.0), [0])
        self.model.stop_training = True
        self.assertEqual(self._epochs(pictures, [2], 1.0), [2])

    def test_predictions_are_those_of_the_moment(self):
        pictures = self._pictures()
        x = np.random.default_rng(0).uniform(size=(8, 32, 32, 1)).astype("float32")
        y = x.mean((1, 2))
        self.model.fit(x, y, epochs=2, callbacks=[pictures], verbose=0)
        drawn = [picture for _, picture in self.published]
        self.assertLen(drawn, 2)
        self.assertNotEqual(drawn[0], drawn[1])
        last = self.model.predict_on_batch(np.ones((1, 32, 32, 1)))[0, 0]
        self.assertNear(drawn[1], last, 1e-6)
