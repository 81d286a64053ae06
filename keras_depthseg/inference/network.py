"""Opens a network for predicting, with the engine that is fastest on this machine.

A pair of 224 px takes OpenVINO two thirds of the time that Keras on TensorFlow takes, and
its import a tenth: the first mask is there within a second instead of seven. So a model
file is converted once, by Keras's own export, and the converted files are kept in the
cache folder. Where OpenVINO is not installed, Keras does. What `depthseg export` wrote
runs in its own runtime.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import keras_depthseg
from keras_depthseg.errors import UserError
from keras_depthseg.files import default_cache_dir, sha256, temporary_folder
from keras_depthseg.inference.exported import PARTS, exported_files, open_exported
from keras_depthseg.model_file import RESOLUTION, model_path, trained_resolution
from keras_depthseg.runtimes import (
    OpenedModel,
    import_openvino,
    model_kind,
    naming_full_disk,
    open_model,
)
from keras_depthseg.value_range import warn_of_other_range

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

ENGINES = ("openvino", "keras")
"""The first one that is installed is the default."""

# Converted networks that are kept, 15 MB each.
_KEPT = 8

# Of the files of a converted network: OpenVINO runs one whose weights have changed.
_CHECKSUMS = "sha256.json"


@dataclasses.dataclass(frozen=True)
class Network:
    """A network in parts, to run on NumPy arrays. Not to be used by several threads.

    Attributes:
        name: the file, or the name of the Keras model.
        engine: one of `ENGINES`, or the kind of an exported file.
        resolution: side of the images that it was trained with last, in pixels.
        size: the only height and width that it takes; `None` if it takes any.
        plate: takes `bg`, (B, H, W, 3) float32 in 0..255; gives its features.
        maps: takes `fg_bg` and those features; gives maps in [0, 1].
        mask: as `maps`, without the depth.
    """

    name: str
    engine: str
    resolution: int
    plate: OpenedModel
    maps: OpenedModel
    mask: OpenedModel
    size: tuple[int, int] | None = None
    _warned: list[bool] = dataclasses.field(default_factory=list, repr=False)

    def features(self, bg: np.ndarray) -> list[np.ndarray]:
        """Return the features of plates, (B, H, W, 3) in 0..255."""
        self._check_range(bg=bg)
        return self.plate.run(bg.astype(np.float32))

    def predict(
        self, fg_bg: np.ndarray, features: Sequence[np.ndarray], depth: bool = True
    ) -> dict[str, np.ndarray]:
        """Return `mask` and, if `depth`, `depth`: (B, H, W) float32 in [0, 1].

        Args:
            fg_bg: (B, H, W, 3) in 0..255.
            features: of as many plates, or of one for all.
            depth: without it, two thirds of the time are enough.
        """
        self._check_range(fg_bg=fg_bg)
        part = self.maps if depth else self.mask
        batch = len(fg_bg)
        maps = part.run(
            fg_bg.astype(np.float32),
            *(np.repeat(f, batch, 0) if len(f) < batch else f for f in features),
        )
        return {name: m[..., 0] for name, m in zip(part.outputs, maps, strict=True)}

    def _check_range(self, **pictures: np.ndarray) -> None:
        """Warn once of pictures in 0..1."""
        if not self._warned and warn_of_other_range(pictures):
            self._warned.append(True)


def open_network(model: str | Path | keras.Model, engine: str | None = None) -> Network:
    """Open a network.

    Args:
        model: a `.keras` file, the folder of a training run, a name of
            `pretrained.WEIGHTS`, a Keras model, or what `depthseg export` wrote.
        engine: one of `ENGINES`; by default the first that is installed, and `keras` for
            a Keras model. An exported file runs in its own runtime.

    Raises:
        UserError: there is no such file, it is damaged or of another kind, or the engine
            is unknown or not installed.
    """
    if engine not in (None, *ENGINES):
        raise UserError(
            f"`engine`: received {engine!r}; accepted are {' and '.join(ENGINES)}."
        )
    if not isinstance(model, (str, Path)):
        return _keras_network(model.name, model)
    if files := exported_files(model):
        if engine is not None:
            raise UserError(
                f"`engine`: received {engine} for {model}, which runs in the runtime of "
                "its format; leave `engine` out."
            )
        exported = open_exported(files)
        return Network(
            str(model),
            exported.kind,
            exported.resolution or RESOLUTION,
            exported.plate,
            exported.maps,
            exported.mask,
            exported.size,
        )
    path = model_path(model)
    if _uses_openvino(engine):
        folder = _converted(path)
        if not _is_whole(folder):
            logger.info("%s: converting it for OpenVINO, once", model)
            _convert(path, folder)
        plate, maps, mask = (open_model(folder / f"{part}.xml") for part in PARTS)
        # The networks used last are kept.
        with contextlib.suppress(OSError):
            os.utime(folder)
        resolution = trained_resolution(path) or RESOLUTION
        return Network(str(path), "openvino", resolution, plate, maps, mask)
    from keras_depthseg.networks.loading import load_network

    return _keras_network(str(path), load_network(path))


def needs_keras(model: str | Path, engine: str | None = None) -> bool:
    """Return whether opening a model imports Keras or TensorFlow, which takes seconds.

    Raises:
        UserError: there is no such file.
    """
    if files := exported_files(model):
        return "savedmodel" in map(model_kind, files.values())
    path = model_path(model)
    return not (_uses_openvino(engine) and _converted(path).exists())


def check_model(model: str | Path) -> None:
    """Refuse a path that is no model, without opening it.

    Raises:
        UserError: there is no such file, or a folder without a model.
    """
    if not exported_files(model):
        model_path(model)


def _uses_openvino(engine: str | None) -> bool:
    if engine is None:
        return importlib.util.find_spec("openvino") is not None
    return engine == "openvino"


def _converted(path: Path) -> Path:
    """Return the folder of the converted network, which may be missing."""
    # By the model's bytes and our version.
    digest = hashlib.sha256(keras_depthseg.__version__.encode())
    digest.update(bytes.fromhex(sha256(path)))
    return default_cache_dir() / "networks" / digest.hexdigest()[:24]


def _is_whole(folder: Path) -> bool:
    """Return whether a converted network is as it was written; remove a damaged one."""
    if not folder.exists():
        return False
    try:
        stored = json.loads((folder / _CHECKSUMS).read_text("utf-8"))
        whole = stored == {file.name: sha256(file) for file in _network_files(folder)}
    except (OSError, ValueError):
        whole = False
    if not whole:
        logger.warning("%s: it was damaged, and is made anew", folder)
        shutil.rmtree(folder, ignore_errors=True)
    return whole


def _network_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name != _CHECKSUMS)


def _convert(path: Path, folder: Path) -> None:
    """Write the parts of a network as OpenVINO files to a new folder."""
    from keras_depthseg.backend import backend_name

    tensorflow = backend_name() == "tensorflow"
    write = _write_parts if tensorflow else _write_parts_under_tensorflow
    try:
        with temporary_folder(folder.parent) as part:
            write(path, part)
            checksums = {file.name: sha256(file) for file in _network_files(part)}
            (part / _CHECKSUMS).write_text(json.dumps(checksums), "utf-8")
            try:
                part.rename(folder)
            except OSError:
                # Unless another process was faster.
                if not folder.exists():
                    raise
    except OSError as error:
        raise _not_kept(folder.parent, error) from error
    others = sorted(
        folder.parent.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for old in others[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _not_kept(cache: Path, error: OSError) -> UserError:
    return UserError(
        f"{cache}: a converted network cannot be kept there "
        f"({error.strerror or error}); free some space, set $KERAS_DEPTHSEG_CACHE to "
        "another folder, or choose the `engine` keras."
    )


def _write_parts(path: Path, part: Path) -> None:
    from keras_depthseg.networks.loading import load_network
    from keras_depthseg.networks.parts import split

    # Keras's export imports it, too.
    import_openvino(str(path))
    parts = split(load_network(path))
    try:
        with naming_full_disk(part):
            for name in PARTS:
                file = str(part / f"{name}.xml")
                getattr(parts, name).export(file, format="openvino", verbose=False)
    except OSError as error:
        raise _not_kept(part.parent, error) from error


_UNDER_TENSORFLOW = """
import sys
from pathlib import Path
from keras_depthseg.errors import UserError
from keras_depthseg.inference import network
try:
    network._write_parts(*map(Path, sys.argv[1:]))
