"""The script for GPUs without TensorFlow: its batches, and that it needs none."""

import concurrent.futures
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest

from benchmarks import gpu, gpu_ablation
from benchmarks.gpu_batches import CompositeBatches, Stage, loaded, shared
from benchmarks.gpu_training import RateByClock
from keras_depthseg.augment.changes import make_augmentation
from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.training.compiled_model import compiled_model
from keras_depthseg.training.recipes import RECIPES
from tests.support.compositions import CompositesTestCase

ROOT = Path(__file__).parent.parent
WITHOUT_TENSORFLOW = """
import os, sys
from benchmarks import gpu, gpu_batches
assert "keras" not in sys.modules
os.environ["KERAS_BACKEND"] = "jax"
from keras_depthseg.training.recipes import RECIPES
stages = gpu_batches.stages_of(RECIPES["standard"], 64)
import keras_depthseg.callbacks.weight_average
import keras_depthseg.datasets.composites.configure
import keras_depthseg.training.compiled_model
assert "tensorflow" not in sys.modules
print(len(stages))
"""


class BatchesTest(CompositesTestCase):
    def setUp(self):
        super().setUp()
        config = self.config(variety="rich", fg_height=None, count=1, depth=self.depth)
        self.composites = EndlessComposites.of(config)

    def test_composites_in_order_of_their_numbers(self):
        stages = [Stage(0, 2, 32, 3, None), Stage(6, 1, 64, 2, None)]
        batches = CompositeBatches([(self.composites, 1.0)], stages)
        self.assertLen(batches, 3)
        numbers = [(0, 1, 2), (3, 4, 5), (6, 7)]
        for step, (side, expected) in enumerate(zip((32, 32, 64), numbers, strict=True)):
            inputs, labels = batches[step]
            composites = self.composites.with_size(side)
            for i, number in enumerate(expected):
                sample = composites.sample("train", number)
                self.assertAllEqual(inputs["bg"][i], sample.bg)
                self.assertAllEqual(inputs["fg_bg"][i], sample.fg_bg)
                self.assertAllClose(labels["mask"][i, ..., 0], sample.mask / 255.0)
                self.assertAllEqual(labels["depth"][i, ..., 0], sample.depth)
        with self.assertRaises(IndexError):
            batches[3]

    def test_changes_follow_from_the_seed(self):
        stage = Stage(0, 4, 32, 2, make_augmentation("handheld", 32))

        def images(seed):
            sources = [(self.composites, 1.0)]
            return CompositeBatches(sources, [stage], seed=seed)[3][0]["fg_bg"]

        self.assertAllEqual(images(1), images(1))
        self.assertNotAllEqual(images(1), images(2))

    def test_each_process_has_numbers_that_follow_each_other(self):
        stage = Stage(0, 4, 32, 2, None)
        batches = CompositeBatches([(self.composites, 1.0)], [stage], workers=2)
        made = [batches[step][0]["fg_bg"] for step in range(4)]
        for step, numbers in ((0, (0, 1)), (2, (2, 3))):
            for image, number in zip(made[step], numbers, strict=True):
                sample = self.composites.with_size(32).sample("train", number)
                self.assertAllEqual(image, sample.fg_bg)
        for step in (1, 3):
            self.assertNotAllEqual(made[step], made[step - 1])
        self.assertNotAllEqual(made[1], made[3])

    def test_processes_make_the_batches_of_one(self):
        stage = Stage(0, 5, 32, 2, make_augmentation("handheld", 32))
        batches = CompositeBatches([(self.composites, 1.0)], [stage], workers=2)
        for step, (inputs, labels) in enumerate(loaded(batches, 2)):
            expected = batches[step]
            self.assertAllEqual(inputs["fg_bg"], expected[0]["fg_bg"])
            self.assertAllEqual(labels["mask"], expected[1]["mask"])
        self.assertEqual(step, 4)

    def test_weights(self):
        config = self.config(variety="rich", fg_height=None, count=1, depth=None)
        without = EndlessComposites.of(config)
        sources = [(self.composites, 1.0), (without, 3.0)]
        stage = Stage(0, 1, 32, 400, None)
        _, labels = CompositeBatches(sources, [stage])[0]
        share = np.mean(labels["depth"].any(axis=(1, 2, 3)))
        # Four standard deviations.
        self.assertNear(share, 0.25, 0.09)


