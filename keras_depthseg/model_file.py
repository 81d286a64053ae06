"""What a saved model says about itself, read without Keras."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_depthseg.archives import MOST_EXPANSION, check_expansion, read_member
from keras_depthseg.errors import UserError
from keras_depthseg.files import sha256
from keras_depthseg.pretrained import NAMES, is_pretrained, pretrained_path
from keras_depthseg.text import shortened

NETWORKS = {
    "keras_depthseg>DSResNet": "ds_resnet",
    "keras_depthseg>SiameseNet": "siamese",
}
"""The names of our networks, by those under which Keras stores them."""


def model_path(path: str | os.PathLike) -> Path:
    """Return the `.keras` file of a finished run's folder, or the file itself.

    Args:
        path: of the folder or the file, or a name of `pretrained.WEIGHTS`.

    Raises:
        UserError: if there is no such file, or that of a name is damaged.
    """
    if is_pretrained(path):
        return pretrained_path(path)
    path = Path(path)
    if path.is_dir():
        if not (path / "model.keras").is_file():
            raise UserError(
                f"{path}: received a folder without model.keras; give the folder of a "
                "run that is finished, or a .keras file."
            )
        return path / "model.keras"
    if not path.exists():
        raise UserError(
            f"{path}: no such model; give a run folder, a .keras file or a name: {NAMES}."
        )
    return path


RESOLUTION = 224
"""Side for networks that do not say at which they were trained, in pixels."""
MOST_RESOLUTION = 4096
"""The largest side that a file may name: time grows with its square."""

# In bytes, of the description of a network; ours have 60,000.
_LARGEST_CONFIG = 2**24
# Arguments of layers that are sides of their weights.
_SIDES = ("filters", "units")


def trained_resolution(path: str | os.PathLike) -> int | None:
    """Return `ModelFile.resolution` of a file; `None`, too, if it is not of our networks.

    Args:
        path: as for `ModelFile.open`.
    """
    try:
        return ModelFile.open(path).resolution
    except UserError:
        return None


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A `.keras` file of one of our networks.

    Attributes:
        path: of the file.
        network: one of `networks.registry.NETWORKS`.
        config: the network's arguments, as Keras stored them.
    """

    path: Path
    network: str
    config: dict[str, Any]

    @property
    def width(self) -> int:
        """Channels of the network's first block."""
        return self.config["width"]

    @property
    def resolution(self) -> int | None:
        """Side in pixels of the last phase of its training.

        `None` if it was not trained, or by version 0.2 or earlier, which wrote none.
        """
        return self.config.get("resolution")

    @classmethod
    def open(cls, path: str | os.PathLike) -> ModelFile:
        """Read the configuration of the network, and none of its weights.

        Args:
            path: a `.keras` file, the folder of a finished run, or a name of
                `pretrained.WEIGHTS`.

        Raises:
            UserError: if there is no such file, it is damaged, or of another network.
        """
        path = model_path(path)
        try:
            content = _read_config(path)
            name, config = content["registered_name"], content["config"]
            if name in NETWORKS:
                _ = int(config["width"]), int(config.get("resolution") or RESOLUTION)
        # Damage leads Python's reader of zips to errors of all kinds.
        except Exception as error:
            raise UserError(
                f"{path}: it is damaged or no .keras file ({type(error).__name__}); "
                "accepted is what a run saved as model.keras. Get the file again."
            ) from error
        if name not in NETWORKS:
            raise UserError(
                f"{path}: received the network {shortened(str(name))}; accepted "
                f"are {' and '.join(NETWORKS)}. Give a model of depthseg train."
            )
        resolution = config.get("resolution")
        if resolution is not None and not (
            isinstance(resolution, int) and 0 < resolution <= MOST_RESOLUTION
        ):
            raise UserError(
                f"{path}: received a network trained at {resolution!r} "
                f"px; accepted are 1 to {MOST_RESOLUTION}. Get the file again."
            )
        return cls(path, NETWORKS[name], config)

    def require_same(self, network: str, width: int) -> None:
        """Refuse another network, or one of another width.

        Raises:
            UserError: if it is not the same.
        """
        for name, received, ours in (
            ("network", network, self.network),
            ("width", width, self.width),
        ):
            if received != ours:
                raise UserError(
                    f"`{name}`: received {received}, and {self.path} has {ours}; leave "
                    f"`{name}` out, or start from another model."
                )

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, as hexadecimal digits."""
        return sha256(self.path)


def check_sizes(path: str | os.PathLike) -> None:
    """Refuse a `.keras` file whose network would fill the memory.

    It is looked at before Keras makes arrays as large as it says, which the stored ones
    need not be. A damaged file is left to Keras, which says what is wrong with it.

    Args:
        path: of the file.

    Raises:
        UserError: a part of the file, an array or a layer is many times as large as what
            is stored of it.
    """
    check_expansion(path)
    try:
        config = _read_config(path)
        largest, declared = _stored_sizes(path)
        if config.get("registered_name") in NETWORKS:
            ModelFile.open(path)
            sides = [config["config"]["width"]]
        else:
            sides = list(_sides(config))
        side = max((side for side in sides if isinstance(side, int)), default=0)
    except UserError:
        raise
    # Damage leads the readers of zips and HDF5 to errors of all kinds.
    except Exception:
        return
    if side > largest or declared > MOST_EXPANSION * os.path.getsize(path) + 2**26:
        raise UserError(
            f"{path}: received a network with layers of {side:,} channels and weights of "
            f"{declared:,} bytes, of which {os.path.getsize(path):,} are there; expected "
            "a whole one. Get the file again."
        )


def _read_config(path: str | os.PathLike) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(read_member(archive, "config.json", _LARGEST_CONFIG))


def _stored_sizes(path: str | os.PathLike) -> tuple[int, int]:
    """Return the longest side of the stored arrays, and the bytes that they take."""
    import h5py

    sides, declared = [0], 0

    def look(_: str, found: Any) -> None:
        nonlocal declared
        if isinstance(found, h5py.Dataset):
            sides.extend(found.shape or ())
            declared += found.size * found.dtype.itemsize

    with zipfile.ZipFile(path) as archive:
        data = archive.read("model.weights.h5")
    # Within the zip, seeking takes six times as long.
    with h5py.File(io.BytesIO(data), "r") as content:
        content.visititems(look)
    return max(sides), declared


def _sides(config: Any) -> Iterator[Any]:
    """Yield the values of `_SIDES` anywhere in a description."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key in _SIDES:
                yield value
            else:
                yield from _sides(value)
    elif isinstance(config, list):
        for value in config:
            yield from _sides(value)