except UserError as error:
    sys.exit(f"{network._REFUSED}{error}")
"""

_REFUSED = "UserError: "
"""What a line begins with that tells the other process of a mistake of the user."""


def _write_parts_under_tensorflow(path: Path, part: Path) -> None:
    """Call `_write_parts` in a process of its own: JAX would take over six minutes."""
    # The current folder, '', comes last: files there may have names of modules.
    modules = sorted(sys.path, key=lambda place: place == "")
    # TensorFlow's own, which a process that is killed leaves there.
    with temporary_folder(part.parent) as temporary:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _UNDER_TENSORFLOW, str(path), str(part)],
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                # JAX takes the memory of a GPU for itself.
                "CUDA_VISIBLE_DEVICES": "-1",
                "PYTHONPATH": os.pathsep.join(map(os.path.abspath, modules)),
                "TMPDIR": str(temporary),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        try:
            _, errors = process.communicate()
        finally:
            # Of a process that has ended, these do nothing.
            process.kill()
            process.wait()
    if process.returncode:
        for line in errors.splitlines():
            if line.startswith(_REFUSED):
                raise UserError(line.removeprefix(_REFUSED))
        raise RuntimeError(f"converting under TensorFlow failed:\n{errors}")


def _keras_network(name: str, model: keras.Model) -> Network:
    from keras_depthseg.networks.parts import split
    from keras_depthseg.runtimes import wrap_keras

    parts = split(model)
    resolution = getattr(model, "resolution", None) or RESOLUTION
    return Network(
        name,
        "keras",
        resolution,
        plate=wrap_keras(name, parts.plate),
        maps=wrap_keras(name, parts.maps),
        mask=wrap_keras(name, parts.mask),
    )
