"""Gathering the usable backgrounds and cutouts of a folder or zip."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import logging
import os
import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from keras_depthseg.datasets.composites import reading
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.depth_levels import DepthLevels, check_levels
from keras_depthseg.datasets.composites.sources import FolderBackground, FolderCutout
from keras_depthseg.datasets.composites.strays import find_strays
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import near_duplicates
from keras_depthseg.pictures.folders import (
    Companions,
    PictureFile,
    is_companion,
    list_pictures,
)
from keras_depthseg.pictures.formats import CONVERT
from keras_depthseg.pictures.inversion import seems_inverted
from keras_depthseg.text import listed, printable

MASK_SUFFIXES = ("_mask", "_alpha", "_matte")
DEPTH_SUFFIXES = ("_depth", "_depth_map")

# Pictures are hashed at this size; the hash itself takes 64 pixels.
_HASHED_SIZE = 128

logger = logging.getLogger(__name__)

Refuse = Callable[[str], None]
_Source = TypeVar("_Source", FolderBackground, FolderCutout)
_Result = TypeVar("_Result", bound=tuple)


def gather_backgrounds(
    root: Path, depth: DepthFolder | None, refuse: Refuse, size: int = _HASHED_SIZE
) -> tuple[FolderBackground, ...]:
    """Return the usable backgrounds of a folder or zip, in order of their names.

    Args:
        root: the folder or zip.
        depth: their depth maps, of the same names or with `_depth` appended; may lie in
            `root` itself. A background without one is left out.
        refuse: called with a line for each picture left out: its file and the reason.
        size: at which the maps will be used, in pixels.

    Raises:
        UserError: there is none, or the maps do not fit `depth`, see `check_levels`.
    """
    maps_root = depth and depth.path
    files, maps = _with_companions(root, maps_root, DEPTH_SUFFIXES, refuse)

    def check(
        file: PictureFile,
    ) -> tuple[FolderBackground, np.ndarray, DepthLevels | None]:
        picture = reading.read_background(file, _HASHED_SIZE)
        digest, beside, counts = file.digest(), None, None
        if depth is not None and maps is not None:
            beside = maps[file]
            levels = reading.read_depth(beside, file, size)
            depth.check(levels, beside.where)
            counts = DepthLevels.of(levels, depth, beside.name)
            digest += beside.digest()
        found = FolderBackground(file.name, digest, file.folder, file, beside, depth)
        return found, near_duplicates.picture_hash(picture), counts

    usable = _checked(_colour_first(files), check, refuse, root)
    if depth is not None:
        check_levels(depth, [counts for *_, counts in usable if counts is not None])
    return _grouped([result[:2] for result in usable])


def gather_cutouts(
    root: Path,
    masks: Path | None,
    refuse: Refuse,
    height: int = _HASHED_SIZE,
    largest: int = _HASHED_SIZE,
) -> tuple[FolderCutout, ...]:
    """Return the usable cutouts of a folder or zip, in order of their names.

    A warning is logged of those that seem inverted, and of those whose opacity is 0 and
    1; they are used.

    Args:
        root: pictures with an alpha channel, or any pictures if there are masks.
        masks: a folder or zip of masks, of the same names or with `_mask` appended; may
            be `root` itself.
        refuse: called with a line for each picture left out: its file and the reason.
        height, largest: at which they will be used, see `reading.read_cutout`.

    Raises:
        UserError: there is none.
    """
    files, beside = _with_companions(root, masks, MASK_SUFFIXES, refuse)

    def check(file: PictureFile) -> tuple[FolderCutout, np.ndarray, bool, bool]:
        mask = beside[file] if beside is not None else None
        whole, of_ones = reading.read_whole_cutout(file, mask)
        reading.fit_cutout(whole, height, largest, (mask or file).where)
        layer = whole.fitted(_HASHED_SIZE, _HASHED_SIZE)
        # On grey: the hash has no transparency.
        grey = (255 - layer.alpha[..., None]) // 2
        picture = cv2.add(layer.colour, cv2.merge([grey] * 3))
        digest = file.digest() + (mask.digest() if mask else "")
        found = FolderCutout(file.name, digest, file.folder, file, mask)
        inverted = seems_inverted(whole.alpha)
        return found, near_duplicates.picture_hash(picture), inverted, of_ones

    usable = _checked(files, check, refuse, root)
    if ones := [_alpha_name(found) for found, *_, of_ones in usable if of_ones]:
        logger.warning(
            "%s: received %d of %d whose opacity is 0 and 1: %s; it is taken as 0 and "
            "255. Write 255, or remove those that are nearly empty.",
            *(masks or root, len(ones), len(usable), listed(ones)),
        )
    if inverted := [_alpha_name(found) for found, _, is_so, _ in usable if is_so]:
        logger.warning(
            "%s: received %d of %d that are opaque around something transparent: %s; "
            "expected white, or alpha 255, where the object is. Invert them, unless they "
            "are frames.",
            *(masks or root, len(inverted), len(usable), listed(inverted)),
        )
    return _grouped([result[:2] for result in usable])


def _alpha_name(cutout: FolderCutout) -> str:
    return (cutout.mask or cutout.file).name


def _with_companions(
    root: Path, beside: Path | None, suffixes: Sequence[str], refuse: Refuse
) -> tuple[list[PictureFile], Companions | None]:
    """Return the pictures of `root`, and their masks or depth maps in `beside`."""
    if beside is None:
        return _pictures(list_pictures(root, refuse), refuse), None
    numbers = reading.WRITE_DEPTH if suffixes == DEPTH_SUFFIXES else CONVERT
    files = list_pictures(root, refuse, numbers)
    if beside.resolve() == root.resolve():
        others = [file for file in files if is_companion(file, *suffixes)]
        files = [file for file in files if not is_companion(file, *suffixes)]
    else:
        others = list_pictures(beside, refuse, numbers)
        # It may be a sub-folder of `root`.
        known = {file.root / file.name for file in others}
        files = [file for file in files if file.root / file.name not in known]
    return _pictures(files, refuse), Companions(beside, others, *suffixes)


def _pictures(files: Sequence[PictureFile], refuse: Refuse) -> list[PictureFile]:
    """Leave out what belongs to other pictures, and name it."""
    strays = find_strays(files)
    for file, (kind, other) in strays.items():
        option = " Give `depth` to use it." if kind == "depth map" else ""
        if kind == "mask":
            option = " Give `fg_mask` to use those of cutouts."
        refuse(
            f"{file.where}: received a {kind} of {printable(other)} among pictures; "
            f"expected it in a folder of its own. Move it there.{option}"
        )
    return [file for file in files if file not in strays]


def _colour_first(files: Sequence[PictureFile]) -> list[PictureFile]:
    """Change the order of pictures of one name: the first that can be used is.

    A grey one beside one in colour is its depth map or mask.
    """
    places = collections.defaultdict(list)
    for place, file in enumerate(files):
        places[_stem(file)].append(place)
    ordered = list(files)
    for same in places.values():
        if len(same) > 1:
            inside = sorted((files[place] for place in same), key=_is_grey)
            for place, file in zip(same, inside, strict=True):
                ordered[place] = file
    return ordered


def _is_grey(file: PictureFile) -> bool:
    try:
        return reading.is_grey(file)
    # It is refused later.
    except UserError:
        return False


def _checked(
    files: Sequence[PictureFile],
    check: Callable[[PictureFile], _Result],
    refuse: Refuse,
    root: Path,
) -> list[_Result]:
    """Return the results of `check` for the files it accepts; each name once."""

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
            # A mask of this name would belong to both.
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
            "least. Correct the files named above, or give another folder."
        )
    return usable


def _grouped(usable: Sequence[tuple[_Source, np.ndarray]]) -> tuple[_Source, ...]:
    """Join the groups of folders that share near-duplicates."""
    copies = near_duplicates.groups({found.name: hashed for found, hashed in usable})
    # Pictures at the top are groups of their own, also where all lie one folder deeper,
    # as in most zips.
    top = posixpath.commonpath([found.group for found, _ in usable])
    folders = {
        found.name: found.name if found.group == top else f"{found.group}/"
        for found, _ in usable
    }
    group = near_duplicates.smallest_linked(
        (copies[name], folder) for name, folder in folders.items()
    )
    return tuple(
        dataclasses.replace(found, group=group[copies[found.name]]) for found, _ in usable
    )


def _stem(file: PictureFile) -> str:
    return file.name.rpartition(".")[0].lower()
