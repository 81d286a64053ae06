"""Damaged files of training runs, of saved augmentations, and of unfinished work."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fuzzing import drawings, structures
from fuzzing.mutations import mutate
from fuzzing.target import Target, WrongContentError
from keras_depthseg.augment.changes import make_augmentation
from keras_depthseg.datasets.compose import compose
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.training.checkpoints import Position, latest
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import RECIPES
from keras_depthseg.training.report import write_report
from keras_depthseg.training.run_files import write_history, write_json
from keras_depthseg.training.run_folder import RunFolder


class Runs(Target):
    """`config.json`, `history.csv` and `scores.json`: a run's report, and resuming it."""

    name = "runs"

    def prepare(self) -> None:
        composites = ComposeOptions(bg="bg", fg=Path("fg"), variety="rich", count=1)
        config = RunConfig(
            data=("one", "two,weight=2"), recipe=RECIPES["quick"], composites=composites
        )
        config.save(
            self.folder,
            samples={"train": 10, "val": 2},
            depth={"unit": "metre", "scale": 10.0},
            parameters=1234,
            command=["train.py", "--data", "one"],
            versions={"keras": "3", "backend": "tensorflow"},
        )
        row = {"loss": 1.5, "val_loss": 1.25, "phase": 0, "resolution": 32}
        row |= {"mask_hard_iou": 0.5, "images_per_second": 10.0, "input_wait": 0.1}
        rows = [{"epoch": n, **row, "step_seconds": 0.1} for n in range(4)]
        write_history(self.folder / "history.csv", rows)
        scores = {"val": {"mask_hard_iou": 0.5, "depth_rmse": 0.25}}
        write_json(self.folder / "scores.json", {"resolution": 32, "scores": scores})
        (self.folder / "predictions.png").write_bytes(drawings.encoded(drawings.plate(1)))

    def load(self) -> None:
        self.files = {
            path.name: path.read_bytes()
            for path in self.folder.iterdir()
            if not path.name.startswith(".")
        }

    def damage(self, rng: random.Random) -> None:
        self.report = rng.random() < 0.25
        files = dict(self.files)
        name = rng.choice(sorted(files))
        if name.endswith(".json"):
            files[name] = structures.mutate_json(files[name], rng)
        elif name.endswith(".csv"):
            files[name] = structures.mutate_table(files[name], rng, b",")
            self.report = True
        else:
            files[name] = structures.mutate_picture(files[name], rng)
            self.report = True
        for name, data in files.items():
            (self.case / name).write_bytes(data)

    def read(self) -> None:
        if self.report:
            write_report(self.case)
        config = RunConfig.load(self.case)
        # What resuming asks of it before data is opened.
        _ = config.phases, config.weighted_data, config.described_data
        config.require_same(self.case)


class Positions(Target):
    """Positions in `resume/`, of which the last that is whole is taken."""

    name = "positions"

    def prepare(self) -> None:
        model = self._model()
        variables = {
            f"{group}/{number:04d}": np.array(variable)
            for group, found in (
                ("model", model.variables),
                ("optimizer", model.optimizer.variables),
            )
            for number, variable in enumerate(found)
        }
        folder = RunFolder(self.folder)
        folder.resume.mkdir()
        for number in (1, 2):
            arrays = {name: array + number for name, array in variables.items()}
            rows = tuple({"epoch": n, "loss": 1.5} for n in range(number))
            Position(number, 0, rows, arrays).save(folder.position(number))

    def _model(self) -> keras.Model:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    def load(self) -> None:
        self.model = self._model()
        folder = RunFolder(self.folder)
        self.files = {n: folder.position(n).read_bytes() for n in (1, 2)}
        self.loaded = {n: Position.load(folder.position(n)) for n in (1, 2)}

    def damage(self, rng: random.Random) -> None:
        folder = RunFolder(self.case)
        folder.resume.mkdir()
        self.whole = rng.random() < 0.5
        for number in (1, 2):
            data = self.files[number]
            if number == 2 or rng.random() < 0.2:
                if self.whole:
                    data = mutate(data, rng)
                else:
                    data = structures.mutate_zip(data, rng, _array_or_text)
            folder.position(number).write_bytes(data)

    def read(self) -> None:
        position = latest(self.case)
        if position is None:
            raise WrongContentError("positions were there and none was found")
        if self.whole and not any(
            _same(position, known) for known in self.loaded.values()
        ):
            raise WrongContentError("a position with other arrays")
        position.restore_model(self.model)


