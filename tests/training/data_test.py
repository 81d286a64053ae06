"""Composites made while training, mixtures by weight, and what they refuse."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image

from keras_depthseg import pipeline
from keras_depthseg.datasets.compose import compose
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.inspection.damage import naming_damage
from keras_depthseg.evaluation.scores import evaluate
from keras_depthseg.schedule import Phase
from keras_depthseg.training import data, run
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import Experiment
from tests.support import tiny_recipe
from tests.support.compositions import write_pictures
from tests.support.eager import run_eagerly
from tests.support.tiny_data import TinyDataTestCase, remove_field

TINY = dataclasses.replace(tiny_recipe.TINY, schedule="32:1:8", augment="handheld")
PHASE = Phase(32, 1, 8)


class TrainingDataTestCase(TinyDataTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pictures = Path(cls.enter_context(tempfile.TemporaryDirectory())) / "pictures"
        write_pictures(pictures)
        cls.sources = ComposeOptions(
            bg=str(pictures / "bg"),
            fg=pictures / "fg",
            depth=f"{pictures}/depth,step=0.001",
            variety="rich",
            count=1,
            unseen_fraction=0.25,
        )
        cls.plain = dataclasses.replace(cls.sources, depth=None)

    def experiment(self, data=(), recipe=TINY, **options):
        return Experiment(RunConfig(data, recipe, precision="float32", **options))

    def make_fast(self):
        run_eagerly(self)
        for module in (data, pipeline):  # Scoring held-out composites takes longest.
            self.enter_context(mock.patch.object(module, "COMPOSITES", 8))

    def batches(self, experiment, epoch=0, step=0):
        return list(experiment.train_batches(PHASE, epoch, step).as_numpy_iterator())


class CompositesTest(TrainingDataTestCase):
    def test_a_batch_follows_from_seed_epoch_and_step(self):
        options = {"composites": self.sources, "epoch_samples": 40}
        one = self.experiment(**options)
        whole = self.batches(one, epoch=2)
        self.assertLen(whole, 5)
        rest = self.batches(self.experiment(**options), epoch=2, step=3)
        for (inputs, labels), (again, labels_again) in zip(whole[3:], rest, strict=True):
            for name in ("bg", "fg_bg"):
                self.assertAllEqual(inputs[name], again[name])
            for name in ("mask", "depth"):
                self.assertAllEqual(labels[name], labels_again[name])
        for other in (
            self.batches(one, epoch=3),
            self.batches(self.experiment(**options, seed=1)),
        ):
            self.assertNotAllEqual(whole[0][0]["bg"], other[0][0]["bg"])

    def test_no_sample_comes_twice(self):
        experiment = self.experiment(composites=self.plain, epoch_samples=20)
        ids = [
            name
            for epoch in range(3)
            for step in range(3)
            for name in experiment.sample_ids(PHASE, epoch, step)
        ]
        self.assertLen(set(ids), 60)

    def test_train_score_and_config(self):
        self.make_fast()
        config = RunConfig((), TINY, self.sources, epoch_samples=16, precision="float32")
        result = run.train(config, self.folder / "run", verbose=0)
        stored = json.loads((self.folder / "run" / "config.json").read_text())
        self.assertEqual(
            RunConfig.load(self.folder / "run").composites.fg, self.sources.fg
        )
        self.assertEqual(stored["samples"]["train"], 16)
        self.assertEqual(stored["depth"]["unit"], "metre")
        self.assertIn("val", result.scores)
        self.assertGreater(result.scores["val"]["depth_rmse"], 0)

    def test_told_of_inverted_cutouts(self):
        root = write_pictures(self.folder / "pictures", 2, 2)
        cutout = sorted((root / "fg").iterdir())[0]
        pixels = np.array(Image.open(cutout))
        pixels[..., 3] = 255 - pixels[..., 3]
        Image.fromarray(pixels).save(cutout)
        sources = dataclasses.replace(self.plain, bg=str(root / "bg"), fg=root / "fg")
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            self.experiment(composites=sources)
        (line,) = [line for line in logs.output if "Invert them" in line]
        self.assertIn("received 1 of 2 that are opaque around something", line)
        self.assertIn(cutout.name, line)

    @parameterized.parameters(
        (1, 1, 0.25, "WARNING", "nothing about new backgrounds and new cutouts"),
        (1, 3, 0.25, "INFO", "nothing about new backgrounds. For"),
        (3, 3, 0.0, "INFO", "nothing about new backgrounds and new cutouts"),
    )
    def test_told_what_is_not_scored(self, backgrounds, cutouts, fraction, level, part):
        root = write_pictures(self.folder / "few", backgrounds, cutouts)
        sources = dataclasses.replace(
            self.plain, bg=str(root / "bg"), fg=root / "fg", unseen_fraction=fraction
        )
        experiment = self.experiment(composites=sources)
        with self.assertLogs("keras_depthseg") as logs:
            experiment.data.tell_missing_splits()
        (record,) = logs.records
        self.assertEqual(record.levelname, level)
        self.assertIn(f"{root}/fg: received train 1024, val ", record.getMessage())
        self.assertIn(part, record.getMessage())

    def test_told_before_it_trains(self):
        """Of records without anything but what is trained on."""
        root = write_pictures(self.folder / "few", 1, 1)
        options = ComposeOptions(bg=str(root / "bg"), fg=root / "fg", size=32, count=8)
        records = compose(options, self.folder / "records")
        self.make_fast()
        config = RunConfig((str(records),), TINY, precision="float32")

        def stop(*_):
            raise KeyboardInterrupt

        with (
            self.assertLogs("keras_depthseg", "WARNING") as logs,
            mock.patch.object(run, "fit", stop),
            self.assertRaises(KeyboardInterrupt),
        ):
            run.train(config, self.folder / "run", verbose=0)
        self.assertRegex(logs.output[-1], "records: received train 8, .* no scores;")

    def test_unknown_depth_has_no_score(self):
        experiment = self.experiment(composites=self.plain)
        scores = evaluate(experiment.model(), experiment.split_batches("val", PHASE))
        self.assertIn("mask_hard_iou", scores)
        self.assertEmpty([name for name in scores if name.startswith("depth")])

    def test_a_picture_that_is_damaged_meanwhile(self):
        pictures = self.folder / "pictures"
        write_pictures(pictures)
        sources = dataclasses.replace(
            self.plain, bg=str(pictures / "bg"), fg=pictures / "fg"
        )
        experiment = self.experiment(composites=sources, epoch_samples=16)
        for path in (pictures / "bg").iterdir():
            path.write_bytes(path.read_bytes()[:-40])

        def read():
            with naming_damage([]):
                self.batches(experiment)

        self.assert_refused(read, pictures / "bg", "truncated or damaged picture")

    def test_a_changed_picture_is_not_resumed(self):
        self.make_fast()
        pictures = self.folder / "pictures"
        write_pictures(pictures)
        sources = dataclasses.replace(
            self.plain, bg=str(pictures / "bg"), fg=pictures / "fg"
        )
        config = RunConfig((), TINY, sources, epoch_samples=8, precision="float32")
        run.train(config, self.folder / "run", verbose=0)
        (self.folder / "run" / "report.html").unlink()
        first = sorted((pictures / "bg").iterdir())[0]
        first.write_bytes(sorted((pictures / "bg").iterdir())[1].read_bytes())
        self.assert_refused(
            lambda: run.train(config, self.folder / "run", resume=True, verbose=0),
            *("a picture has changed", "start a new run"),
        )


class MixtureTest(TrainingDataTestCase):
    def shares(self, **options):
        experiment = self.experiment((str(self.records),), epoch_samples=400, **options)
        ids = [
            name for step in range(50) for name in experiment.sample_ids(PHASE, 0, step)
        ]
        return np.mean(["train" in name for name in ids])

    def test_weights(self):
        self.assertNear(
            self.shares(composites=self.plain, composites_weight=3), 0.75, 0.07
        )

    def test_depth_where_it_is_known(self):
        experiment = self.experiment((str(self.records),), composites=self.plain)
        known = [
            (labels["depth"] > 0).any(axis=(1, 2, 3))
            for _, labels in self.batches(experiment)[:8]
        ]
        self.assertBetween(np.mean(known), 0.2, 0.8)

    def test_every_split_of_all_sources(self):
        alone = self.experiment((str(self.records),)).samples
        both = self.experiment((str(self.records),), composites=self.plain).samples
        self.assertEqual(both["train"], 1024)
        self.assertEqual(both["unseen_both"], alone["unseen_both"] + 256)


class RefusedTest(TrainingDataTestCase):
    def test_loss_that_counts_unknown_depth(self):
        recipe = dataclasses.replace(TINY, loss="rmse_bce_dice")
        self.assert_refused(
            lambda: self.experiment(recipe=recipe, composites=self.plain),
            *("`loss`: received rmse_bce_dice", "without depth", "per_image"),
        )

    def test_depth_of_two_meanings(self):
        self.assert_refused(
            lambda: self.experiment((str(self.records),), composites=self.sources),
            *("`data`", "two meanings", "metre", "relative"),
        )

    def test_values(self):
        for options, parts in (
            ({"data": ()}, ("`data`: received none", "`bg`")),
            ({"data": ("x,weight=-1",)}, ("weight '-1'", "x,weight=2")),
            ({"data": ("x",), "epoch_samples": -1}, ("`epoch_samples`", "-1")),
            ({"data": ("x",), "composites_weight": 0.0}, ("`composites_weight`", "0.0")),
        ):
            self.assert_refused(lambda o=options: RunConfig(recipe=TINY, **o), *parts)

    def test_masks_only_train_the_mask(self):
        records = self.folder / "masks"
        shutil.copytree(self.records, records)
        remove_field(records, "depth")
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            experiment = self.experiment((str(records),))
        self.assertIn("only the mask is trained", logs.output[0])
        inputs, labels = self.batches(experiment)[0]
        self.assertEqual(labels["depth"].max(), 0)
        self.assertGreater(labels["mask"].max(), 0)
        run_eagerly(self)
        logs = experiment.model().train_on_batch(inputs, labels, return_dict=True)
        self.assertEqual(logs["loss"], logs["mask_loss"])
        self.assertIn("mask_hard_iou", logs)
        self.assertNotIn("depth_rmse", logs)
