"""Run reports: numbers as in the files, one page of its own, damage refused."""

import base64
import contextlib
import csv
import errno
import html
import io
import itertools
import json
import math
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg.training.report import write_report
from tests.support.html_pages import Page
from tests.support.run_history import HISTORY
from tests.support.tiny_data import RefusalTestCase

COMMAND = ["train.py", "--data", "my data", "--run-dir", "it's $HOME"]
CONFIG = {
    "data": "/data/rooms",
    "samples": {"train": 1200, "val": 110},
    "depth": {"unit": "metre", "scale": 12.0, "direction": "larger is farther"},
    "recipe": {"name": "quick", "loss": "ssim_dice", "learning_rate": 2e-3, "width": 8},
    "phases": [
        {"resolution": 64, "epochs": 3, "batch_size": 16},
        {"resolution": 96, "epochs": 2, "batch_size": 8},
    ],
    "precision": "mixed_bfloat16",
    "seed": 7,
    "deterministic": True,
    "parameters": 2594082,
    "command": COMMAND,
    "versions": {"keras": "3.15.1", "tensorflow": "2.21.0"},
}
SCORES = {
    "resolution": 96,
    "scores": {
        split: {
            "samples": samples,
            "mask_soft_iou": 0.7221624851,
            "mask_hard_iou": hard_iou,
            "depth_delta1": math.nan,
        }
        for split, samples, hard_iou in (
            ("val", 110, 0.78490459),
            ("unseen_bg", 148, 1.0),
        )
    },
}