def _array_or_text(name: str, content: bytes, rng: random.Random) -> bytes:
    """Damage an array of NumPy: its values, or as a JSON text what the text says."""
    if name == "about.npy":
        text = bytes(np.load(io.BytesIO(content)))
        changed = structures.mutate_json(text, rng)
        buffer = io.BytesIO()
        np.save(buffer, np.frombuffer(changed, np.uint8))
        return buffer.getvalue()
    if rng.random() < 0.3:
        other = rng.choice(
            (np.zeros((2, 2)), np.array("a"), np.array(1 + 2j), np.zeros(0))
        )
        buffer = io.BytesIO()
        np.save(buffer, other)
        return buffer.getvalue()
    return mutate(content, rng)


def _same(one: Position, other: Position) -> bool:
    return (
        (one.epoch, one.step, one.rows) == (other.epoch, other.step, other.rows)
        and one.arrays.keys() == other.arrays.keys()
        and all(np.array_equal(a, other.arrays[n]) for n, a in one.arrays.items())
    )


class Augmentations(Target):
    """Pipelines saved by albumentations, YAML and JSON."""

    name = "augmentations"

    def prepare(self) -> None:
        import albumentations

        pipeline = albumentations.Compose(
            [
                albumentations.HorizontalFlip(p=0.5),
                albumentations.RandomBrightnessContrast(brightness_limit=(-0.2, 0.2)),
                albumentations.OneOf(
                    [albumentations.GaussNoise(), albumentations.Blur()]
                ),
            ]
        )
        for kind in ("yaml", "json"):
            albumentations.save(pipeline, self.folder / f"a.{kind}", data_format=kind)

    def load(self) -> None:
        self.files = {
            path.name: path.read_bytes() for path in sorted(self.folder.glob("a.*"))
        }

    def damage(self, rng: random.Random) -> None:
        name = rng.choice(list(self.files))
        if name.endswith("json"):
            data = structures.mutate_json(self.files[name], rng)
        elif rng.random() < 0.6:
            data = structures.mutate_table(self.files[name], rng, b": ")
        else:
            added = (
                b"!!python/object/apply:os.getcwd []",
                b"&a [*a]",
                b"*b",
                b"!!binary x",
            )
            lines = self.files[name].split(b"\n")
            at = rng.randrange(len(lines))
            lines[at] = lines[at].partition(b":")[0] + b": " + rng.choice(added)
            data = b"\n".join(lines)
        (self.case / name).write_bytes(data)

    def read(self) -> None:
        (path,) = self.case.iterdir()
        change: Any = make_augmentation(str(path), 32)
        images = np.zeros((2, 2, 32, 32, 3), np.uint8)
        labels = np.zeros((2, 2, 32, 32, 1), np.float32)
        change(images, labels, np.zeros((2, 4), np.float32), seed=1)


class Builds(Target):
    """The notes of an unfinished composition: it is resumed to the same bytes."""

    name = "builds"

    def prepare(self) -> None:
        drawings.write_sources(self.folder / "sources")
        whole = compose(self._options(), self.folder / "whole")
        # As a process leaves it that is killed before the last rename.
        partial = self.folder / ".data.partial"
        partial.mkdir()
        shutil.copy(whole / "fingerprint.json", partial)

    def _options(self) -> ComposeOptions:
        sources = self.folder / "sources"
        return ComposeOptions(
            str(sources / "bg"), sources / "fg", size=32, count=6, workers=1
        )

    def load(self) -> None:
        self.expected = _shards(self.folder / "whole")

    def damage(self, rng: random.Random) -> None:
        out = self.case / "data"
        self.finished = rng.random() < 0.5
        if self.finished:
            shutil.copytree(self.folder / "whole", out)
            file = out / "fingerprint.json"
        else:
            shutil.copytree(self.folder / ".data.partial", self.case / ".data.partial")
            file = self.case / ".data.partial/fingerprint.json"
        file.write_bytes(structures.mutate_json(file.read_bytes(), rng))

    def read(self) -> None:
        out = compose(self._options(), self.case / "data")
        if _shards(out) != self.expected:
            raise WrongContentError("a resumed composition with other records")


def _shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord-*")}
