"""`depthseg train`: a good run, and what the command says about bad input."""

import contextlib
import csv
import dataclasses
import json
import math
from pathlib import Path
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import DSResNet, load_pretrained
from keras_depthseg.commands import main
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import RECIPES, Recipe
from tests.support.eager import run_eagerly
from tests.support.tiny_data import SIDE, TinyDataTestCase, write_source


def _files(folder):
    """The time of the last change of every file below a folder."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(*arguments):
    return main.main(["train", *map(str, arguments)])


def trained(*arguments):
    """Runs the command without training: what it would have trained with."""
    with mock.patch("keras_depthseg.training.run.train") as train_function:
        run(*arguments)
    (config, run_dir), options = train_function.call_args
    return config, run_dir, options["resume"]


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
        self.assert_refused(lambda: run(*arguments), *parts)
        self.assertEqual((_files(self.folder), self.run_dir.exists()), before)


class GoodRunTest(CommandTestCase):
    def test_original_layout_twice(self):
        run_eagerly(self)
        # One sample: a data set without validation.
        write_source(self.source, 1, 1, size=(SIDE, SIDE))
        run(*self.arguments(batch_size=2, seed=5, precision="mixed_float16"))
        config = json.loads((self.run_dir / "config.json").read_text())
        self.assertEqual(config["phases"], [dict(resolution=32, epochs=1, batch_size=2)])
        self.assertEqual((config["seed"], config["precision"]), (5, "mixed_float16"))
        changed = {"schedule": "32:1", "optimizer": "sgd", "width": 1}
        self.assertEqual(config["recipe"], {**vars(RECIPES["quick"]), **changed})
        (row,) = csv.DictReader((self.run_dir / "history.csv").read_text().splitlines())
        self.assertTrue(math.isfinite(float(row["loss"])))
        for name in ("model.keras", "predictions.png", "curves.png"):
            self.assertTrue((self.run_dir / name).is_file())
        scores = json.loads((self.run_dir / "scores.json").read_text())
        self.assertEqual(scores, {"resolution": 32, "scores": {}})
        data = Path(*config["data"])
        self.assertTrue(data.is_relative_to(self.cache.resolve()))

        before = _files(self.cache)
        second, _, _ = trained(*self.arguments(run_dir=self.folder / "second"))
        self.assertEqual(Path(*second.data).resolve(), data)
        self.assertEqual(_files(self.cache), before)

    def test_bad_samples_of_the_original_layout(self):
        write_source(self.source)
        bad = self.source / "fg_bg/bg003_fg002_01.jpeg"
        bad.write_bytes(b"")
        self.assert_command_refused(bad, "or leave it out by --skip-damaged.")
        config, _, _ = trained(*self.arguments(), "--skip-damaged")
        self.assertTrue(config.skip_damaged)
        records = open_records(*config.data)
        self.assertEqual(sum(records.splits.values()), 15)
        self.assertEqual(records.metadata["left_out"], 1)

    def test_recipe_and_default_run_folder(self):
        name = "rmse_bce_dice_new_lr"
        config, run_dir, resume = trained(
            *("--data", self.records, "--recipe", name),
            *("--learning-rate", "0.5", "--precision", "float32"),
        )
        recipe = dataclasses.replace(RECIPES[name], learning_rate=0.5)
        self.assertEqual(
            config, RunConfig(str(self.records), recipe, precision="float32")
        )
        self.assertEqual(run_dir.parent, Path("runs"))
        self.assertRegex(run_dir.name, rf"^[\d-]{{10}}_\d{{6}}_{name}$")
        self.assertFalse(resume)

    def test_every_field_can_be_set(self):
        recipe = {
            **{"schedule": "32:1", "loss": "ssim_dice", "augment": "original"},
            **{"optimizer": "adamw", "learning_rate": 0.5, "weight_decay": 0.1},
            **{"learning_rate_schedule": "cosine", "divide_after_first_phase": 1.0},
            **{"width": 3, "initialisation": "independent", "clip_norm": 2.0},
            **{"accumulate": 3, "average": 0.9, "network": "siamese"},
        }
        settings = {
            **{"batch_size": 5, "precision": "float32", "seed": 7, "keep": 2},
            **{"checkpoint_minutes": 1.5, "composites_weight": 2.0, "epoch_samples": 9},
        }
        switches = {"deterministic": True, "xla": True, "skip_damaged": True}
        for cls, names in (
            (Recipe, {"name", *recipe}),
            (
                RunConfig,
                {"data", "recipe", "composites", "start_from", *settings, *switches},
            ),
        ):
            self.assertEqual({field.name for field in dataclasses.fields(cls)}, names)
        options = {**recipe, **settings, "resolution_schedule": recipe["schedule"]}
        del options["schedule"]
        options["samples"] = options.pop("epoch_samples")
        config, _, _ = trained(
            *self.arguments(self.records, **options),
            *("--deterministic", "--xla", "--skip-damaged"),
        )
        expected = RunConfig(
            str(self.records), Recipe("quick", **recipe), **settings, **switches
        )
        self.assertEqual(config, expected)


class StartFromTest(CommandTestCase):
    def setUp(self):
        super().setUp()
        self.start = self.folder / "start.keras"
        DSResNet(3).save(self.start)

    def test_the_recipe_is_fine_tune_at_the_width_of_the_model(self):
        options = ("--data", self.records, "--start-from", self.start)
        config, run_dir, _ = trained(*options)
        recipe = dataclasses.replace(RECIPES["fine_tune"], width=3)
        self.assertEqual(config.recipe, recipe)
        self.assertEqual(config.start_from, str(self.start))
        self.assertLess(recipe.learning_rate, RECIPES["quick"].learning_rate)
        self.assertRegex(run_dir.name, "fine_tune$")
        # An explicit option wins.
        config, _, _ = trained(*options, "--recipe", "quick", "--learning-rate", "0.5")
        recipe = dataclasses.replace(RECIPES["quick"], width=3, learning_rate=0.5)
        self.assertEqual(config.recipe, recipe)

    def test_without_a_value_it_is_small(self):
        # A folder of that name changes nothing.
        (self.folder / "small").mkdir()
        with contextlib.chdir(self.folder):
            alone, _, _ = trained("--start-from", "--data", self.records)
            named, _, _ = trained("--data", self.records, "--start-from", "small")
            self.assert_refused(
                lambda: trained("--data", self.records, "--start-from", "./small"),
                "small: received a folder without model.keras",
            )
        self.assertEqual(alone.start_from, "small")
        self.assertEqual(alone, named)
        small = load_pretrained("small")
        recipe = dataclasses.replace(
            RECIPES["fine_tune"], network="siamese", width=small.width
        )
        self.assertEqual(alone.recipe, recipe)
        alone, _, _ = trained("--data", self.records)
        self.assertIsNone(alone.start_from)

    def test_refused_before_records_are_made(self):
        write_source(self.source, 4, 4)
        self.assert_command_refused(
            *("--width: received 1, and", "has 3; leave --width out"),
            start_from=self.start,
        )
        missing = self.folder / "missing"
        self.assert_command_refused(missing, "no such model", start_from=missing)


class ResumeOptionsTest(CommandTestCase):
    def setUp(self):
        super().setUp()
        self.run_dir.mkdir()
        recipe = dataclasses.replace(RECIPES["quick"], width=3)
        self.config = RunConfig(str(self.records), recipe)
        self.config.save(self.run_dir)

    def resumed(self, *arguments):
        config, _, resume = trained("--resume", "--run-dir", self.run_dir, *arguments)
        self.assertTrue(resume)
        return config

    def test_the_recipe_of_the_run_has_its_changed_fields(self):
        self.assertEqual(self.resumed(), self.config)
        self.assertEqual(self.resumed("--recipe", "quick"), self.config)
        other = self.resumed("--recipe", "standard").recipe
        self.assertEqual(other, RECIPES["standard"])
        self.assertEqual(self.resumed("--keep", "3").keep, 3)

    @parameterized.parameters(
        (("--split", "random"), "--split: received random", "leave --split out"),
        (("--lr-range-test", "1e-5:1:50"), "--lr-range-test: received with --resume"),
    )
    def test_refused(self, arguments, *parts):
        self.assert_refused(lambda: self.resumed(*arguments), *parts)

    def test_without_a_folder(self):
        self.assert_refused(lambda: run("--resume"), "--resume: received no --run-dir")


class RefusedTest(CommandTestCase):
    @parameterized.parameters(
        ({"resolution_schedule": "100:3"}, "schedule", "'100:3'", "are 96 and 128"),
        ({"weight_decay": 0.1}, "--weight-decay is for --optimizer adamw"),
        ({"lr_range_test": "1:2"}, "'1:2'"),
    )
    def test_option(self, options, *parts):
        self.assert_command_refused(*parts, **{"data": self.records, **options})

    def test_occupied_run_folder(self):
        write_source(self.source, 4, 4)
        self.run_dir.mkdir()
        (self.run_dir / "model.keras").write_bytes(b"something good")
        # Refused before records are made, which takes minutes.
        self.assert_command_refused(self.run_dir, "not empty; ", "another --run-dir.")
        (self.run_dir / "config.json").touch()
        self.assert_command_refused(self.run_dir, "not empty; ", "--resume")

    def test_run_folder_with_a_lock_only(self):
        # A run was stopped before it wrote anything.
        self.run_dir.mkdir()
        (self.run_dir / ".lock").touch()
        self.assertEqual(trained(*self.arguments(self.records))[1], self.run_dir)

    def test_xla_is_refused_before_records_are_made(self):
        write_source(self.source, 4, 4)
        arguments = [*self.arguments(precision="mixed_bfloat16"), "--xla"]
        # A GPU would do.
        with mock.patch.object(tf.config, "list_physical_devices", return_value=[]):
            self.assert_refused(lambda: run(*arguments), "--xla with", "leave --xla out")
        self.assertFalse(self.cache.exists())
