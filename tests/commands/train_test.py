"""python train.py: a good run, and what it says of bad input."""

import contextlib
import csv
import dataclasses
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

import train
from keras_depthseg.datasets import original_layout
from keras_depthseg.errors import UserError
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import RECIPES, Recipe
from tests.support.tiny_data import (
    HEIGHT,
    SIDE,
    WIDTH,
    TinyDataTestCase,
    colour,
    encoded,
    grey,
    write_source,
)

LINE = "bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map\n"
COMPOSITE = "fg_bg/bg001_fg001_01.jpeg"


def _files(folder):
    """Every file below a folder, with a checksum."""
    return {
        str(path.relative_to(folder)): zlib.crc32(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class CommandTestCase(TinyDataTestCase):
    def setUp(self):
        super().setUp()
        self.source = self.folder / "source"
        self.cache = self.folder / "cache"
        self.run_dir = self.folder / "run"

    def arguments(self, data=None, **options):
        options = {
            "data": data or self.source,
            "cache_dir": self.cache,
            "run_dir": self.run_dir,
            "resolution_schedule": "32:1",
            "optimizer": "sgd",
            "width": 1,
            **options,
        }
        return [
            text
            for name, value in options.items()
            for text in (f"--{name.replace('_', '-')}", str(value))
        ]

    def assert_command_refused(self, *parts, data=None, **options):
        before = _files(self.folder), self.run_dir.exists()
        arguments = self.arguments(data, **options)
        self.assert_refused(lambda: train.main(arguments), *parts)
        self.assertEqual((_files(self.folder), self.run_dir.exists()), before)


class GoodRunTest(CommandTestCase):
    def test_original_layout_twice(self):
        # One sample: a data set without validation. float16 is tried here because
        # building the training step takes longest.
        write_source(self.source, 1, 1, size=(SIDE, SIDE))
        train.main(self.arguments(batch_size=2, seed=5, precision="mixed_float16"))
        config = json.loads((self.run_dir / "config.json").read_text())
        self.assertEqual(config["phases"], [dict(resolution=32, epochs=1, batch_size=2)])
        self.assertEqual((config["seed"], config["precision"]), (5, "mixed_float16"))
        quick = train.RECIPES["quick"]
        self.assertEqual(
            config["recipe"],
            {**vars(quick), "schedule": "32:1", "optimizer": "sgd", "width": 1},
        )
        (row,) = csv.DictReader((self.run_dir / "history.csv").read_text().splitlines())
        self.assertTrue(math.isfinite(float(row["loss"])))
        for name in ("model.keras", "predictions.png", "curves.png"):
            self.assertTrue((self.run_dir / name).is_file())
        scores = json.loads((self.run_dir / "scores.json").read_text())
        self.assertEqual(scores, {"resolution": 32, "scores": {}})
        data = Path(config["data"])
        self.assertTrue(data.is_relative_to(self.cache.resolve()))

        before = _files(self.cache)
        with (
            mock.patch.object(original_layout.Builder, "download_and_prepare") as prepare,
            mock.patch.object(train, "train") as trained,
        ):
            train.main(self.arguments(seed=5, run_dir=self.folder / "second"))
        prepare.assert_not_called()
        self.assertEqual(Path(trained.call_args.args[0].data).resolve(), data)
        self.assertEqual(_files(self.cache), before)

    def test_recipe_and_default_run_folder(self):
        arguments = ["--data", str(self.records), "--recipe", "rmse_bce_dice_new_lr"]
        with mock.patch.object(train, "train") as trained:
            train.main([*arguments, "--learning-rate", "0.5", "--precision", "float32"])
        (config, run_dir), options = trained.call_args
        recipe = dataclasses.replace(RECIPES["rmse_bce_dice_new_lr"], learning_rate=0.5)
        self.assertEqual(
            config, RunConfig(str(self.records), recipe, precision="float32")
        )
        self.assertEqual(run_dir.parent, Path("runs"))
        self.assertRegex(run_dir.name, r"^[\d-]{10}_\d{6}_rmse_bce_dice_new_lr$")
        self.assertEqual(options, {"resume": False})

    def test_every_field_can_be_set(self):
        recipe = {
            "schedule": "32:1",
            "loss": "ssim_dice",
            "augment": "original",
            "optimizer": "adamw",
            "learning_rate": 0.5,
            "width": 3,
            "initialisation": "independent",
            "learning_rate_schedule": "cosine",
            "divide_after_first_phase": 1.0,
            "weight_decay": 0.1,
            "clip_norm": 2.0,
            "accumulate": 3,
            "average": 0.9,
        }
        run = {
            "batch_size": 5,
            "precision": "float32",
            "seed": 7,
            "keep": 2,
            "checkpoint_minutes": 1.5,
        }
        self.assertEqual({f.name for f in dataclasses.fields(Recipe)}, {"name", *recipe})
        self.assertEqual(
            {f.name for f in dataclasses.fields(RunConfig)},
            {"data", "recipe", "deterministic", "xla", *run},
        )
        options = {**recipe, **run, "resolution_schedule": recipe["schedule"]}
        del options["schedule"]
        with mock.patch.object(train, "train") as trained:
            train.main(
                [*self.arguments(self.records, **options), "--deterministic", "--xla"]
            )
        self.assertEqual(
            trained.call_args.args[0],
            RunConfig(
                str(self.records),
                Recipe("quick", **recipe),
                **{**run, "deterministic": True, "xla": True},
            ),
        )


class ResumeOptionsTest(CommandTestCase):
    def setUp(self):
        super().setUp()
        recipe = dataclasses.replace(RECIPES["quick"], width=3)
        self.run_dir.mkdir()
        self.config = RunConfig(str(self.records), recipe)
        self.config.save(self.run_dir)

    def _resume(self, *arguments):
        with mock.patch.object(train, "train") as trained:
            train.main(["--resume", "--run-dir", str(self.run_dir), *arguments])
        return trained.call_args.args[0]

    def test_the_recipe_of_the_run_has_its_changed_fields(self):
        self.assertEqual(self._resume(), self.config)
        self.assertEqual(self._resume("--recipe", "quick"), self.config)
        other = self._resume("--recipe", "standard").recipe
        self.assertEqual(other, RECIPES["standard"])

    def test_split_without_data(self):
        self.assert_refused(
            lambda: self._resume("--split", "random"), "--split: received random", "leave"
        )


class BadArgumentTest(CommandTestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({"resolution_schedule": "96:0"}, "schedule '96:0'", "epochs", "at least 1"),
        ({"resolution_schedule": "100:3"}, "schedule '100:3'", "are 96 and 128"),
        ({"resolution_schedule": ""}, "schedule ''", "for instance 96:3,160:5"),
        ({"batch_size": 0}, "batch_size of a phase must be at least 1"),
        ({"learning_rate": "nan"}, "learning_rate must be above 0"),
        ({"learning_rate": "-1"}, "learning_rate must be above 0"),
        ({"width": 0}, "width must be at least 1"),
        ({"seed": -1}, "seed: received -1"),
        ({"weight_decay": 0.1}, "weight_decay is for the optimizer adamw"),
        ({"data": "nowhere"}, "nowhere: no such folder", "or rooms"),
    )
    def test_refused(self, options, *parts):
        write_source(self.source, 4, 4)
        self.assert_command_refused(*parts, **options)

    @parameterized.parameters(
        *("loss", "augment", "optimizer", "initialisation", "precision", "recipe")
    )
    def test_names(self, name):
        errors = io.StringIO()
        with (
            self.assertRaises(SystemExit) as caught,
            contextlib.redirect_stderr(errors),
        ):
            train.main(self.arguments(**{name: "other"}))
        self.assertEqual(caught.exception.code, 2)
        (line,) = errors.getvalue().splitlines()
        self.assertRegex(line, f"^error: argument --{name}: invalid choice: 'other'")

    def test_occupied_run_folder(self):
        write_source(self.source, 4, 4)
        self.run_dir.mkdir()
        (self.run_dir / "model.keras").write_bytes(b"something good")
        # Refused before records are made, which takes minutes.
        self.assert_command_refused(self.run_dir, "not empty", "--run-dir")
        self.assert_command_refused(self.run_dir, "not empty", data=self.records)

    def test_run_folder_with_a_lock_only(self):
        # A run was stopped before it wrote anything.
        self.run_dir.mkdir()
        (self.run_dir / ".lock").touch()
        with mock.patch.object(train, "train") as trained:
            train.main(self.arguments(self.records))
        trained.assert_called_once()

    def test_resume_is_a_remedy_for_a_run_only(self):
        self.run_dir.mkdir()
        (self.run_dir / "notes").touch()
        with self.assertRaisesRegex(UserError, r"choose another --run-dir\.$"):
            train.main(self.arguments(self.records))
        (self.run_dir / "config.json").touch()
        with self.assertRaisesRegex(UserError, "--resume"):
            train.main(self.arguments(self.records))

    def test_xla_is_refused_before_records_are_made(self):
        write_source(self.source, 4, 4)
        arguments = [*self.arguments(precision="mixed_bfloat16"), "--xla"]
        # A GPU would do.
        with mock.patch.object(tf.config, "list_physical_devices", return_value=[]):
            self.assert_refused(lambda: train.main(arguments), "XLA", "leave --xla out")
        self.assertFalse(self.cache.exists())

    def test_run_folder_is_a_file(self):
        write_source(self.source, 4, 4)
        self.run_dir.write_bytes(b"")
        self.assert_command_refused(self.run_dir, "cannot be made a run folder")


class BadRecordsTest(CommandTestCase):
    def test_cut_shard(self):
        shutil.copytree(self.records, self.folder / "copy")
        shard = min((self.folder / "copy").glob("*-train.tfrecord-*"))
        _cut(shard)
        self.assert_command_refused(shard, "damaged", data=self.folder / "copy")

    def test_neither_kind_of_folder(self):
        (self.folder / "empty").mkdir()
        self.assert_command_refused(
            *("empty: neither records", "nor the original layout"),
            data=self.folder / "empty",
        )


class BadSourceTest(CommandTestCase, parameterized.TestCase):
    @parameterized.named_parameters(
        ("empty_jpeg", COMPOSITE, b"", COMPOSITE, "an empty file"),
        ("cut_jpeg", COMPOSITE, _cut, COMPOSITE, "truncated or damaged"),
        ("grey_bg", "bg/bg001.jpeg", encoded(grey(0)), "bg/bg001.jpeg", "greyscale"),
        (
            *("sizes", COMPOSITE, encoded(colour(0, (HEIGHT, WIDTH + 8)))),
            *(COMPOSITE, f"{WIDTH + 8}x{HEIGHT}", f"{WIDTH}x{HEIGHT}"),
        ),
        (
            *("file_map_names_no_file", "file_map.txt"),
            LINE.replace("bg001_fg001_01\t", "bg001_fg009_01\t", 1).encode(),
            *("file_map.txt, line 1", "bg001_fg009_01"),
        ),
        (
            *("file_map_columns", "file_map.txt", (LINE + "bg001\tx\n").encode()),
            *("file_map.txt, line 2", "expected 4", "received 2"),
        ),
    )
    def test_refused(self, path, content, *parts):
        write_source(self.source, 4, 4)
        path = self.source / path
        content(path) if callable(content) else path.write_bytes(content)
        self.assert_command_refused(*parts)


class ProcessTest(CommandTestCase):
    def test_status_and_one_line(self):
        write_source(self.source, 4, 4)
        _cut(self.source / COMPOSITE)
        occupied = self.folder / "occupied"
        occupied.mkdir()
        (occupied / "notes").write_bytes(b"mine")
        before = _files(self.folder)
        cases = {
            COMPOSITE: self.arguments(),
            "are 96 and 128": self.arguments(resolution_schedule="100:3"),
            "not empty": self.arguments(data=self.records, run_dir=occupied),
        }
        # JAX sets it when it is imported, for all that comes after.
        environment = {**os.environ, "PYTHONPATH": str(Path(train.__file__).parent)}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        # Each spends seconds on importing TensorFlow, so side by side.
        processes = {
            part: subprocess.Popen(
                [sys.executable, train.__file__, *arguments],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for part, arguments in cases.items()
        }
        for part, process in processes.items():
            _, errors = process.communicate()
            self.assertEqual(process.returncode, 2, errors)
            self.assertNotIn("Traceback", errors)
            # Before it come what TensorFlow says on import, and progress bars.
            self.assertRegex(errors.splitlines()[-1], f"^error: .*{re.escape(part)}")
            self.assertEqual(errors.count("error: "), 1, errors)
        self.assertEqual(_files(self.folder), before)
        self.assertFalse(self.run_dir.exists())


if __name__ == "__main__":
    tf.test.main()
