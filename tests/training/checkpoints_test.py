"""A training run that was stopped is resumed exactly."""

import csv
import errno
import io
import json
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import optimizers
from keras_depthseg.callbacks.non_finite import StopAtNonFinite
from keras_depthseg.callbacks.plateau import ReduceLROnPlateau
from keras_depthseg.callbacks.resolution import ResolutionScheduler
from keras_depthseg.callbacks.weight_average import WeightAverage
from keras_depthseg.errors import UserError
from keras_depthseg.layers import BatchNormalization
from keras_depthseg.schedule import parse_schedule
from keras_depthseg.training.checkpoints import (
    Checkpoints,
    Position,
    TrainingInterruptedError,
    latest,
)
from keras_depthseg.training.model_state import snapshot
from tests.support.eager import run_eagerly
from tests.support.tiny_data import RefusalTestCase

# 13 samples: steps an epoch are 4 (the last one of a single sample), then 3.
SAMPLES = 13
SCHEDULE = "32:2:4,64:2:5"
STEPS = [4, 4, 3, 3]


def _data(phase, epoch=99, step=0):
    rng = np.random.default_rng(epoch)
    x = rng.normal(size=(SAMPLES, phase.resolution, phase.resolution, 2))
    y = x.mean((1, 2, 3), keepdims=True)[:, 0, 0]
    data = tf.data.Dataset.from_tensor_slices((x.astype("f4"), y.astype("f4")))
    return data.batch(phase.batch_size).skip(step)


