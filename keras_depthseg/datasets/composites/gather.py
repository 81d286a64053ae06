"""From folders and options to checked backgrounds and cutouts."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from keras_depthseg.datasets import rooms
from keras_depthseg.datasets.composites import reading
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.rooms import scene as rooms_scene
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import near_duplicates
from keras_depthseg.pictures.folders import (
    Companions,
    PictureFile,
    is_companion,
    list_pictures,
)
from keras_depthseg.text import printable

MASK_SUFFIXES = ("_mask", "_alpha", "_matte")
DEPTH_SUFFIXES = ("_depth", "_depth_map")

# What a picture is hashed at; its hash works on 64 pixels.
_HASHED_SIZE = 128

Refuse = Callable[[str], None]
_Source = TypeVar("_Source", "FolderBackground", "FolderCutout")
_Result = TypeVar("_Result", bound=tuple)


@dataclasses.dataclass(frozen=True)
class FolderBackground:
    """A picture as a background.

    Attributes:
        name: its file.
        digest: SHA-256 of its file and of its depth map.
        group: what has one group stays in one split: the pictures of a sub-folder,
            near-duplicates.
        file, depth: picture and depth map.
        maps: what the numbers of the depth map mean.
    """

    name: str
    digest: str
    group: str
    file: PictureFile
    depth: PictureFile | None = None
    maps: DepthFolder | None = None

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The middle square: (size, size, 3) uint8 RGB, and (size, size) float32 depth
        in [0, 1], larger = farther, 0 where unknown; `None` without depth.

        Raises:
            UserError: the picture or its depth map cannot be used.
        """
        bg = reading.read_background(self.file, size)
        if self.depth is None:
            return bg, None
        shape = reading.background_shape(self.file)
        return bg, self.maps.normalise(reading.read_depth(self.depth, shape, size))


@dataclasses.dataclass(frozen=True)
class RenderedRoom:
    """A room rendered by this package as a background, with true depth.

    Attributes:
        seed, index: of the room.
    """

    seed: int
    index: int

    @property
    def name(self) -> str:
        return f"room {self.index}"

    @property
    def digest(self) -> str:
        return f"rooms {rooms.Builder.VERSION} {self.seed} {self.index}"

    @property
    def group(self) -> str:
        return self.name

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """As of `Background`; depth is in parts of `rooms.SCALE` metres."""
        room = rooms_scene.make_room(self.seed, self.index, size)
        return room.bg, (room.depth / rooms.SCALE).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class FolderCutout:
    """A picture as a cutout; fields as of `Background`.

    Attributes:
        mask: a picture of its opacity; `None` takes the file's alpha channel.
    """

    name: str
    digest: str
    group: str
    file: PictureFile
    mask: PictureFile | None = None

    def read(self, height: int, largest: int) -> Layer:
        """See `pictures.read_cutout`."""
        return reading.read_cutout(self.file, self.mask, height, largest)


def gather_backgrounds(
    root: Path, depth: DepthFolder | None, refuse: Refuse, size: int = _HASHED_SIZE
) -> tuple[FolderBackground, ...]:
    """The usable backgrounds of a folder or zip, in order of their names.

    Args:
        root: the folder or zip.
        depth: maps of them, by their names, or with `_depth` appended; may be in `root`
            itself. A background without one is left out.
        refuse: told, in a line each, what is left out and why.
        size: at which the maps will be used, in pixels.

    Raises:
        UserError: there is none, or metric maps are of 8 and of 16 bit.
    """
    maps_root = depth and depth.path
    files, maps = _with_companions(root, maps_root, DEPTH_SUFFIXES, refuse)

    def check(file: PictureFile) -> tuple[FolderBackground, np.ndarray, int]:
        picture = reading.read_background(file, _HASHED_SIZE)
        digest, beside, bits = file.digest(), None, 0
        if maps is not None:
            beside = maps[file]
            shape = reading.background_shape(file)
            levels = reading.read_depth(beside, shape, size)
            depth.check(levels, beside.where)
            bits = levels.dtype.itemsize * 8
            digest += beside.digest()
        found = FolderBackground(file.name, digest, file.folder, file, beside, depth)
        return found, near_duplicates.picture_hash(picture), bits

    usable = _checked(files, check, refuse, root)
    bits = collections.Counter(result[2] for result in usable)
    # Full scale is 1 in relative maps, whatever they have.
    if len(bits) > 1 and depth.step is not None:
        raise UserError(
            f"{depth.path}: received depth maps of 8 bit ({bits[8]}) and of 16 bit "
            f"({bits[16]}); expected one kind, as one step cannot hold for both. Convert "
            "some."
        )
    return _grouped([result[:2] for result in usable])


