"""Callbacks in motion: several phases are one `fit` to all of them."""

import contextlib
import io

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.callbacks.resolution import ResolutionScheduler
from keras_depthseg.schedule import Phase, parse_schedule


def _model(loss="mse"):
    inputs = keras.Input((None, None, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.5), loss=loss)
    return model


def _constant(y_true, y_pred):
    """A loss that never improves."""
    return 0.0 * y_pred + 1.0


def _data(phase, epoch=0, step=0):
    x = np.random.default_rng(0).uniform(size=(10, phase.resolution, phase.resolution, 1))
    y = x.mean((1, 2)).astype("float32")
    samples = tf.data.Dataset.from_tensor_slices((x.astype("float32"), y))
    return samples.batch(phase.batch_size).skip(step)


def _scheduler(schedule, **factories):
    return ResolutionScheduler(
        parse_schedule(schedule, 4), **{"train": _data, **factories}
    )


class _Calls(keras.callbacks.Callback):
    """Notes what it hears, and with which resolution."""

    def __init__(self, scheduler):
        super().__init__()
        self._scheduler = scheduler
        self.calls = []
        self.epochs = []
        self.logs = []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_train_end(self, logs=None):
        self.calls.append("train end")

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append((epoch, self._scheduler.phase.resolution))

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


class OneFitTest(tf.test.TestCase):
    def test_each_hook_hears_one_run(self):
        scheduler = _scheduler("32:2,64:1,32:2", validation=_data)
        calls = _Calls(scheduler)
        history = scheduler.fit(_model(), [calls], verbose=0)
        self.assertEqual(calls.calls, ["train begin", "train end"])
        resolutions = [32, 32, 64, 32, 32]
        self.assertEqual(calls.epochs, list(enumerate(resolutions)))
        self.assertEqual([logs["resolution"] for logs in calls.logs], resolutions)
        self.assertEqual(history.epoch, [0, 1, 2, 3, 4])
        self.assertEqual(
            set(history.history),
            {"loss", "val_loss", "phase", "resolution", "learning_rate"},
        )
        self.assertEqual(history.history["phase"], [0, 0, 1, 2, 2])
        self.assertEqual(history.history["resolution"], resolutions)
        for values in history.history.values():
            self.assertLen(values, 5)
            self.assertTrue(np.isfinite(values).all())
        losses = history.history["loss"]
        self.assertLess(losses[-1], losses[0])

    def test_predicts_by_a_function_of_one_resolution(self):
        # Which epochs are drawn depends on the clock; the scores, which take the function
        # of the last phase, must not.
        functions = []

        class Predict(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                side = scheduler.phase.resolution
                self.model.predict_on_batch(np.ones((1, side, side, 1)))
                functions.append(self.model.predict_function)

        scheduler = _scheduler("32:2,64:1,32:1")
        scheduler.fit(_model(), [Predict()], verbose=0)
        self.assertIs(functions[0], functions[1])
        self.assertLen({id(function) for function in functions}, 3)

    def test_begins_in_the_middle(self):
        asked = []

        def factory(name):
            return lambda *at: asked.append((name, *at)) or _data(*at)

        scheduler = _scheduler(
            "32:2,64:1:5", train=factory("train"), validation=factory("val")
        )
        history = scheduler.fit(_model(), verbose=0, first_epoch=1, first_step=2)

        first, second = Phase(32, 2, 4), Phase(64, 1, 5)
        self.assertEqual(
            asked,
            [
                *[("val", first), ("train", first, 1, 2)],
                *[("val", second), ("train", second, 2, 0)],
            ],
        )
        self.assertEqual(history.epoch, [1, 2])

    def test_steps_are_counted_from_the_beginning_of_the_epoch(self):
        steps = []
        callback = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: steps.append(batch),
            on_train_batch_end=lambda batch, logs: steps.append(batch),
        )
        _scheduler("32:2").fit(_model(), [callback], verbose=0, first_step=1)
        self.assertEqual(steps, [1, 1, 2, 2, 0, 0, 1, 1, 2, 2])
        self.assertEqual(callback.params["steps"], 3)

    def test_progress_counts_over_all_phases(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            _scheduler("32:1,64:2:2").fit(_model(), verbose=2)
        text = output.getvalue()
        positions = [text.index(f"Epoch {epoch}/3") for epoch in (1, 2, 3)]
        self.assertEqual(positions, sorted(positions))
        self.assertEqual(text.count("Epoch "), 3)
        # Ten samples by 4, then by 2.
        self.assertEqual([text.count("3/3 - "), text.count("5/5 - ")], [1, 2])

    def test_refused(self):
        with self.assertRaisesRegex(ValueError, "at least one phase"):
            ResolutionScheduler([], _data)
        scheduler = _scheduler("32:1")
        with self.assertRaisesRegex(ValueError, r"Use scheduler.fit\(model\)"):
            _model().fit(_data(Phase(32, 1)), callbacks=[scheduler], shuffle=False)
        backup = keras.callbacks.BackupAndRestore(self.get_temp_dir())
        with self.assertRaisesRegex(ValueError, "must not hold BackupAndRestore"):
            scheduler.fit(_model(), [backup])


class KeptStateTest(tf.test.TestCase):
    def test_early_stopping_stops_the_run(self):
        scheduler = _scheduler("32:1,64:9")
        calls = _Calls(scheduler)
        stopping = keras.callbacks.EarlyStopping("loss", patience=2)
        history = scheduler.fit(_model(_constant), [stopping, calls], verbose=0)
        self.assertEqual(history.history["resolution"], [32, 64, 64])
        self.assertEqual(calls.calls, ["train begin", "train end"])
        self.assertEqual(stopping.stopped_epoch, 2)
