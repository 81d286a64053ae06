"""A run is resumed with its data in another place, and with no other data."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import albumentations
import pytest
from absl.testing import parameterized

from keras_depthseg.backend import software_versions
from keras_depthseg.commands import main
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.model import DSResNet
from keras_depthseg.training import run
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.resuming import about_data, check_can_resume
from keras_depthseg.training.run_folder import RunFolder
from tests.support.compositions import write_pictures
from tests.support.damaged_records import rewrite
from tests.support.eager import run_eagerly
from tests.support.tiny_data import TinyDataTestCase
from tests.support.tiny_recipe import TINY


class MovedTestCase(TinyDataTestCase):
    def setUp(self):
        super().setUp()
        self.old = self.folder / "old"
        shutil.copytree(self.records, self.old)
        self.new = self.folder / "new" / "records"
        self.run_dir = self.folder / "run"

    def begin(self, data=(), recipe=TINY, **options):
        """The configuration of a run, whose config.json is written."""
        config = RunConfig(data, recipe, precision="float32", **options)
        experiment = Experiment(config)
        self.run_dir.mkdir()
        about = {**about_data(experiment), "versions": software_versions()}
        experiment.config.save(RunFolder(self.run_dir), **about)
        return RunConfig.load(self.run_dir)

    def resume(self, config, **changes):
        """Resumes with changes; returns the configuration that is stored then."""
        config = dataclasses.replace(config, **changes)
        config.check_places()
        experiment = Experiment(config)
        about = check_can_resume(experiment, RunFolder(self.run_dir))
        if about is not None:
            experiment.config.save(RunFolder(self.run_dir), **about)
        return RunConfig.load(self.run_dir)


class RecordsTest(MovedTestCase):
    @pytest.mark.long
    def test_train(self):
        run_eagerly(self)
        config = RunConfig(str(self.old), TINY, precision="float32")
        begun = run.train(config, self.run_dir, verbose=0)
        (self.run_dir / "report.html").unlink()
        sorted(self.run_dir.glob("resume/*"))[-1].unlink()
        self.new.parent.mkdir()
        self.old.rename(self.new)

        resume = ["train", "--resume", "--run-dir", str(self.run_dir)]
        self.assert_refused(
            lambda: main.main(resume), self.old, "no longer there", "--data"
        )
        main.main([*resume, "--data", str(self.new)])
        stored = json.loads((self.run_dir / "config.json").read_text())
        self.assertEqual(stored["data"], [str(self.new)])
        self.assertEqual(stored["samples"]["train"], 29)
        scores = json.loads((self.run_dir / "scores.json").read_text())["scores"]
        self.assertEqual(scores, begun.scores)
        # From here on without its place.
        (self.run_dir / "report.html").unlink()
        main.main(resume)

    @parameterized.parameters("relative", "link", "link to a folder above", "moved back")
    def test_places(self, how):
        config = self.begin(str(self.old))
        self.new.parent.mkdir()
        self.old.rename(self.new)
        place = str(self.new)
        if how == "relative":
            before = Path.cwd()
            os.chdir(self.new.parent)
            self.addCleanup(os.chdir, before)
            place = "records"
        elif how == "link":
            (self.folder / "link").symlink_to(self.new)
            place = str(self.folder / "link")
        elif how == "link to a folder above":
            (self.folder / "link").symlink_to(self.new.parent)
            place = str(self.folder / "link" / "records")
        stored = self.resume(config, data=(place,))
        self.assertEqual(stored.data, (str(self.new.resolve()),))
        if how == "moved back":
            self.new.rename(self.old)
            self.assertEqual(self.resume(stored, data=config.data), config)

    def change_records(self, split):
        shard = min(self.new.glob(f"*-{split}.tfrecord-00001-*"))

        def change(number, fields):
            fields["bg_id"] = b"other" if number == 1 else fields["bg_id"]

        rewrite(shard, change)

    def test_other_records(self):
        config = self.begin(str(self.old))
        shutil.copytree(self.old, self.new)
        self.change_records("val")
        self.assert_refused(
            lambda: self.resume(config, data=(str(self.new),)),
            *(self.new, self.old, "the records of val differ", "start a new run"),
        )
        # In their own place, too.
        shutil.rmtree(self.old)
        self.new.rename(self.old)
        self.assert_refused(lambda: self.resume(config), "the records of val differ")

    @parameterized.parameters("metadata.json", "dataset_info.json")
    def test_other_description(self, name):
        config = self.begin(str(self.old))
        shutil.copytree(self.old, self.new)
        text = (self.new / name).read_text()
        if name == "metadata.json":
            text = text.replace("larger is farther", "larger is nearer")
        else:
            content = json.loads(text)
            for split in content["splits"]:
                lengths = split["shardLengths"]
                split["shardLengths"] = [*lengths[1:], lengths[0]]
            text = json.dumps(content)
        (self.new / name).write_text(text)
        self.assert_refused(lambda: self.resume(config, data=(str(self.new),)), self.new)

    def test_mixture(self):
        other = self.folder / "other"
        shutil.copytree(self.old, self.new)
        self.change_records("train")
        self.new.rename(other)
        config = self.begin((str(self.old), f"{other},weight=2"))
        moved = []
        for path, weight in ((self.old, ""), (other, ",weight=2")):
            path.rename(path.with_name(f"moved_{path.name}"))
            moved.append(f"{path.with_name(f'moved_{path.name}')}{weight}")
        self.assert_refused(lambda: self.resume(config), self.old, "no longer there")
        swapped = (moved[0].replace("moved_old", "moved_other"), moved[1])
        swapped = (swapped[0], moved[1].replace("moved_other", "moved_old"))
        self.assert_refused(
            lambda: self.resume(config, data=swapped), "train differ", "in the same order"
        )
        for data in (moved[:1], [moved[0], moved[1].replace("=2", "=3")]):
            self.assert_refused(
                lambda data=data: self.resume(config, data=tuple(data)),
                *("another configuration", "data"),
            )
        self.assertEqual(self.resume(config, data=tuple(moved)).data, tuple(moved))

    def test_a_run_without_fingerprints(self):
        config = self.begin(str(self.old))
        path = self.run_dir / "config.json"
        content = json.loads(path.read_text())
        del content["fingerprints"], content["left_out"]
        path.write_text(json.dumps(content))
        self.assertEqual(self.resume(config), config)
        self.old.rename(self.folder / "moved")
        self.assert_refused(
            lambda: self.resume(config, data=(str(self.folder / "moved"),)),
            *(self.folder / "moved", "make the old path a link"),
        )


class FilesTest(MovedTestCase):
    def composites(self):
        pictures = write_pictures(self.folder / "pictures")
        return pictures, ComposeOptions(
            bg=str(pictures / "bg"),
            fg=pictures / "fg",
            depth=f"{pictures}/depth,step=0.001",
            variety="rich",
            count=1,
            unseen_fraction=0.25,
        )

    def test_pictures_of_composites(self):
        pictures, options = self.composites()
        config = self.begin(composites=options)
        moved = self.folder / "moved"
        moved.mkdir()
        for name in ("bg", "fg", "depth"):
            (pictures / name).rename(moved / f"new_{name}")
        self.assert_refused(lambda: self.resume(config), "no longer there", "`bg`")
        changed = {
            "bg": str(moved / "new_bg"),
            "fg": moved / "new_fg",
            "depth": f"{moved}/new_depth,step=0.001",
        }
        stored = self.resume(
            config, composites=dataclasses.replace(config.composites, **changed)
        )
        self.assertEqual(stored.composites.fg, moved / "new_fg")
        self.assertEqual(self.resume(stored), stored)
        for other in (
            {"depth": f"{moved}/new_depth,step=0.002"},
            {"unseen_fraction": 0.5},
        ):
            self.assert_refused(
                lambda other=other: self.resume(
                    stored, composites=dataclasses.replace(stored.composites, **other)
                ),
                *("another configuration", "composites"),
            )
        first, second = sorted((moved / "new_fg").iterdir())[:2]
        first.write_bytes(second.read_bytes())
        self.assert_refused(lambda: self.resume(stored), "a picture has changed")

    def test_a_pipeline_of_albumentations(self):
        path = self.folder / "pipeline.json"
        albumentations.save(albumentations.Compose([albumentations.Blur()]), path)
        recipe = dataclasses.replace(TINY, augment=str(path))
        config = self.begin(str(self.old), recipe)
        path.rename(self.folder / "moved.json")
        self.assert_refused(lambda: self.resume(config), path, "`augment`")
        recipe = dataclasses.replace(recipe, augment=str(self.folder / "moved.json"))
        stored = self.resume(config, recipe=recipe)
        self.assertEqual(stored.recipe.augment, str(self.folder / "moved.json"))
        other = dataclasses.replace(recipe, augment="shared")
        self.assert_refused(
            lambda: self.resume(stored, recipe=other), "another configuration", "augment"
        )
        (self.folder / "moved.json").write_text(
            (self.folder / "moved.json").read_text() + "\n"
        )
        self.assert_refused(lambda: self.resume(stored), "this file has changed")

    def test_the_model_to_start_from(self):
        path = self.folder / "begin.keras"
        DSResNet(1).save(path)
        config = self.begin(str(self.old), start_from=str(path))
        path.rename(self.folder / "moved.keras")
        self.assert_refused(lambda: self.resume(config), path, "`start_from`")
        moved = str(self.folder / "moved.keras")
        stored = self.resume(config, start_from=moved)
        self.assertEqual(stored.start_from, moved)
        DSResNet(1).save(moved)
        self.assert_refused(lambda: self.resume(stored), "this model has changed")
