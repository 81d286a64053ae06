"""Writes a trained network as a small file, to be shipped."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.networks.copying import float32_copy

_WEIGHTS, _METADATA = "model.weights.h5", "metadata.json"


def save_float16(model: keras.Model, path: str | Path) -> None:
    """Save a network as a `.keras` file of half the size, its weights as float16.

    It is an ordinary file: `keras.saving.load_model` gives float32 variables, which
    differ from the model's by the rounding, at most 1/2048 of a value. How to train is
    not saved, and the loaded network computes in float32. The same weights give the same
    bytes: no dates are written.

    Args:
        model: a network whose configuration has a `dtype`, as that of `DSResNet`; not
            changed.
        path: of the file; replaced if it exists.

    Raises:
        UserError: a weight is beyond the range of float16, or not finite.
        OSError: the file cannot be written.
    """
    # Never compiled, so that no optimizer is saved.
    plain = float32_copy(model)
    with replacing(path) as part:
        plain.save(part)
        with zipfile.ZipFile(part) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        metadata = json.loads(members[_METADATA])
        del metadata["date_saved"]
        members[_METADATA] = json.dumps(metadata).encode()
        members[_WEIGHTS] = _in_float16(members[_WEIGHTS], path)
        with zipfile.ZipFile(part, "w") as archive:
            for name, content in members.items():
                # Its date is 1980; uncompressed, as bytes of zlib depend on its version.
                archive.writestr(zipfile.ZipInfo(name), content)


def _in_float16(content: bytes, path: str | Path) -> bytes:
    """Return the bytes of an HDF5 file with its floats as float16."""
    written = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(written, "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                copied = new.create_group(name)
            else:
                copied = new.create_dataset(name, data=_rounded(item, path))
            copied.attrs.update(item.attrs)

        old.visititems(copy)
    return written.getvalue()


def _rounded(item: h5py.Dataset, path: str | Path) -> np.ndarray:
    values = item[()]
    if values.dtype.kind != "f":
        return values
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        bad = values[~np.isfinite(rounded)][0]
        raise UserError(
            f"{path}: received the weight {bad:g} in {item.name}; float16 takes at "
            f"most {np.finfo(np.float16).max:g}. Save this network by model.save."
        )
    return rounded
