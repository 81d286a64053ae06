"""Model files that say they are larger than they are are refused before Keras reads."""

import io
import json
import shutil
import zipfile

import h5py
import keras
import pytest

from keras_depthseg.errors import UserError
from keras_depthseg.model import DSResNet
from keras_depthseg.model_file import ModelFile, check_sizes
from keras_depthseg.pretrained import pretrained_path


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    DSResNet(width=2, resolution=64).save(folder / "own.keras")
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.Dense(5)(x)
    keras.Model(inputs, x).save(folder / "other.keras")
    return folder


def _changed(source, target, change=None, **members):
    """A copy of a model file with another description or other members."""
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(contents["config.json"])
    if change is not None:
        change(description["config"])
    contents["config.json"] = json.dumps(description)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**contents, **members}.items():
            archive.writestr(name, content)
    return target


def _layer(name, **arguments):
    def change(config):
        for layer in config["layers"]:
            if layer["class_name"] == name:
                layer["config"].update(arguments)

    return change


def test_good_files(files, tmp_path):
    for path in (files / "own.keras", files / "other.keras", pretrained_path("small")):
        check_sizes(path)
        check_sizes(_changed(path, tmp_path / "packed.keras"))


@pytest.mark.parametrize(
    ("source", "change", "part"),
    [
        ("other", _layer("Conv2D", filters=10**9), "1,000,000,000 channels"),
        ("other", _layer("Dense", units=10**12), "1,000,000,000,000 channels"),
        ("own", lambda config: config.update(width=10**5), "100,000 channels"),
        ("own", lambda config: config.update(resolution=10**9), "1000000000 px"),
        ("own", lambda config: config.update(resolution=5000), "1 to 4096"),
    ],
)
def test_descriptions_of_larger_networks(files, tmp_path, source, change, part):
    path = _changed(files / f"{source}.keras", tmp_path / "a.keras", change)
    with pytest.raises(UserError, match=f"a.keras: received .*{part}"):
        check_sizes(path)


def test_descriptions_that_fill_the_memory(files, tmp_path):
    path = _changed(
        files / "own.keras", tmp_path / "a.keras", **{"config.json": bytes(2**27)}
    )
    for read in (check_sizes, ModelFile.open):
        with pytest.raises(UserError):
            read(path)


def test_arrays_of_which_nothing_is_stored(files, tmp_path):
    with zipfile.ZipFile(files / "other.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "a") as weights:
        del weights["layers/dense/vars/0"]
        weights.create_dataset(
            "layers/dense/vars/0", (30_000, 30_000), "f4", chunks=(99, 99)
        )
    path = _changed(
        files / "other.keras",
        tmp_path / "a.keras",
        **{"model.weights.h5": content.getvalue()},
    )
    with pytest.raises(UserError, match="weights of 3,600,000,"):
        check_sizes(path)


def test_damaged_files_are_left_to_keras(files, tmp_path):
    path = tmp_path / "a.keras"
    shutil.copy(files / "own.keras", path)
    data = path.read_bytes()
    for content in (b"", b"no zip", data[: len(data) // 2]):
        path.write_bytes(content)
        check_sizes(path)