class ReportPage(Page):
    """The report of a run."""

    def table(self, first):
        """The rows from the one that begins with `first` on, as dictionaries."""
        start = next(i for i, row in enumerate(self.rows) if row[0] == first)
        names = self.rows[start]
        rows = itertools.takewhile(
            lambda row: len(row) == len(names), self.rows[start + 1 :]
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def picture(self, alt):
        kind, _, data = self.pictures[alt].partition(";base64,")
        if kind != "data:image/jpeg":
            raise AssertionError(f"{alt}: {kind}")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


class RunFolderTestCase(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self._write_run(Path(self.enter_context(tempfile.TemporaryDirectory())))

    def _write_run(self, parent):
        self.run_dir = parent / "my run"
        self.run_dir.mkdir()
        self._write("config.json", CONFIG)
        self._write("scores.json", SCORES)
        self._write_history(HISTORY)
        (self.run_dir / "pictures").mkdir()
        for epoch in range(1, 6):
            self._picture(f"pictures/epoch-{epoch:03}.png", (60, 60), 40 * epoch)
        self._picture("predictions.png", (120, 130), 250)

    def _write(self, name, content):
        (self.run_dir / name).write_text(json.dumps(content))

    def _write_history(self, history):
        with (self.run_dir / "history.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(history)
            for row in zip(*history.values(), strict=True):
                writer.writerow(["NA" if value is None else value for value in row])

    def _picture(self, name, size, level):
        Image.new("RGB", size, (level, 100, 50)).save(self.run_dir / name)

    def _page(self):
        path = write_report(self.run_dir)
        self.assertEqual(path, self.run_dir / "report.html")
        page = ReportPage(path.read_text(encoding="utf-8"))
        self.assertEqual(page.open, [])
        return page


class ReportTest(RunFolderTestCase):
    """One page, read by all tests: drawing its curves takes long."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        writer = cls()
        writer._write_run(Path(cls.enter_context(tempfile.TemporaryDirectory())))
        files = set(writer.run_dir.iterdir())
        cls.page = writer._page()
        cls.content = (writer.run_dir / "report.html").read_text()
        cls.written = {p.name for p in set(writer.run_dir.iterdir()) - files}

    def setUp(self):
        tf.test.TestCase.setUp(self)

    def test_one_page_of_its_own(self):
        page = self.page
        self.assertEqual(self.written, {"report.html"})
        self.assertContainsSubset({"h1", "table", "img", "svg", "details"}, page.tags)
        self.assertEmpty(page.tags & {"script", "link", "iframe", "object", "embed"})
        for name, value in page.attributes:
            if name in ("src", "href", "xlink:href"):
                self.assertRegex(value, "^(#|data:image/)")
            for place in re.findall(r"url\((.*?)\)", value or ""):
                self.assertStartsWith(place, "#")
        self.assertNotRegex(self.content.partition("</style>")[0], r"url\(|@import")
        ids = [value for name, value in page.attributes if name == "id"]
        self.assertLen(set(ids), len(ids))

    def test_facts_scores_and_how_to_repeat_it(self):
        for text in (
            "width 8; 2,594,082 parameters; data /data/rooms (train 1200, val 110); "
            "depth in metres, 1 is 12.0 m; mixed_bfloat16; seed 7; deterministic.",
            "mask error (red: false, blue: missed)",
            "Scores at 96 px",
        ):
            self.assertIn(text, self.page.text)
        head, val, unseen = self.page.rows[:3]
        self.assertEqual(head[:4], ["split", "samples", "mask soft IoU", "mask hard IoU"])
        self.assertEqual(val, ["val", "110", "0.7222", "0.7849", "nan"])
        self.assertEqual(unseen, ["unseen_bg", "148", "0.7222", "1.0000", "nan"])
        command = html.unescape(re.search("<code>(.*?)</code>", self.content)[1])
        self.assertEqual(shlex.split(command), ["python", *COMMAND])
        for row in (["loss", "ssim_dice"], ["keras", "3.15.1"]):
            self.assertIn(row, self.page.rows)

    def test_epochs(self):
        rows = self.page.table("epoch")
        self.assertEqual([row["epoch"] for row in rows], ["1", "2", "3", "4", "5"])
        self.assertEqual([row["resolution"] for row in rows], ["64"] * 3 + ["96"] * 2)
        for name in ("loss", "depth RMSE", "learning rate", "mask hard IoU"):
            values = HISTORY[name.lower().replace(" ", "_")]
            self.assertAllClose([float(row[name]) for row in rows], values, rtol=1e-4)
        self.assertEqual(
            [row["val loss"] for row in rows], ["1.75", "1.5", "–", "nan", "0.625"]
        )
        self.assertEqual(rows[1]["input wait"], "32.0%")
        self.assertNotIn("val learning rate", rows[0])

    def test_speed_and_what_limits_it(self):
        first, second = self.page.table("phase")
        self.assertEqual(
            first,
            {
                "phase": "64 px",
                "batch": "16",
                "epochs": "3 of 3",
                # The first epoch's graph is traced: the median leaves it out.
                "seconds a step": "0.12",
                "images a second": "133.3",
                "waiting for input": "30.0%",
                "limited by": "input",
            },
        )
        self.assertEqual((second["phase"], second["seconds a step"]), ("96 px", "0.26"))
        self.assertEqual(second["limited by"], "computing")

    def test_pictures(self):
        self.assertLen([alt for alt in self.page.pictures if "after epoch" in alt], 4)
        for alt, shape, red in (
            *(
                (f"Predictions after epoch {n}", (60, 60, 3), 40 * n)
                for n in (1, 2, 4, 5)
            ),
            ("Predictions of the finished model", (130, 120, 3), 250),
        ):
            picture = self.page.picture(alt)
            self.assertEqual(picture.shape, shape)
            self.assertAllClose(picture.mean(axis=(0, 1)), (red, 100, 50), atol=3)


class OtherRunsTest(RunFolderTestCase):
    def test_page_of_large_pictures_is_small(self):
        random = np.random.default_rng(0)
        # As many details as a picture can have, at 224 px and 6 samples.
        noise = random.integers(0, 256, (2000, 1800, 3), dtype=np.uint8)
        for name in ("predictions.png", *(f"pictures/epoch-{i:03}.png" for i in (1, 5))):
            Image.fromarray(noise).save(self.run_dir / name, compress_level=0)
        page = self._page()
        self.assertEqual(
            page.picture("Predictions of the finished model").shape, (1667, 1500, 3)
        )
        self.assertEqual(page.picture("Predictions after epoch 5").shape, (1000, 900, 3))
        self.assertLess((self.run_dir / "report.html").stat().st_size, 5 * 2**20)

    def test_same_bytes(self):
        first = write_report(self.run_dir).read_bytes()
        copy = self.run_dir.parent / "elsewhere" / "my run"
        shutil.copytree(self.run_dir, copy)
        for path in copy.rglob("*"):
            os.utime(path, (0, 0))
        self.enter_context(contextlib.chdir(copy))
        with mock.patch.dict(os.environ, SOURCE_DATE_EPOCH="86400"):
            self.assertEqual(write_report(".").read_bytes(), first)

    def test_hostile_texts_are_text(self):
        bad = "<script>alert(1)</script>&\"'<img src=http://x/>"
        self.run_dir = self.run_dir.rename(self.run_dir.parent / "<b>&amp;")
        self._write(
            "config.json",
            {
                **CONFIG,
                "data": bad,
                "samples": {bad: bad},
                "depth": {"unit": bad},
                "recipe": {"width": bad, bad: bad},
                "precision": bad + "\ud800",  # Not Unicode.
                "command": [bad],
            },
        )
        self._write("scores.json", {"resolution": 96, "scores": {bad: {bad: bad}}})
        self._write_history({**HISTORY, bad: HISTORY["loss"]})
        page = self._page()
        self.assertEmpty(page.tags & {"script", "b"})
        self.assertTrue(all(uri.startswith("data:") for uri in page.pictures.values()))
        self.assertIn("Training run: &lt;b&gt;&amp;amp;", page.text)
        self.assertEqual(page.table("split"), [{"split": bad, bad: bad}])
        self.assertIn([bad, bad], page.rows)
        self.assertIn(bad, page.table("epoch")[0])

    def test_nothing_but_an_empty_config(self):
        for path in self.run_dir.iterdir():
            if path.is_file():
                path.unlink()
        shutil.rmtree(self.run_dir / "pictures")
        self._write("config.json", {})
        page = self._page()
        for text in (
            "There are no scores",
            "There is no picture of the finished model",
            "No epoch has been recorded",
            "The command was not recorded",
        ):
            self.assertIn(text, page.text)
        self.assertEmpty(page.tags & {"svg", "img", "table"})

    def test_stopped_early(self):
        self._write("scores.json", {"resolution": 96, "scores": {}})
        (self.run_dir / "predictions.png").unlink()
        speed = ("step_seconds", "images_per_second", "input_wait")
        self._write_history({k: v[:4] for k, v in HISTORY.items() if k not in speed})
        page = self._page()
        self.assertIn("still running: 4 of 5 epochs are here", page.text)
        self.assertIn("Nothing was evaluated", page.text)
        self.assertLen(page.pictures, 4)
        phases = page.table("phase")
        self.assertEqual([x["epochs"] for x in phases], ["3 of 3", "1 of 2"])
        for phase in phases:
            self.assertEqual(phase["seconds a step"], "–")
            self.assertEqual(phase["limited by"], "not recorded")

    def test_history_without_epochs_and_config_without_phases(self):
        self._write("config.json", {**CONFIG, "phases": None})
        counters = ("epoch", "phase")
        self._write_history({k: v for k, v in HISTORY.items() if k not in counters})
        page = self._page()
        self.assertIn("5 epochs", page.text)
        first, second = page.table("phase")
        self.assertEqual((first["epochs"], first["batch"]), ("3 of 3", "–"))
        self.assertEqual((second["phase"], second["seconds a step"]), ("96 px", "0.26"))
        # The empty column is not among them.
        self.assertLen(max(page.rows, key=len), len(HISTORY) - 3)


class RefusalsTest(RunFolderTestCase):
    def _assert_old_report_stays(self, name, *parts):
        report = self.run_dir / "report.html"
        report.write_text("old")
        files = set(self.run_dir.iterdir())
        self.assert_refused(
            lambda: write_report(self.run_dir), self.run_dir / name, *parts
        )
        self.assertEqual(report.read_text(), "old")
        self.assertEqual(set(self.run_dir.iterdir()), files)

    def test_no_run_folder(self):
        (self.run_dir / "config.json").unlink()
        self._assert_old_report_stays("", "not a run folder", "`run_dir`")

    def test_picture_that_is_cut_off(self):
        path = self.run_dir / "predictions.png"
        noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-9000])
        self._assert_old_report_stays("predictions.png", "a damaged one")

    def test_full_disk(self):
        error = OSError(errno.ENOSPC, "No space left on device")
        self.enter_context(mock.patch("os.fsync", side_effect=error))
        self._assert_old_report_stays("report.html", "No space left", "free some space")