def gather_cutouts(
    root: Path,
    masks: Path | None,
    refuse: Refuse,
    height: int = _HASHED_SIZE,
    largest: int = _HASHED_SIZE,
) -> tuple[FolderCutout, ...]:
    """The usable cutouts of a folder or zip, in order of their names.

    Args:
        root: pictures with an alpha channel, or any pictures if there are masks.
        masks: a folder or zip of masks, by the names of the pictures, or with `_mask`
            appended; may be `root` itself.
        refuse: told, in a line each, what is left out and why.
        height, largest: at which they will be used, see `pictures.read_cutout`.

    Raises:
        UserError: there is none.
    """
    files, beside = _with_companions(root, masks, MASK_SUFFIXES, refuse)

    def check(file: PictureFile) -> tuple[FolderCutout, np.ndarray]:
        mask = beside[file] if beside is not None else None
        whole = reading.read_whole_cutout(file, mask)
        reading.fit_cutout(whole, height, largest, (mask or file).where)
        layer = whole.fitted(_HASHED_SIZE, _HASHED_SIZE)
        # On grey, as a hash takes no transparency.
        grey = (255 - layer.alpha[..., None]) // 2
        picture = cv2.add(layer.colour, cv2.merge([grey] * 3))
        digest = file.digest() + (mask.digest() if mask else "")
        found = FolderCutout(file.name, digest, file.folder, file, mask)
        return found, near_duplicates.picture_hash(picture)

    return _grouped(_checked(files, check, refuse, root))


def _with_companions(
    root: Path, beside: Path | None, suffixes: Sequence[str], refuse: Refuse
) -> tuple[list[PictureFile], Companions | None]:
    """The pictures of `root`, and their masks or depth maps in `beside`."""
    files = list_pictures(root, refuse)
    if beside is None:
        return files, None
    if beside.resolve() == root.resolve():
        others = [file for file in files if is_companion(file, *suffixes)]
        files = [file for file in files if not is_companion(file, *suffixes)]
    else:
        others = list_pictures(beside, refuse)
    return files, Companions(beside, others, *suffixes)


def _checked(
    files: Sequence[PictureFile],
    check: Callable[[PictureFile], _Result],
    refuse: Refuse,
    root: Path,
) -> list[_Result]:
    """What `check` gives for the files it accepts; each name once."""

    def attempt(file: PictureFile) -> _Result | str:
        try:
            return check(file)
        except UserError as error:
            return str(error)

    usable, name_of = [], {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, result in zip(files, pool.map(attempt, files), strict=True):
            if isinstance(result, str):
                refuse(result)
            # A mask would belong to both.
            elif name_of.setdefault(_stem(file), file.name) != file.name:
                refuse(
                    f"{file.where}: received a second picture named like "
                    f"{printable(name_of[_stem(file)])}, which is used; expected one of "
                    "a name. Rename or remove it."
                )
            else:
                usable.append(result)
    if not usable:
        raise UserError(
            f"{root}: none of its {len(files)} pictures can be used; expected one at "
            "least. Correct what the lines above say, or give another folder."
        )
    return usable


def _grouped(usable: Sequence[tuple[_Source, np.ndarray]]) -> tuple[_Source, ...]:
    """Joins folders' groups that share near-duplicates."""
    names = near_duplicates.groups({found.name: hashed for found, hashed in usable})
    # Pictures at the top are groups of their own, also where all lie one folder deeper,
    # as in most zips.
    top = posixpath.commonpath([found.group for found, _ in usable])
    links = [
        (names[found.name], found.name if found.group == top else f"{found.group}/")
        for found, _ in usable
    ]
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            name = parents[name]
        return name

    for one, other in links:
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    return tuple(
        dataclasses.replace(found, group=root(one))
        for (found, _), (one, _) in zip(usable, links, strict=True)
    )


def _stem(file: PictureFile) -> str:
    return file.name.rpartition(".")[0].lower()
