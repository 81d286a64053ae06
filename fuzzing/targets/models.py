"""Damaged networks: model files, exported ones, converted ones, shipped weights."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np

from fuzzing import structures
from fuzzing.mutations import mutate
from fuzzing.target import Target, WrongContentError
from keras_depthseg import pretrained
from keras_depthseg.errors import UserError
from keras_depthseg.inference.exported import (
    checksums,
    exported_files,
    open_exported,
    report_of,
)
from keras_depthseg.inference.network import open_network
from keras_depthseg.model import DSResNet
from keras_depthseg.model_file import ModelFile
from keras_depthseg.networks.loading import load_network
from keras_depthseg.networks.original_weights import load_original_weights
from keras_depthseg.networks.saving import save_float16
from keras_depthseg.runtimes import open_model

_PAIR = np.linspace(0, 255, 32 * 32 * 3, dtype=np.float32).reshape(1, 32, 32, 3)


def _network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return DSResNet(width=1)


class ModelFiles(Target):
    """`.keras` files: what they say, and their weights."""

    name = "models"

    def prepare(self) -> None:
        save_float16(_network(), self.folder / "model.keras")

    def load(self) -> None:
        path = self.folder / "model.keras"
        self.data = path.read_bytes()
        self.weights = [np.array(w) for w in load_network(path).weights]

    def damage(self, rng: random.Random) -> None:
        self.whole = rng.random() < 0.5
        self.build = rng.random() < 0.3
        data = (
            mutate(self.data, rng)
            if self.whole
            else structures.mutate_zip(self.data, rng, _member)
        )
        (self.case / "model.keras").write_bytes(data)

    def read(self) -> None:
        path = self.case / "model.keras"
        refused = None
        try:
            file = ModelFile.open(path)
            _ = file.width, file.resolution, file.sha256()
            file.require_same("ds_resnet", 1)
        except UserError as error:
            refused = error
        if not self.build:
            if refused is not None:
                raise refused
            return
        model = load_network(path)
        if self.whole:
            found = [np.array(weight) for weight in model.weights]
            same = map(np.array_equal, found, self.weights)
            if len(found) != len(self.weights) or not all(same):
                raise WrongContentError("a network with other weights")
        if refused is not None:
            raise refused


def _member(name: str, content: bytes, rng: random.Random) -> bytes:
    if name.endswith(".json"):
        return structures.mutate_json(content, rng)
    return mutate(content, rng)


class ShippedWeights(Target):
    """The file of trained weights: any change at all is refused."""

    name = "weights"

    def prepare(self) -> None:
        shutil.copy(pretrained.FOLDER / "small.keras", self.folder)

    def load(self) -> None:
        self.data = (self.folder / "small.keras").read_bytes()

    def damage(self, rng: random.Random) -> None:
        data = mutate(self.data, rng)
        self.same = data == self.data
        (self.case / "small.keras").write_bytes(data)

    def read(self) -> None:
        with mock.patch.object(pretrained, "FOLDER", self.case):
            pretrained.pretrained_path("small")
        if not self.same:
            raise WrongContentError("shipped weights with another checksum")


class Checkpoints(Target):
    """Checkpoints of the original network, written by PyTorch."""

    name = "checkpoints"

    def prepare(self) -> None:
        import torch

        from keras_depthseg.networks import original_weights

        named = original_weights._variables_by_original_name(_network())
        state = {}
        for name, variable in named.items():
            value = np.array(variable)
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
            state[name] = torch.from_numpy(np.ascontiguousarray(value))
        torch.save(state, self.folder / "original.pt")

    def load(self) -> None:
        self.data = (self.folder / "original.pt").read_bytes()
        self.model = _network()
        load_original_weights(self.model, self.folder / "original.pt")

    def damage(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            data = mutate(self.data, rng)
        else:
            data = structures.mutate_zip(
                self.data, rng, lambda _, content, draws: mutate(content, draws)
            )
        (self.case / "original.pt").write_bytes(data)

    def read(self) -> None:
        load_original_weights(self.model, self.case / "original.pt")


class _ExportedTarget(Target):
    """Files of `depthseg export`, half of them with the report beside, as it leaves them.

    Attributes:
        format: of the files.
        reported: the share of cases with the report, which has checksums.
    """

    format: str
    reported = 0.5

    def prepare(self) -> None:
        from keras_depthseg.export import formats, networks

        (plain,) = networks.whole(_network(), None).values()
        path = self.folder / self._file
        formats.write(plain, path, self.format, "float32", {"resolution": "32"})

    @property
    def _file(self) -> str:
        from keras_depthseg.export.options import SUFFIXES

        return f"model{SUFFIXES[self.format]}"

    def load(self) -> None:
        root = self.folder / self._file
        paths = (
            [root]
            if root.is_file()
            else sorted(p for p in root.rglob("*") if p.is_file())
        )
        self.files = {
            str(path.relative_to(self.folder)): path.read_bytes() for path in paths
        }
        self.maps = self._run(root)

    def _run(self, path: Path) -> list[np.ndarray]:
        opened = open_exported(exported_files(path))
        return opened.maps.run(_PAIR, *opened.plate.run(_PAIR[:, ::-1]))

    def damage(self, rng: random.Random) -> None:
        files = dict(self.files)
        name = rng.choice(list(files))
        files[name] = self.mutate(name, files[name], rng)
        self.whole = files == self.files
        self.has_report = rng.random() < self.reported
        if self.has_report:
            report = json.dumps({"sha256": checksums(self.folder / self._file)})
            report_of(self.case / self._file).write_text(report)
        for name, data in files.items():
            path = self.case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def mutate(self, name: str, data: bytes, rng: random.Random) -> bytes:
        """Return a damaged file of the network."""
        return mutate(data, rng)

    def read(self) -> None:
        self._run(self.case / self._file)
        if self.has_report and not self.whole:
            raise WrongContentError("an exported network that is not as reported")


class Onnx(_ExportedTarget):
    """ONNX files: fields of their graph, and bytes."""

    name, format = "onnx", "onnx"

    def mutate(self, name: str, data: bytes, rng: random.Random) -> bytes:
        import onnx

        if rng.random() < 0.5:
            return mutate(data, rng)
        model = onnx.load_model_from_string(data)
        what = rng.choice(("node", "initializer", "input", "output"))
        part: Any = rng.choice(getattr(model.graph, what))
        if what == "initializer":
            part.dims[:] = [rng.choice((-1, 0, 1, 3, 2**31, 2**62)) for _ in part.dims]
        elif what == "node" and rng.random() < 0.5:
            part.op_type = rng.choice(("Conv", "Add", "Resize", "Loop", "Nothing", "Pad"))
        elif what == "node" and part.input:
            part.input[rng.randrange(len(part.input))] = rng.choice(("", "bg", "nothing"))
        else:
            part.name = rng.choice(("", "bg", "mask", "\x1b[31m"))
        return model.SerializeToString()


class LiteRt(_ExportedTarget):
    """LiteRT files with their report: LiteRT itself sees none that is damaged."""

    name, format = "litert", "litert"
    # Without checksums it ends the process at one of 3,000, see docs/promises.md.
    reported = 1.0


class OpenVino(_ExportedTarget):
    """OpenVINO folders: XML and weights."""

    name, format = "openvino", "openvino"

    def mutate(self, name: str, data: bytes, rng: random.Random) -> bytes:
        if name.endswith(".xml") and rng.random() < 0.7:
            return structures.mutate_table(data, rng, b'"')
        return mutate(data, rng)


class SavedModel(_ExportedTarget):
    """SavedModel folders; the values of their variables have checksums."""

    name, format = "savedmodel", "saved_model"


class Converted(Target):
    """Networks that were converted for OpenVINO, in the cache folder."""

    name = "converted"
    # A damaged one is converted anew.
    patience = 60.0

    def prepare(self) -> None:
        save_float16(_network(), self.folder / "model.keras")
        with self._cache(self.folder / "cache"):
            open_network(self.folder / "model.keras", "openvino")

    @contextlib.contextmanager
    def _cache(self, folder: Path):
        with mock.patch.dict(os.environ, KERAS_DEPTHSEG_CACHE=str(folder)):
            yield

    def load(self) -> None:
        self.maps = self._run(self.folder / "cache")
        paths = sorted((self.folder / "cache").rglob("*"))
        self.files = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in paths
            if path.is_file()
        }

    def _run(self, cache: Path) -> np.ndarray:
        with self._cache(cache):
            network = open_network(self.folder / "model.keras", "openvino")
            return network.predict(_PAIR, network.features(_PAIR[:, ::-1]))["mask"]

    def damage(self, rng: random.Random) -> None:
        files = dict(self.files)
        name = rng.choice(list(files))
        files[name] = mutate(files[name], rng)
        for name, data in files.items():
            path = self.case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def read(self) -> None:
        if not np.array_equal(self._run(self.case / "cache"), self.maps):
            raise WrongContentError("a converted network that gives other masks")


class Teachers(Target):
    """Networks of other people that label depth: `.keras` and `.h5` files."""

    name = "teachers"

    def prepare(self) -> None:
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 3))
        model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same")(inputs))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(self.folder / "a.keras")
            model.save(self.folder / "a.h5")

    def load(self) -> None:
        self.files = {p.name: p.read_bytes() for p in sorted(self.folder.glob("a.*"))}

    def damage(self, rng: random.Random) -> None:
        name = rng.choice(list(self.files))
        data = self.files[name]
        if name.endswith(".keras") and rng.random() < 0.6:
            data = structures.mutate_zip(data, rng, _member)
        else:
            data = mutate(data, rng)
        (self.case / name).write_bytes(data)

    def read(self) -> None:
        (path,) = self.case.iterdir()
        open_model(path).run(_PAIR[:, :8, :8])
