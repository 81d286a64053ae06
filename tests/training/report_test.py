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
from absl.testing import parameterized
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
            "mask_soft_iou_ceiling": 0.7865753769,
            "mask_hard_iou": hard_iou,
            "mask_boundary_f1": 0.929,
            "depth_rmse": 0.07914014,
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
        parent = Path(self.enter_context(tempfile.TemporaryDirectory()))
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


class ReportTest(RunFolderTestCase, parameterized.TestCase):
    def test_one_page_of_its_own(self):
        before = set(self.run_dir.iterdir())
        page = self._page()
        self.assertEqual(
            set(self.run_dir.iterdir()) - before, {self.run_dir / "report.html"}
        )
        self.assertContainsSubset({"h1", "table", "img", "svg", "details"}, page.tags)
        self.assertEmpty(page.tags & {"script", "link", "iframe", "object", "embed"})
        for name, value in page.attributes:
            if name in ("src", "href", "xlink:href"):
                self.assertRegex(value, "^(#|data:image/)")
            for place in re.findall(r"url\((.*?)\)", value or ""):
                self.assertStartsWith(place, "#")
        style = (self.run_dir / "report.html").read_text().partition("</style>")[0]
        self.assertNotIn("url(", style)
        self.assertNotIn("@import", style)
        ids = [value for name, value in page.attributes if name == "id"]
        self.assertNotEmpty(ids)
        self.assertLen(set(ids), len(ids))

    def test_says_what_the_pictures_show(self):
        self.assertIn(
            "From the left: bg, fg_bg, mask, predicted mask, mask error (red: false, "
            "blue: missed), depth, predicted depth, depth error (red: too far, blue: too "
            "near).",
            self._page().text,
        )

    def test_scores(self):
        page = self._page()
        self.assertIn("Scores at 96 px", page.text)
        val, unseen = page.table("split")
        self.assertEqual(
            val,
            {
                "split": "val",
                "samples": "110",
                "mask soft IoU": "0.7222",
                "mask soft IoU ceiling": "0.7866",
                "mask hard IoU": "0.7849",
                "mask boundary F1": "0.9290",
                "depth RMSE": "0.0791",
                "depth delta1": "nan",
            },
        )
        self.assertEqual(
            (unseen["split"], unseen["samples"], unseen["mask hard IoU"]),
            ("unseen_bg", "148", "1.0000"),
        )

    def test_facts(self):
        self.assertIn(
            "width 8; 2,594,082 parameters; data /data/rooms (train 1200, val 110); "
            "depth in metres, 1 is 12.0 m; mixed_bfloat16; seed 7; deterministic.",
            self._page().text,
        )

    def test_epochs(self):
        page = self._page()
        rows = page.table("epoch")
        self.assertLen(rows, 5)
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
        first, second = self._page().table("phase")
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
        self.assertEqual(second["phase"], "96 px")
        self.assertEqual(second["seconds a step"], "0.26")
        self.assertEqual(second["waiting for input"], "7.5%")
        self.assertEqual(second["limited by"], "computing")

    def test_how_to_repeat_it(self):
        content = (write_report(self.run_dir)).read_text()
        command = html.unescape(re.search("<code>(.*?)</code>", content)[1])
        self.assertEqual(shlex.split(command), ["python", *COMMAND])
        page = ReportPage(content)
        cells = {tuple(row) for row in page.rows}
        self.assertContainsSubset(
            {("loss", "ssim_dice"), ("learning rate", "0.002"), ("keras", "3.15.1")},
            cells,
        )

    def test_pictures(self):
        page = self._page()
        epochs = [alt for alt in page.pictures if "after epoch" in alt]
        self.assertEqual(
            epochs, [f"Predictions after epoch {epoch}" for epoch in (1, 2, 4, 5)]
        )
        for alt in epochs:
            picture = page.picture(alt)
            self.assertEqual(picture.shape, (60, 60, 3))
            colour = (40 * int(alt.split()[-1]), 100, 50)
            self.assertAllClose(picture.mean(axis=(0, 1)), colour, atol=3)
        final = page.picture("Predictions of the finished model")
        self.assertEqual(final.shape, (130, 120, 3))
        self.assertAllClose(final.mean(axis=(0, 1)), (250, 100, 50), atol=3)

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
        self.assertEqual(write_report(self.run_dir).read_bytes(), first)
        copy = self.run_dir.parent / "elsewhere" / "my run"
        shutil.copytree(self.run_dir, copy)
        for path in copy.rglob("*"):
            os.utime(path, (0, 0))
        with mock.patch.dict(os.environ, SOURCE_DATE_EPOCH="86400"):
            self.assertEqual(write_report(copy).read_bytes(), first)
        self._write("scores.json", {"resolution": 96, "scores": {}})
        self.assertNotEqual(write_report(self.run_dir).read_bytes(), first)

    def test_folder_given_by_a_dot(self):
        self.enter_context(contextlib.chdir(self.run_dir))
        content = write_report(".").read_text()
        self.assertIn("<h1>Training run: my run</h1>", content)

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
                "precision": bad,
                "seed": bad,
                "command": [bad],
                "versions": {bad: bad},
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

    def test_text_that_is_no_unicode(self):
        (self.run_dir / "config.json").write_text('{"data": "a\\ud800b"}')
        self.assertIn("data a?b", self._page().text)