def _model(optimizer, policy="float32"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 2))
    x = keras.layers.Conv2D(4, 3, dtype=policy)(inputs)
    x = BatchNormalization(dtype=policy)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=policy)(x)
    outputs = keras.layers.Dense(1, dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    model.dtype_policy = policy
    model.compile(optimizer, loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


class _CrashError(Exception):
    """In place of a kill."""


class _Crash(keras.callbacks.Callback):
    def __init__(self, epoch, step):
        super().__init__()
        self._at = epoch, step

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if (epoch, None) == self._at:
            raise _CrashError

    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch) == self._at:
            raise _CrashError


def _train(folder, make_optimizer, policy="float32", crash=None, **options):
    """Trains or resumes in a folder; returns the final state and the history."""
    folder.mkdir(exist_ok=True)
    model = _model(make_optimizer(), policy)
    start = latest(folder)
    scheduler = ResolutionScheduler(parse_schedule(SCHEDULE), _data, _data)
    plateau = ReduceLROnPlateau("val_loss", patience=1, min_delta=10.0)
    average = WeightAverage(0.9)
    # Every step is saved.
    options = {"minutes": 0.0, **options}
    checkpoints = Checkpoints(
        folder, {"plateau": plateau, "average": average}, start, **options
    )

    def divided(epoch, learning_rate):
        return learning_rate / 2 if epoch in (1, 2) else learning_rate

    callbacks = [StopAtNonFinite(), plateau, average, checkpoints]
    if make_optimizer is not _cosine:
        callbacks.insert(1, keras.callbacks.LearningRateScheduler(divided))
    else:
        callbacks.remove(plateau)
    if crash:
        callbacks.insert(0, _Crash(*crash))
    scheduler.fit(
        model,
        callbacks,
        verbose=0,
        first_epoch=start.epoch if start else 0,
        first_step=start.step if start else 0,
    )
    return snapshot(model), average.state(), checkpoints.history


def _sgd():
    return optimizers.SGD(0.1, momentum=0.9)


def _adam():
    return optimizers.Adam(0.01, gradient_accumulation_steps=2, global_clipnorm=1.0)


def _cosine():
    return optimizers.AdamW(optimizers.cosine_decay(0.01, 14), weight_decay=0.1)


def _scaled():
    # Far too high at the beginning, doubled every third step.
    return keras.optimizers.LossScaleOptimizer(
        optimizers.SGD(0.1, momentum=0.9), initial_scale=2.0**24, dynamic_growth_steps=3
    )


class ResumedTest(RefusalTestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))

    def _run(self, name, *args, **options):
        return _train(self.folder / name, *args, **options)

    def assert_same(self, result, expected):
        for a, b in zip(result[:2], expected[:2], strict=True):
            self.assertEqual(list(a), list(b))
            for name, array in b.items():
                np.testing.assert_array_equal(a[name], array, err_msg=name)
        self.assertEqual(result[2], expected[2])

    @parameterized.named_parameters(
        ("accumulated", _adam, "float32"),
        ("cosine", _cosine, "mixed_bfloat16"),
        ("loss_scale", _scaled, "mixed_float16"),
    )
    def test_after_crashes(self, make_optimizer, policy):
        expected = self._run("alone", make_optimizer, policy)
        # In an epoch, at the start of a phase, after the last step of an epoch, at once
        # after resuming.
        for crash in ((0, 1), (2, None), (3, 1), (3, 1)):
            with self.assertRaises(_CrashError):
                self._run("killed", make_optimizer, policy, crash)
        self.assert_same(self._run("killed", make_optimizer, policy), expected)
        with (self.folder / "killed" / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([int(row["epoch"]) for row in rows], [0, 1, 2, 3])
        for name, values in expected[2].items():
            self.assertEqual([float(row[name]) for row in rows], values)
        self.assertEqual(
            (self.folder / "killed" / "history.csv").read_bytes(),
            (self.folder / "alone" / "history.csv").read_bytes(),
        )

    def test_resumed_after_the_last_epoch(self):
        # Killed after the last epoch: nothing is left to train.
        expected = self._run("one", _sgd)
        start = latest(self.folder / "one")
        self.assertEqual((start.epoch, start.step), (4, 0))
        model = _model(_sgd())
        start.restore_model(model)
        for name, array in expected[0].items():
            if name.startswith(("model/", "optimizer/")):
                np.testing.assert_array_equal(snapshot(model)[name], array)


class FilesTest(RefusalTestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))

    def _files(self, folder):
        return sorted(path.name for path in (self.folder / folder).iterdir())

    def test_keeps_the_last_and_the_best(self):
        with mock.patch("keras_depthseg.training.checkpoints.BEST", "val_loss"):
            *_, history = _train(self.folder, _sgd, keep=1)
        best = int(np.argmax(history["val_loss"]))
        self.assertNotEqual(best, 3)
        self.assertEqual(
            self._files("checkpoints"),
            [f"epoch-00{n}.weights.h5" for n in (best + 1, 4)],
        )
        # The first step's is 0; two are kept of all 14 steps.
        self.assertEqual(
            self._files("resume"), ["position-000012.npz", "position-000013.npz"]
        )

    def test_full_disk(self):
        def savez(path, **arrays):
            with open(path, "wb") as file:
                file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        def write_bytes(path, content):
            savez(path)

        with self.assertRaises(_CrashError):
            _train(self.folder, _sgd, crash=(0, 2))
        kept = self._files("resume")
        for patch in (
            mock.patch.object(np, "savez", savez),
            mock.patch.object(Path, "write_bytes", write_bytes),
        ):
            with patch:
                self.assert_refused(
                    lambda: _train(self.folder, _sgd),
                    *(self.folder, "No space left on device", "`resume`"),
                )
        self.assertEqual(self._files("resume")[:1], kept[1:])
        self.assertEqual(self._files("checkpoints"), [])
        _train(self.folder, _sgd)

    @parameterized.parameters(0, 1, 2)
    @pytest.mark.long
    def test_killed_between_the_files_of_the_last_epoch(self, written):
        # An epoch leaves three files; no later epoch would repair a missing one.
        alone, killed = self.folder / "alone", self.folder / "killed"
        with self.assertRaises(_CrashError):
            _train(killed, _sgd, minutes=9.0, crash=(3, None))
        *_, expected = _train(alone, _sgd, minutes=9.0)
        for name in ("checkpoints/epoch-004.weights.h5", "history.csv")[:written]:
            shutil.copy(alone / name, killed / name)
        _train(killed, _sgd, minutes=9.0)
        rows = csv.DictReader((killed / "history.csv").read_text().splitlines())
        self.assertEqual([float(row["loss"]) for row in rows], expected["loss"])

    def test_damaged_positions_do_not_count(self):
        with self.assertRaises(_CrashError):
            _train(self.folder, _sgd, crash=(0, 2))
        self.assertEqual(
            self._files("resume"), ["position-000000.npz", "position-000001.npz"]
        )
        last = self.folder / "resume" / "position-000001.npz"
        last.write_bytes(last.read_bytes()[:-1000])
        # Saves one position more, beside the good one.
        with self.assertRaises(_CrashError):
            _train(self.folder, _sgd, crash=(0, 2))
        names = ["damaged-position-000001.npz", "position-000000.npz"]
        self.assertEqual(self._files("resume"), [*names, "position-000001.npz"])
        for number in (0, 1):
            Position.load(self.folder / "resume" / f"position-00000{number}.npz")

    def test_a_position_that_cannot_be_opened_stays(self):
        with self.assertRaises(_CrashError):
            _train(self.folder, _sgd, crash=(0, 2))
        before, last = (self.folder / "resume" / name for name in self._files("resume"))
        open_file = Path.open

        def refusing(path, *args, **kwargs):
            if path == last:
                raise PermissionError(errno.EACCES, "Permission denied")
            return open_file(path, *args, **kwargs)

        with mock.patch.object(Path, "open", refusing):
            self.assertEqual(latest(self.folder).step, Position.load(before).step)
        self.assertTrue(last.exists())

    def test_asked_to_stop(self):
        run_eagerly(self)
        for when, at in ((2, (0, 2)), (4, (1, 0)), (5, (1, 1))):
            asked = iter(range(99))
            folder = self.folder / str(when)
            with self.assertRaises(TrainingInterruptedError):
                _train(
                    *(folder, _sgd),
                    minutes=9.0,
                    should_stop=lambda asked=asked, when=when: next(asked) + 1 >= when,
                )
            start = latest(folder)
            self.assertEqual((start.epoch, start.step), at)

    def test_state_of_another_model(self):
        with self.assertRaises(_CrashError):
            _train(self.folder, _sgd, crash=(0, 2))
        with self.assertRaisesRegex(UserError, "another model or optimizer"):
            latest(self.folder).restore_model(_model(_adam()))

    def test_positions_that_are_damaged_otherwise(self):
        arrays = {"model/0000": np.zeros(2, np.float32), "callbacks/a/b": np.ones(3)}
        whole, path = (
            Position(1, 2, ({"epoch": 0, "loss": 1.5},), arrays),
            (self.folder / "position-000001.npz"),
        )
        whole.save(path)
        data = path.read_bytes()
        self.assertEqual(Position.load(path).rows, whole.rows)
        members = np.load(path)
        directory = data.index(b"PK\x01\x02")
        for damaged in (
            # A version of zip that Python does not know, and a compression.
            data[: directory + 6] + b"\x63" + data[directory + 7 :],
            data[: directory + 10] + b"\x63" + data[directory + 11 :],
            # Text of an array's header that does not end.
            data.replace(b"'shape': (2,), }", b"'shape': ((2,), "),
            # The list of a zip without its last array.
            _npz({name: members[name] for name in members if name != "callbacks/a/b"}),
            # An epoch that is no number, and rows that are none.
            _npz({**members, "about": _text({"epoch": "1", "step": 2, "rows": []})}),
            _npz({**members, "about": _text({"epoch": 1, "step": 2, "rows": [3]})}),
            _npz({**members, "about": _text({"epoch": 1, "step": -2, "rows": []})}),
        ):
            path.write_bytes(damaged)
            with self.assertRaisesRegex(UserError, "cannot be read"):
                Position.load(path)

    def test_positions_of_earlier_versions_do_not_list_their_arrays(self):
        path = self.folder / "position-000001.npz"
        about = _text({"epoch": 1, "step": 0, "rows": []})
        path.write_bytes(_npz({"about": about, "model/0000": np.zeros(2)}))
        self.assertEqual(Position.load(path).epoch, 1)


def _text(content):
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def _npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


if __name__ == "__main__":
    tf.test.main()
