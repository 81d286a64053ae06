"""What a saved model says about itself, read without Keras."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from keras_depthseg.errors import UserError
from keras_depthseg.files import sha256
from keras_depthseg.pretrained import NAMES, is_pretrained, pretrained_path

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
            with zipfile.ZipFile(path) as archive:
                content = json.loads(archive.read("config.json"))
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
                f"{path}: received the network {name}; accepted are "
                f"{' and '.join(NETWORKS)}. Give a model of depthseg train."
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
