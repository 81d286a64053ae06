"""What version 0.1.0 wrote still loads: a model, a data set, a half-finished run.

tests/data/version_0.1.0.tar.xz was made at commit d3e4bff: rooms of 32 px, a network of
width 1 trained for three epochs of six steps, and the same run stopped by Ctrl-C after
the first step of its third epoch (float32, deterministic, seed 0).
"""

import json
import tarfile
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_depthseg
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.evaluation.scores import evaluate
from keras_depthseg.model_file import ModelFile
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.run import train
from keras_depthseg.training.run_files import read_history
from keras_depthseg.training.run_folder import RunFolder
from tests.support.eager import run_eagerly

ARCHIVE = Path(__file__).parent / "data" / "version_0.1.0.tar.xz"


class Version01Test(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.enter_context(tempfile.TemporaryDirectory())
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
        cls.folder = Path(folder) / "0.1.0"

    def test_data_set(self):
        records = open_records(self.folder / "rooms")
        self.assertEqual(records.size("train"), 42)
        self.assertEqual(records.depth["unit"], "metre")
        report = validate(self.folder / "rooms")
        self.assertEqual(report.samples, 60)
        self.assertEmpty(report.errors)

    def test_model(self):
        model = keras.saving.load_model(self.folder / "model.keras")
        self.assertIsInstance(model, keras_depthseg.DSResNet)
        # It was not written then.
        self.assertIsNone(model.resolution)
        self.assertIsNone(ModelFile.open(self.folder / "model.keras").resolution)
        batches = make_pipeline(
            self.folder / "rooms", "unseen_bg", resolution=32, batch_size=8
        )
        scores = evaluate(model, batches)
        written = json.loads((self.folder / "scores.json").read_text())
        expected = written["scores"]["unseen_bg"]
        for name in ("soft_iou", "hard_iou", "boundary_f1"):
            self.assertNear(scores[f"mask_{name}"], expected[name], 1e-4)
        for name in ("rmse", "mae", "abs_rel", "delta1"):
            self.assertNear(scores[f"depth_{name}"], expected[name], 1e-4)

    def test_half_finished_run(self):
        run_eagerly(self)
        folder = RunFolder(self.folder / "run")
        # The data set has moved since.
        config = json.loads(folder.config.read_text())
        config["data"] = str((self.folder / "rooms").resolve())
        # Would stay on for the other tests of this process.
        config["deterministic"] = False
        folder.config.write_text(json.dumps(config))
        before = read_history(folder)

        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            result = train(RunConfig.load(folder), folder, resume=True, verbose=0)
        self.assertIn("keras_depthseg 0.1.0, now ", "".join(logs.output))
        self.assertEqual(result.history["epoch"], [0, 1, 2])
        for name in ("loss", "val_loss", "mask_hard_iou", "learning_rate"):
            self.assertEqual(result.history[name][:2], before[name])
        self.assertTrue(np.isfinite(result.history["loss"]).all())
        self.assertLess(result.history["loss"][2], result.history["loss"][1])
        self.assertTrue(folder.report.exists())
        keras.saving.load_model(folder.model)
