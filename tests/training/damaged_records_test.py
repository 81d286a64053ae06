"""Damaged records in training and evaluation: named in one line, or left out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import tensorflow as tf
from absl.testing import parameterized

import depthseg
from keras_depthseg.commands import main
from keras_depthseg.datasets.inspection import damage as damage_module
from keras_depthseg.datasets.inspection.damage import naming_damage
from keras_depthseg.datasets.mixture import Source
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.training import run
from keras_depthseg.training.checkpoints import latest
from keras_depthseg.training.config import RunConfig
from tests.support.damaged_records import KINDS, damage
from tests.support.eager import run_eagerly
from tests.support.tiny_data import TinyDataTestCase
from tests.support.tiny_recipe import TINY

RECORD = "train 00001-of-00003 record 3: "
REMEDY = "--skip-damaged"


class DamagedTestCase(TinyDataTestCase):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy"
        shutil.copytree(self.records, self.copy)
        self.shard = min(self.copy.glob("*-train.tfrecord-00001-*"))
        self.run_dir = self.folder / "run"


class NamedTest(DamagedTestCase):
    @parameterized.parameters(*KINDS)
    def test_while_reading(self, kind):
        text = damage(self.shard, 3, kind)
        if kind == "length":  # Nothing is read: the file is too short or too long.
            self.assert_refused(
                lambda: open_records(self.copy), self.shard, "record 3 of ", REMEDY
            )
            return
        records = open_records(self.copy)
        batches = make_pipeline(records, resolution=32, batch_size=4, shuffle=True)
        with self.assertRaises(tf.errors.OpError):
            list(batches)

        def read():
            with naming_damage([records]):
                list(batches)

        self.assert_refused(read, self.copy, RECORD, text, REMEDY)

    @parameterized.parameters("cut JPEG", "field missing", "empty picture")
    def test_in_a_mixture(self, kind):
        text = damage(self.shard, 3, kind)
        data = [open_records(self.records), open_records(self.copy)]

        def read():
            with naming_damage(data):
                list(make_pipeline([*map(Source, data)], resolution=32, batch_size=4))

        self.assert_refused(read, self.copy, RECORD, text)

    def test_other_errors_stay(self):
        records = open_records(self.copy)
        with (
            self.assertRaisesRegex(tf.errors.InvalidArgumentError, "a bug"),
            naming_damage([records]),
        ):
            raise tf.errors.InvalidArgumentError(None, None, "a bug")

    @parameterized.parameters("content", "cut PNG", "picture of another size")
    def test_evaluate_and_card(self, kind):
        shard = min(self.copy.glob("*-unseen_fg.tfrecord-00002-*"))
        text = damage(shard, 2, kind)
        model = self.folder / "model.keras"
        run_eagerly(self)
        compiled_model().save(model)
        record = "unseen_fg 00002-of-00003 record 2"
        self.assert_refused(
            lambda: main.main(
                ["evaluate", str(model), "--data", str(self.copy), "--no-baselines"]
                + ["--out", str(self.folder / "out"), "--resolution", "32"]
            ),
            *(self.copy, record, text, REMEDY),
        )
        self.assertFalse((self.folder / "out").exists())
        page = self.folder / "card.html"
        self.assert_refused(
            lambda: main.main(["data", "card", str(self.copy), "--out", str(page)]),
            record,
        )
        self.assertFalse(page.exists())


def compiled_model():
    from keras_depthseg.model import DSResNet

    return DSResNet(1)


class TrainingTest(DamagedTestCase):
    def config(self, **options):
        return RunConfig(str(self.copy), TINY, precision="float32", **options)

    def train(self, run_dir=None, resume=False, **options):
        run_eagerly(self)
        folder = run_dir or self.run_dir
        return run.train(self.config(**options), folder, resume=resume, verbose=0)

    def stored(self, run_dir=None):
        return json.loads(((run_dir or self.run_dir) / "config.json").read_text())

    @pytest.mark.long
    def test_left_out(self):
        damage(self.shard, 3, "content")
        damage(min(self.copy.glob("*-val.tfrecord-00000-*")), 0, "checksum of the length")
        self.assert_refused(self.train, self.copy, "2 records", RECORD, REMEDY)

        # Resumed without looking for them again, and as if begun without them.
        with (
            mock.patch.object(damage_module, "find_damage", side_effect=AssertionError),
            self.assertLogs("keras_depthseg", "WARNING") as logs,
        ):
            resumed = self.train(resume=True, skip_damaged=True)
        self.assertIn(RECORD, logs.output[0])
        self.assertIn("its batches are others", logs.output[1])
        other = self.folder / "other"
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            begun = self.train(other, skip_damaged=True)
        self.assertIn(RECORD, logs.output[0])
        self.assertEqual(begun.history["loss"], resumed.history["loss"])
        self.assertEqual(begun.scores, resumed.scores)
        self.assertEqual(begun.scores["val"]["samples"], 6)

        stored = self.stored()
        self.assertEqual(stored["samples"]["train"], 28)
        self.assertTrue(stored["skip_damaged"])
        self.assertEqual(stored["left_out"], self.stored(other)["left_out"])
        self.assertLen(stored["left_out"][0], 2)
        self.assertEqual(stored["fingerprints"], self.stored(other)["fingerprints"])

        # The data is mended: the run goes on without the same records.
        (other / "report.html").unlink()
        shutil.rmtree(self.copy)
        shutil.copytree(self.records, self.copy)
        with self.assertLogs("keras_depthseg", "WARNING"):
            again = self.train(other, resume=True, skip_damaged=True)
        self.assertEqual(again.scores, begun.scores)

    @pytest.mark.long
    def test_damaged_while_it_trains(self):
        """Also in a run that has left out others before."""
        damage(self.shard, 5, "length")
        with self.assertLogs("keras_depthseg", "WARNING"):
            self.train(skip_damaged=True)
        (self.run_dir / "report.html").unlink()
        for path in sorted(self.run_dir.glob("resume/*"))[1:]:
            path.unlink()
        self.assertEqual(latest(self.run_dir).epoch, 1)
        damage(self.shard, 3, "content")
        with self.assertLogs("keras_depthseg", "WARNING"):
            self.assert_refused(
                lambda: self.train(resume=True, skip_damaged=True), "a record is", RECORD
            )
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            self.train(resume=True, skip_damaged=True)
        self.assertIn(f"{RECORD}a wrong checksum", logs.output[0])
        self.assertIn("record 5", logs.output[0])
        self.assertEqual(self.stored()["samples"]["train"], 27)

    def test_nothing_is_left(self):
        for shard in self.copy.glob("*-train.tfrecord-*"):
            shard.write_bytes(b"x" * 100)
        with self.assertLogs("keras_depthseg", "WARNING"):
            self.assert_refused(
                lambda: self.train(skip_damaged=True), "the split 'train' is empty"
            )
        self.assertFalse(self.run_dir.exists())

    def test_the_learning_rate_test(self):
        damage(self.shard, 3, "content")
        run_eagerly(self)
        self.assert_refused(
            lambda: main.main(
                ["train", "--data", str(self.copy), "--width", "1"]
                + ["--run-dir", str(self.run_dir), "--resolution-schedule", "32:1:8"]
                + ["--lr-range-test", "1e-4:1e-3:10"]
            ),
            *(RECORD, REMEDY),
        )

    def test_status(self):
        """The process ends with one line and status 2: it was aborted."""
        damage(self.shard, 3, "content")
        process = subprocess.run(
            [sys.executable, depthseg.__file__, "train", "--data", str(self.copy)]
            + ["--run-dir", str(self.run_dir), "--width", "1"]
            + ["--resolution-schedule", "32:1:8"],
            env={**os.environ, "PYTHONPATH": str(Path(depthseg.__file__).parent)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.assertEqual(process.returncode, 2, process.stderr)
        (line,) = process.stderr.splitlines()[-1:]
        self.assertNotIn("Traceback", process.stderr)
        self.assertStartsWith(line, f"error: {self.copy}: a record is damaged: {RECORD}")
        self.assertIn("depthseg train --resume --run-dir", process.stdout)