class UnfinishedRunTest(RunFolderTestCase, parameterized.TestCase):
    def test_nothing_but_an_empty_config(self):
        for path in self.run_dir.iterdir():
            if path.is_file():
                path.unlink()
        shutil.rmtree(self.run_dir / "pictures")
        self._write("config.json", {})
        page = self._page()
        self.assertIn("There are no scores", page.text)
        self.assertIn("There is no picture of the finished model", page.text)
        self.assertIn("No epoch has been recorded", page.text)
        self.assertIn("The command was not recorded", page.text)
        self.assertEmpty(page.tags & {"svg", "img", "table"})

    def test_stopped_early(self):
        (self.run_dir / "scores.json").unlink()
        (self.run_dir / "predictions.png").unlink()
        self._write_history({name: values[:4] for name, values in HISTORY.items()})
        page = self._page()
        self.assertIn("still running: 4 of 5 epochs are here", page.text)
        self.assertIn("There are no scores", page.text)
        self.assertIn("There is no picture of the finished model", page.text)
        self.assertLen(page.pictures, 4)
        self.assertEqual([x["epochs"] for x in page.table("phase")], ["3 of 3", "1 of 2"])

    @parameterized.parameters("", "epoch,loss\r\n")
    def test_stopped_in_the_first_epoch(self, text):
        (self.run_dir / "history.csv").write_text(text)
        page = self._page()
        self.assertIn("No epoch has been recorded", page.text)
        self.assertEqual([x["epochs"] for x in page.table("phase")], ["0 of 3", "0 of 2"])

    @parameterized.parameters("data", "recipe", "command", "seed")
    def test_config_without(self, key):
        (self.run_dir / "history.csv").unlink()  # Drawing curves takes long.
        whole = self._page().text
        without = {name: value for name, value in CONFIG.items() if name != key}
        for changed in ({**CONFIG, key: None}, without):
            self._write("config.json", changed)
            self.assertNotEqual(self._page().text, whole)

    def test_phases_are_found_in_the_history(self):
        self._write("config.json", {**CONFIG, "phases": None})
        first, second = self._page().table("phase")
        self.assertEqual((first["phase"], first["epochs"]), ("64 px", "3 of 3"))
        self.assertEqual(first["batch"], "–")
        self.assertEqual((second["phase"], second["seconds a step"]), ("96 px", "0.26"))

    @parameterized.parameters("epoch", "resolution", "loss", "step_seconds")
    def test_history_without(self, key):
        self._write_history({k: v for k, v in HISTORY.items() if k != key})
        page = self._page()
        self.assertIn("5 epochs", page.text)
        heading = max(page.rows, key=len)
        # The empty column is not among them.
        self.assertLen(heading, len(HISTORY) - (1 if key == "val_learning_rate" else 2))
        words = key.replace("iou", "IoU").replace("rmse", "RMSE").split("_")
        self.assertNotIn(" ".join(words), heading)

    def test_speed_was_not_recorded(self):
        speed = ("step_seconds", "images_per_second", "input_wait")
        self._write_history({k: v for k, v in HISTORY.items() if k not in speed})
        page = self._page()
        for phase in page.table("phase"):
            self.assertEqual(phase["seconds a step"], "–")
            self.assertEqual(phase["limited by"], "not recorded")

    def test_nothing_was_evaluated(self):
        self._write("scores.json", {"resolution": 96, "scores": {}})
        self.assertIn("Nothing was evaluated", self._page().text)


class RefusalsTest(RunFolderTestCase, parameterized.TestCase):
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

    @parameterized.parameters(
        ("config.json", b'{"data": "/da', "not JSON", "restore it"),
        ("scores.json", b'{"scores": {"val"', "not JSON", "remove it"),
        ("history.csv", b"epoch,loss\n0,1.5\n1,1.2", "the last line is cut off"),
        ("predictions.png", b"no picture", "not a picture", "remove it"),
        ("pictures/epoch-005.png", b"", "not a picture", "remove it"),
    )
    def test_damaged(self, name, content, *parts):
        (self.run_dir / name).write_bytes(content)
        self._assert_old_report_stays(name, *parts)

    def test_picture_that_is_cut_off(self):
        path = self.run_dir / "predictions.png"
        noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-9000])
        self._assert_old_report_stays("predictions.png", "a damaged one")

    def test_the_page_cannot_be_written(self):
        path = self.run_dir / "report.html"
        path.mkdir()
        self.assert_refused(
            lambda: write_report(self.run_dir), path, "cannot be written", "free some"
        )

    def test_full_disk(self):
        error = OSError(errno.ENOSPC, "No space left on device")
        self.enter_context(mock.patch("os.fsync", side_effect=error))
        self._assert_old_report_stays("report.html", "No space left", "free some space")


if __name__ == "__main__":
    tf.test.main()
