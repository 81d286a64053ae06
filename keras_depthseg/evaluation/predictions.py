"""Reads masks and depth maps that another program wrote."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.single_channel import MOST_CLASSES, read_map, resize_map
from keras_depthseg.pictures.folders import PictureFile
from keras_depthseg.pictures.formats import OTHER_PICTURES, SUFFIXES
from keras_depthseg.text import reason

_LOGGER = logging.getLogger(__name__)

_SUFFIXES = (".png", ".npy", *(suffix for suffix in SUFFIXES if suffix != ".png"))
_WRITE = (
    "Write it as greyscale PNG of 16 bit, 65535 for 1, or as .npy of floats in [0, 1]"
)
_PLACES = {"mask": ("{}", "mask/{}"), "depth": ("{}_depth", "depth/{}")}
_NAMED = 3
"""Missing maps that an error names."""


class Predictions:
    """The maps in a folder, by the name of a sample or pair.

    A mask is `NAME.png` or `mask/NAME.png`, a depth map `NAME_depth.png` or
    `depth/NAME.png`, of 8 or 16 bit, 0..1 at full scale, larger = farther; or `.npy`,
    float in [0, 1], (H, W) or (H, W, 1). Other formats of pictures pass too.

    Attributes:
        has_mask, has_depth: which of the two the folder holds, for all names.
    """

    def __init__(self, root: Path, names: Iterable[str]):
        """Find the maps of all names.

        Raises:
            UserError: there is no such folder, none of the maps, or some are missing.
        """
        if not root.is_dir():
            raise UserError(
                f"{root}: no such folder; expected one of masks NAME.png. Give its path."
            )
        self._root = root
        self._names: dict[Path, frozenset[str]] = {}
        missing = {kind: [] for kind in _PLACES}
        total = 0
        for name in names:
            total += 1
            for kind, without in missing.items():
                if self._find(kind, name) is None:
                    without.append(name)
        self.has_mask, self.has_depth = (
            len(without) < total for without in missing.values()
        )
        # A program need not give both, but of neither some.
        for kind, without in missing.items():
            none = not (self.has_mask or self.has_depth)
            if without and (none or len(without) < total):
                names = ", ".join(without[:_NAMED])
                more = ", …" if len(without) > _NAMED else ""
                flat, deep = (place.format(without[0]) for place in _PLACES[kind])
                other = self._find(kind, without[0], OTHER_PICTURES)
                remedy = f"{other.name} is there: {_WRITE}" if other else ""
                raise UserError(
                    f"{root}: received no {kind} for {len(without):,} of {total:,} "
                    f"names: {names}{more}; expected {flat}.png or {deep}.png. "
                    f"{remedy or 'Add them'}."
                )

    def mask(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return a mask, (H, W) float32 in [0, 1], resized to `shape`.

        Raises:
            UserError: it cannot be read, has not one channel, or leaves [0, 1].
        """
        return self._read("mask", name, shape)

    def depth(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return a depth map, as `mask` does."""
        return self._read("depth", name, shape)

    def _find(
        self, kind: str, name: str, suffixes: Iterable[str] = _SUFFIXES
    ) -> PictureFile | None:
        for place in _PLACES[kind]:
            path = self._root / place.format(name)
            for suffix in suffixes:
                if path.name + suffix in self._inside(path.parent):
                    return PictureFile(place.format(name) + suffix, self._root)
        return None

    def _inside(self, folder: Path) -> frozenset[str]:
        """Return the names of the files in a folder, which is read once."""
        if folder not in self._names:
            try:
                with os.scandir(folder) as entries:
                    found = frozenset(e.name for e in entries if e.is_file())
            except (FileNotFoundError, NotADirectoryError):
                found = frozenset()
            self._names[folder] = found
        return self._names[folder]

    def _read(self, kind: str, name: str, shape: tuple[int, int]) -> np.ndarray:
        file = self._find(kind, name)
        if file is None:
            raise UserError(
                f"{self._root}: received no {kind} for {name}, which was "
                "there at the start; expected it until the end. Write it again."
            )
        if file.name.endswith(".npy"):
            return self._resized(file, _read_array(file), shape)
        levels = read_map(file, remedy=_WRITE)
        full = np.iinfo(levels.dtype).max
        highest = int(levels.max())
        if (
            kind == "mask"
            and 0 < highest <= MOST_CLASSES
            # Soft masks of pictures without foreground usually have more levels than two.
            and np.isin(levels, (0, highest)).all()
            and not levels.all()
        ):
            _LOGGER.warning(
                "%s: its levels are 0 and %d, which is nearly nothing of %d. If %d "
                "means foreground, write %d instead.",
                *(file.where, highest, full, highest, full),
            )
        return self._resized(file, levels.astype(np.float32) / np.float32(full), shape)

    def _resized(
        self, file: PictureFile, image: np.ndarray, shape: tuple[int, int]
    ) -> np.ndarray:
        height, width = image.shape
        same = abs(height * shape[1] - width * shape[0])
        turned = abs(height * shape[0] - width * shape[1])
        # Reduced sizes are rounded to pixels.
        if turned <= max(image.shape) + max(shape) < same:
            raise UserError(
                f"{file.where}: received {width}x{height} pixels for a photograph of "
                f"{shape[1]}x{shape[0]}, as if turned by a quarter; expected it upright. "
                "Turn it as the orientation tag of the photograph says, or stretch it to "
                "the photograph's size."
            )
        return resize_map(image, shape)


def _read_array(file: PictureFile) -> np.ndarray:
    expected = "expected a .npy of one (H, W) map, float in [0, 1]. Write it again."
    data = file.read()
    try:
        shape, dtype, start = _described(data)
        # Before it is read: a file of a hundred bytes may claim to have terabytes.
        missing = start + math.prod(shape) * dtype.itemsize - len(data)
        if missing > 0 and not dtype.hasobject:
            raise ValueError(f"{missing:,} bytes are missing")
        array = np.load(io.BytesIO(data), allow_pickle=False)
    # Damage leads NumPy's reader to errors of all kinds.
    except Exception as error:
        raise UserError(
            f"{file.where}: received a damaged array ({reason(error)}); {expected}"
        ) from error
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fb":
        raise UserError(
            f"{file.where}: received an array {array.shape} of {array.dtype}; {expected}"
        )
    low, high = array.min(), array.max()
    # NaN fails too. Rounding may leave the range a little.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise UserError(
            f"{file.where}: received values from {low:.4g} to {high:.4g}; {expected}"
        )
    return np.clip(array.astype(np.float32), 0, 1)


def _described(data: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Return shape and type that a `.npy` claims, and where its numbers begin."""
    content = io.BytesIO(data)
    version = np.lib.format.read_magic(content)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = read(content)
    return shape, dtype, content.tell()