class TrainingTest(CompositesTestCase):
    def test_all_threads_get_all_batches(self):
        streams = shared(iter(range(20)), 3)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            received = list(threads.map(list, streams))
        self.assertEqual(received, [list(range(20))] * 3)

    def test_rate_by_clock(self):
        clock = RateByClock(0.1, end=200.0)
        rates = [clock.at(now) for now in (100.0, 102.5, 105.0, 150.0, 200.0, 300.0)]
        # Highest after a twentieth of the time, half of that in the middle.
        expected = [0, 0.05, 0.1 * (1 + np.cos(np.pi / 20)) / 2, 0.05, 0, 0]
        self.assertAllClose(rates, expected)

    def test_training_ends_by_the_clock(self):
        recipe = dataclasses.replace(
            RECIPES["small"], width=1, learning_rate_schedule="plateau"
        )
        model = compiled_model(recipe, 1, "float32", 0)
        adjust = RateByClock(0.1, time.monotonic() + 3600).adjust(model)
        adjust(0)
        self.assertAllClose(model.optimizer.learning_rate, 0)
        self.assertFalse(model.stop_training)
        RateByClock(0.1, time.monotonic() - 1).adjust(model)(1)
        self.assertTrue(model.stop_training)


class AblationTest(CompositesTestCase):
    def ablation(self, **designs):
        out = self.folder / "networks"
        pictures = self.pictures
        # The script sets the backend for processes that it starts.
        with (
            mock.patch.dict(os.environ),
            mock.patch.dict(gpu_ablation.DESIGNS, designs, clear=True),
        ):
            status = gpu.main(
                ["ablation", "--recipe", "small", "--schedule", "32:1:2", "--width", "1"]
                + ["--samples", "8", "--policy", "float32", "--workers", "0"]
                + ["--source", f"{pictures}/bg", f"{pictures}/fg", "-", "1"]
                + ["--seeds", "0", "1", "--out", str(out)]
            )
        self.assertEqual(status, 0)
        return {path.stem: list(np.load(path).values()) for path in sorted(out.iterdir())}

    @pytest.mark.long
    def test_designs_and_seeds(self):
        siamese = gpu_ablation.Design("siamese")
        original = gpu_ablation.Design("ds_resnet", "per_image")
        found = self.ablation(again=siamese, original=original, siamese=siamese)
        names = [
            f"{name}_{seed}"
            for name in ("again", "original", "siamese")
            for seed in (0, 1)
        ]
        self.assertEqual(list(found), names)
        # Of the training before nothing is left, in weights or optimizer.
        for seed in (0, 1):
            pair = zip(found[f"siamese_{seed}"], found[f"again_{seed}"], strict=True)
            for array, again in pair:
                self.assertAllClose(array, again, rtol=1e-2, atol=1e-3)
        self.assertNotAllClose(found["siamese_0"][0], found["siamese_1"][0], atol=1e-2)
        new = gpu_ablation.make_design("ds_resnet", RECIPES["small"])
        self.assertLen(found["original_0"], len(new.get_weights()))


class ImportTest(CompositesTestCase):
    def test_without_tensorflow(self):
        # All installed packages but TensorFlow's own.
        packages = Path(keras.__file__).parent.parent
        for path in packages.iterdir():
            if not path.name.startswith(("tensorflow-", "tensorflow.", "tensorflow_cpu")):
                (self.folder / path.name).symlink_to(path)
        (self.folder / "tensorflow").unlink()
        result = subprocess.run(
            [sys.executable, "-S", "-c", WITHOUT_TENSORFLOW],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{self.folder}"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "3\n")
