"""Whole runs on a tiny data set: what is in the run folder, and what is refused."""

import dataclasses
import errno
import json
import math
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from keras_depthseg import DSResNet
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.scores import evaluate
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.training import run
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.curves import CURVES
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.recipes import Recipe
from keras_depthseg.training.run_files import read_history
from keras_depthseg.training.run_folder import RunFolder
from tests.support.eager import run_eagerly
from tests.support.tiny_data import TinyDataTestCase, remove_field

# Two phases, the second with another batch size; SGD is the faster one to build.
TINY = Recipe(
    name="tiny",
    schedule="32:1:8,64:2:12",
    loss="rmse_bce_dice",
    augment="original",
    optimizer="sgd",
    learning_rate=0.02,
    width=1,
    divide_after_first_phase=10.0,
)


class RunTest(TinyDataTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = RunConfig(str(cls.records), TINY, precision="float32", seed=3)
        cls.result = run.train(cls.config, cls.shared / "runs" / "one")
        cls.run_dir = cls.result.run_dir

    def _json(self, name):
        return json.loads((self.run_dir / name).read_text())

    def test_files(self):
        names = {path.name for path in self.run_dir.iterdir()}
        self.assertEqual(
            names,
            {
                *("config.json", "history.csv", "checkpoints", "resume", "tensorboard"),
                *("model.keras", "curves.png", "predictions.png", "scores.json"),
                *("pictures", "report.html", ".lock"),
            },
        )
        checkpoints = sorted(
            path.name for path in (self.run_dir / "checkpoints").iterdir()
        )
        self.assertEqual(checkpoints, [f"epoch-00{n}.weights.h5" for n in (1, 2, 3)])
        positions = sorted(path.name for path in (self.run_dir / "resume").iterdir())
        self.assertEqual(positions, ["position-000001.npz", "position-000002.npz"])

    def test_config(self):
        config = self._json("config.json")
        self.assertEqual(RunConfig.load(self.run_dir), self.config)
        records = open_records(self.records)
        self.assertEqual(config["samples"], {n: records.size(n) for n in SPLITS})
        self.assertEqual([p["batch_size"] for p in config["phases"]], [8, 12])
        self.assertEqual(config["depth"]["unit"], "relative")
        self.assertEqual(config["versions"]["keras"], keras.__version__)
        self.assertEqual(config["parameters"], DSResNet(1).count_params())

    def test_history(self):
        history = self.result.history
        for name in ("loss", *CURVES):
            for values in (history[name], history[f"val_{name}"]):
                self.assertLen(values, 3)
                self.assertTrue(np.isfinite(values).all(), name)
        self.assertEqual(history["resolution"], [32, 64, 64])
        self.assertEqual(history["epoch"], [0, 1, 2])
        self.assertAllClose(history["learning_rate"], [0.02, 0.002, 0.002])
        self.assertEqual(read_history(RunFolder(self.run_dir)), history)
        self.assertGreater(min(history["images_per_second"]), 0.0)

    def test_tensorboard(self):
        found = {}
        for path in (self.run_dir / "tensorboard").rglob("events.out.tfevents.*"):
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                for value in event.summary.value:
                    found.setdefault(value.tag, []).append((event.step, value))
        self.assertEqual([step for step, _ in found["epoch_loss"][:3]], [0, 1, 2])
        for name in ("step_seconds", "input_wait", "resolution", "learning_rate"):
            self.assertLen(found[f"epoch_{name}"], 3)
        # The others are too short for a picture, see PredictionPictures.
        ((step, picture),) = found["predictions"]
        width = int(picture.tensor.string_val[0])
        self.assertEqual((step, width), (2, 8 * (64 + 2)))
        with Image.open(self.run_dir / "pictures" / "epoch-003.png") as image:
            self.assertEqual(image.width, width)

    def test_scores_and_saved_model(self):
        records = open_records(self.records)
        written = self._json("scores.json")
        self.assertEqual(written["resolution"], 64)
        self.assertEqual(written["scores"], self.result.scores)
        self.assertEqual(
            {split: values["samples"] for split, values in written["scores"].items()},
            {split: records.size(split) for split in SPLITS[1:]},
        )
        batches = make_pipeline(records, "val", resolution=64, batch_size=5)
        inputs, _ = next(iter(batches.take(1).as_numpy_iterator()))
        maps = keras.models.load_model(self.run_dir / "model.keras").predict_on_batch(
            inputs
        )
        model = DSResNet(1, records.statistics)
        model.load_weights(self.run_dir / "checkpoints" / "epoch-003.weights.h5")
        expected = model.predict_on_batch(inputs)
        for name in ("mask", "depth"):
            self.assertEqual(maps[name].shape, (5, 64, 64, 1))
            self.assertGreater(np.ptp(maps[name]), 1e-3)
            self.assertAllClose(maps[name], expected[name], atol=1e-5)
        scores = evaluate(model, batches)
        for name, value in self.result.scores["val"].items():
            self.assertNear(scores[name], value, 1e-4 * max(1, abs(value)))

    def test_resumed_at_the_very_end_or_refused(self):
        run_eagerly(self)
        folder = RunFolder(self.folder / "copy")
        shutil.copytree(self.run_dir, folder)
        content = self._json("config.json")
        content["versions"]["keras"] = "3.0"
        for change, part in (
            ({"versions": {"backend": "jax"}}, "received tensorflow, it has jax"),
            ({"samples": {"train": 1}}, "this data set has changed"),
            ({"augment_sha256": "0"}, "this file has changed"),
            ({}, "this run is finished"),
        ):
            folder.config.write_text(json.dumps({**content, **change}))
            self.assert_refused(
                lambda: run.train(self.config, folder, resume=True, verbose=0), part
            )
        folder.report.unlink()  # Written last.
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            run.train(self.config, folder, resume=True, verbose=0)
        (line,) = logs.output
        self.assertIn(f"begun with keras 3.0, now {keras.__version__}", line)
        self.assertTrue(folder.report.exists())


class FullDiskTest(TinyDataTestCase):
    def test_pictures(self):
        run_eagerly(self)
        config = RunConfig(str(self.records), TINY, precision="float32")
        error = tf.errors.ResourceExhaustedError(None, None, "No space left on device")
        run_dir = self.folder / "run"
        # By name: tf.summary is another module once it has been used.
        with mock.patch("tensorflow.summary.image", side_effect=error):
            self.assert_refused(
                lambda: run.train(config, run_dir),
                *(run_dir, "No space left on device", "`resume`"),
            )

    def test_config(self):
        def write_half(path, text):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        config = RunConfig(str(self.records), TINY, precision="float32")
        with mock.patch.object(Path, "write_text", write_half):
            self.assert_refused(
                lambda: run.train(config, self.folder / "run"),
                *("No space left on device", "start again"),
            )
        # As it says: the folder is as good as new.
        RunFolder(self.folder / "run").check_new()


@pytest.mark.long
class XLATest(TinyDataTestCase):
    def test_same_losses(self):
        # One step: from the second on rounding grows tenfold a step here, where the
        # deepest level normalises single pixels.
        recipe = dataclasses.replace(TINY, schedule="32:1:29", augment="none")
        histories = []
        for xla in (False, True):
            config = RunConfig(str(self.records), recipe, precision="float32", xla=xla)
            model = Experiment(config).model()
            self.assertEqual(model.jit_compile, xla)
            result = run.train(config, self.folder / f"run {xla}")
            histories.append(result.history)
        for name in ("loss", "val_loss"):
            self.assertAllClose(histories[0][name], histories[1][name], rtol=1e-5)


class DivergenceTest(TinyDataTestCase):
    def test_bfloat16_at_a_hopeless_learning_rate(self):
        run_eagerly(self)
        recipe = dataclasses.replace(TINY, schedule="32:1:4", learning_rate=1e9)
        self.assert_refused(
            lambda: run.train(
                RunConfig(str(self.records), recipe, precision="mixed_bfloat16"),
                self.folder / "run",
            ),
            *("is not finite in epoch 1, step ", "at 32 px, samples bg0"),
            *("`learning_rate` below 1e+09", self.folder / "run"),
        )
        self.assertFalse((self.folder / "run" / "model.keras").exists())
        # The precision is the model's, not the process's.
        self.assertEqual(keras.config.dtype_policy().name, "float32")


class RefusedTest(TinyDataTestCase, parameterized.TestCase):
    def _train(self, run_dir="run", data=None, schedule="32:1", **options):
        recipe = dataclasses.replace(TINY, schedule=schedule)
        return lambda: run.train(
            RunConfig(str(data or self.records), recipe, **options), self.folder / run_dir
        )

    @parameterized.parameters(
        ({"schedule": "100:3"}, "the nearest are 96 and 128"),
        ({"precision": "float64"}, "`precision`: received 'float64'"),
        ({"seed": -1}, "`seed`: received -1"),
        ({"keep": -1}, "`keep` is a number of epochs, 0 or more: received -1"),
        ({"checkpoint_minutes": math.nan}, "checkpoint_minutes", "received nan"),
        (
            {"xla": True, "precision": "mixed_bfloat16"},
            "`precision` float32",
        ),
    )
    def test_nothing_is_left(self, options, *parts):
        self.assert_refused(self._train(**options), *parts)
        self.assertEmpty(list(self.folder.iterdir()))

    def test_masks_only_leave_nothing(self):
        data = Path(self.enter_context(tempfile.TemporaryDirectory())) / "masks"
        shutil.copytree(self.records, data)
        remove_field(data, "depth")
        refused = self._train(data=data)
        self.assert_refused(refused, "`loss`", "without depth", "per_image")
        self.assertEmpty(list(self.folder.iterdir()))

    def test_occupied_run_folder_is_left_alone(self):
        path = self.folder / "run" / "model.keras"
        path.parent.mkdir()
        path.write_bytes(b"something good")
        self.assert_refused(self._train(), path.parent, "not empty", "`run_dir`")
        self.assertEqual(list(path.parent.iterdir()), [path])
        self.assertEqual(path.read_bytes(), b"something good")

    def test_run_folder_that_cannot_be_made(self):
        (self.folder / "file").write_bytes(b"")
        for run_dir in ("file", "file/run"):
            self.assert_refused(
                self._train(run_dir), run_dir, "cannot be used as a run folder"
            )

    def test_recipe_fields(self):
        for field, value in {
            "loss": "mse",
            "augment": "bright",
            "learning_rate": math.nan,
            "divide_after_first_phase": 0.0,
            "weight_decay": -0.1,
            "clip_norm": math.inf,
            "accumulate": 0,
            "average": 1.0,
            "width": 0,
        }.items():
            with self.assertRaisesRegex(UserError, f"{field}.*received {value!r}"):
                dataclasses.replace(TINY, **{field: value})
        for fields, message in (
            ({"weight_decay": 0.1, "optimizer": "adam"}, "is for `optimizer` adamw"),
            ({"learning_rate_schedule": "cosine"}, "`divide_after_first_phase` is for"),
        ):
            with self.assertRaisesRegex(UserError, message):
                dataclasses.replace(TINY, **fields)
