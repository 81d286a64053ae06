"""A run that starts from a trained model: what it takes from it, what it refuses."""

import dataclasses
import hashlib
import json
import shutil
import zipfile
from unittest import mock

import keras
import numpy as np
from absl.testing import parameterized

from keras_depthseg import DSResNet, pretrained
from keras_depthseg.errors import UserError
from keras_depthseg.model_file import ModelFile
from keras_depthseg.networks.saving import save_float16
from keras_depthseg.networks.siamese import SiameseNet
from keras_depthseg.training import run
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.recipes import RECIPES
from keras_depthseg.training.run_folder import RunFolder
from tests.support.eager import run_eagerly
from tests.support.tiny_data import TinyDataTestCase

TINY = dataclasses.replace(
    RECIPES["fine_tune"], schedule="32:1", width=1, optimizer="sgd", learning_rate=1e-9
)
STATISTICS = {
    name: {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)} for name in ("bg", "fg_bg")
}


class StartFromTestCase(TinyDataTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(11)
        cls.model = DSResNet(1, STATISTICS)
        random = np.random.default_rng(11)
        # As after a training: moving statistics, too, are no longer the initial ones.
        cls.model.set_weights(
            [
                weights + random.uniform(0.05, 0.15, weights.shape)
                for weights in cls.model.get_weights()
            ]
        )
        cls.run_dir = cls.shared / "trained"
        cls.run_dir.mkdir()
        cls.path = RunFolder(cls.run_dir).model
        cls.model.save(cls.path)

    def config(self, start_from, **options):
        return RunConfig(
            str(self.records),
            TINY,
            start_from=str(start_from),
            precision="float32",
            **options,
        )


class StartFromTest(StartFromTestCase):
    def test_weights_moving_statistics_and_normalisation_are_the_models(self):
        experiment = Experiment(self.config(self.run_dir))
        self.assertEqual(experiment.config.start_from, str(self.path.resolve()))
        model = experiment.model()
        self.assertNotEqual(experiment.data.statistics, STATISTICS)
        self.assertEqual(model.statistics, STATISTICS)
        self.assertEqual(int(model.optimizer.iterations), 0)
        for ours, theirs in zip(
            model.get_weights(), self.model.get_weights(), strict=True
        ):
            self.assertAllEqual(ours, theirs)

    def test_another_network(self):
        keras.utils.set_random_seed(12)
        path = self.folder / "other.keras"
        other = SiameseNet(1, matching=True, resolution=64)
        other.save(path)
        with self.assertRaisesRegex(UserError, "`network`: received ds_resnet"):
            Experiment(self.config(path))
        recipe = dataclasses.replace(TINY, network="siamese")
        config = dataclasses.replace(self.config(path), recipe=recipe)
        model = Experiment(config).model()
        self.assertTrue(model.matching)
        self.assertIsNone(model.resolution)
        for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
            self.assertAllEqual(ours, theirs)

    def test_run_and_resume(self):
        run_eagerly(self)
        path = self.folder / "start.keras"
        shutil.copy(self.path, path)
        config = self.config(path)
        folder = RunFolder(self.folder / "run")
        run.train(config, folder, verbose=0)
        # The average, too, starts from the weights of the model: they did not change.
        trained = keras.saving.load_model(folder.model)
        for ours, theirs in zip(
            trained.trainable_weights, self.model.trainable_weights, strict=True
        ):
            self.assertAllClose(ours, theirs, atol=1e-6)
        self.assertEqual(trained.resolution, 32)
        self.assertEqual(ModelFile.open(folder.path).resolution, 32)
        written = json.loads(folder.config.read_text())
        self.assertEqual(written["start_from"], str(path.resolve()))
        self.assertEqual(written["start_from_sha256"], ModelFile.open(path).sha256())
        self.assertEqual(RunConfig.load(folder).start_from, str(path.resolve()))

        folder.report.unlink()  # Written last.
        without = dataclasses.replace(config, start_from=None)
        self.assert_refused(
            lambda: run.train(without, folder, resume=True), "received start_from None"
        )
        DSResNet(1).save(path)
        self.assert_refused(
            lambda: run.train(config, folder, resume=True),
            *(path, "this model has changed since the run began"),
        )


class NamedTest(StartFromTestCase):
    def setUp(self):
        super().setUp()
        weights = self.folder / "weights"
        weights.mkdir()
        self.small = weights / "small.keras"
        save_float16(self.model, self.small)
        self.enterContext(mock.patch.object(pretrained, "FOLDER", weights))
        self.note()

    def note(self):
        digest = hashlib.sha256(self.small.read_bytes()).hexdigest()
        self.enterContext(mock.patch.dict(pretrained.WEIGHTS, small=digest))
        return digest

    def test_run_keeps_the_name_and_resumes_with_the_same_weights_only(self):
        fit = self.enterContext(mock.patch.object(run, "fit"))
        self.enterContext(mock.patch.object(run, "_finish"))
        config = self.config("small")
        folder = RunFolder(self.folder / "run")
        run.train(config, folder, verbose=0)
        written = json.loads(folder.config.read_text())
        self.assertEqual(written["start_from"], "small")
        self.assertEqual(written["start_from_sha256"], self.note())
        for ours, theirs in zip(
            fit.call_args.args[1].get_weights(), self.model.get_weights(), strict=True
        ):
            self.assertAllEqual(ours, theirs.astype("float16").astype("float32"))
        # As in another environment, where the package is elsewhere.
        moved = self.folder / "elsewhere"
        self.small.parent.rename(moved)
        self.small = moved / "small.keras"
        self.enterContext(mock.patch.object(pretrained, "FOLDER", moved))
        run.train(RunConfig.load(folder), folder, resume=True, verbose=0)
        self.assertEqual(fit.call_count, 2)
        # The weights of another version.
        save_float16(DSResNet(1), self.small)
        self.note()
        self.assert_refused(
            lambda: run.train(config, folder, resume=True),
            "small: this model has changed since the run began",
        )


class RefusedTest(StartFromTestCase, parameterized.TestCase):
    def _refused(self, path, *parts):
        self.assert_refused(
            lambda: run.train(self.config(path), self.folder / "run"), *parts
        )
        self.assertFalse((self.folder / "run" / "model.keras").exists())

    def test_missing(self):
        self._refused(self.folder / "none.keras", "none.keras: no such model; give")
        self._refused(self.folder, self.folder, "without model.keras")

    def test_width(self):
        path = self.folder / "wide.keras"
        DSResNet(2).save(path)
        self._refused(path, "`width`: received 1, and", "wide.keras has 2")

    def test_another_network(self):
        path = self.folder / "other.keras"
        inputs = keras.Input((4,))
        keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(path)
        self._refused(path, path, "received the network", "keras_depthseg>DSResNet")

    def test_no_model_at_all(self):
        path = self.folder / "text.keras"
        path.write_text("no zip")
        self._refused(path, path, "damaged or no .keras file (BadZipFile)")

    def test_cut_off(self):
        path = self.folder / "cut.keras"
        path.write_bytes(self.path.read_bytes()[:-2000])
        self._refused(path, path, "damaged or no .keras file")

    @parameterized.parameters(True, False)
    def test_weights_that_do_not_fit(self, of_another_width):
        path = self.folder / "weights.keras"
        DSResNet(2).save(self.folder / "wide.keras")
        with (
            zipfile.ZipFile(self.path) as ours,
            zipfile.ZipFile(self.folder / "wide.keras") as wide,
            zipfile.ZipFile(path, "w") as made,
        ):
            for name in ("metadata.json", "config.json"):
                made.writestr(name, ours.read(name))
            weights = wide.read("model.weights.h5") if of_another_width else b"nonsense"
            made.writestr("model.weights.h5", weights)
        self._refused(path, path, "this network cannot be opened")
