"""Reads a folder of pairs with true masks: `NAME/{bg,fg_bg,mask}`, or `SCENE/NAME/…`."""

from __future__ import annotations

import csv
import io
import logging
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.datasets.inspection.mask_fit import misfit
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.options import PAIRS_RESOLUTION
from keras_depthseg.evaluation.single_channel import CROP, read_true_mask
from keras_depthseg.pictures.checks import opaque_colour, open_any_picture
from keras_depthseg.pictures.folders import PictureFile, list_pictures
from keras_depthseg.pictures.inversion import OPAQUE
from keras_depthseg.pictures.orientation import Oriented, upright, upright_with
from keras_depthseg.text import printable, reason

_LOGGER = logging.getLogger(__name__)

_ROLES = ("bg", "fg_bg", "mask")

# In bytes: the rows of a hundred thousand pairs.
_LARGEST_INDEX = 2**24

# From these on a plate is of another scene, or very badly aligned: of 255, and of the
# pixels that are background.
_DIFFERENT = 64
_NEARLY_EVERYWHERE = 0.5

# Above what composites may have: photographs differ in exposure.
_OUTSIDE_TO_INSIDE = 2.0

_UNKNOWN = 64
"""An opacity that `misfit` takes neither for foreground nor for background."""


@dataclass(frozen=True)
class PairFiles:
    """The files of a pair.

    Attributes:
        name: its folder, below the folder of pairs, with `/`.
        scene: pairs of one scene are averaged first.
    """

    name: str
    scene: str
    bg: PictureFile
    fg_bg: PictureFile
    mask: PictureFile


class Pair(NamedTuple):
    """A pair that was read.

    Attributes:
        name, scene: as in `PairFiles`.
        bg, fg_bg: (H, W, 3) uint8, RGB.
        mask: (H, W) float32 in [0, 1]; 0 where unknown.
        known: (H, W) bool, where `mask` is known.
    """

    name: str
    scene: str
    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    known: np.ndarray


def list_pairs(root: Path) -> list[PairFiles]:
    """Return the pairs of a folder or a zip, ordered by name.

    A pair is a folder with `bg`, `fg_bg` and `mask`, pictures of any accepted format;
    other files are left alone. Its scene is in the columns `name` and `scene` of
    `index.csv`, if there is one; else the folder above it; else each pair is a scene of
    its own.

    Raises:
        UserError: no folder, no pair, a file missing or there twice, or a damaged
            `index.csv`.
    """
    folders: dict[str, dict[str, list[PictureFile]]] = {}
    for file in list_pictures(root, _LOGGER.warning):
        role = PurePosixPath(file.name).stem.lower()
        if role in _ROLES:
            folders.setdefault(file.folder, {}).setdefault(role, []).append(file)
    if not folders:
        raise UserError(
            f"{root}: received no picture called bg, fg_bg or mask; expected folders "
            "NAME/ of these three. Give the folder above them."
        )
    scenes = _read_index(root)
    pairs = []
    for folder, found in sorted(folders.items()):
        where = printable(f"{root}/{folder}")
        for role in _ROLES:
            files = found.get(role, [])
            if len(files) != 1:
                names = " and ".join(PurePosixPath(f.name).name for f in files)
                raise UserError(
                    f"{where}: received {names or f'no {role}'}; expected one "
                    f"{role}.png, .jpg or the like, beside the others of the three. "
                    f"{'Remove one' if files else 'Add it, or remove the folder'}."
                )
        name = folder or root.resolve().stem
        scene = str(PurePosixPath(folder).parent)
        if scenes is not None:
            scene = _scene_of(name, scenes, root)
        files = {role: found[role][0] for role in _ROLES}
        pairs.append(PairFiles(name, name if scene == "." else scene, **files))
    return pairs


def _read_index(root: Path) -> dict[str, str] | None:
    """Return the scenes by name of pair; `None` without `index.csv`."""
    # `list_pictures` has read the zip before.
    path = (zipfile.Path(root) if root.is_file() else root) / "index.csv"
    if not path.is_file():
        return None
    expected = "expected a CSV file in UTF-8 with the columns name and scene"
    try:
        data = PictureFile(path.name, root, root.is_file()).read(_LARGEST_INDEX)
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
        rows = list(csv.DictReader(text, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: it cannot be read ({reason(error)}); {expected}. Write it again."
        ) from error
    scenes = {}
    for row in rows:
        name, scene = (row.get(column) or "" for column in ("name", "scene"))
        if not (name and scene):
            raise UserError(
                f"{path}: received a row without a {'scene' if name else 'name'}; "
                f"{expected}. Add it, or remove the file: folders are scenes then."
            )
        if scenes.setdefault(name, scene) != scene:
            raise UserError(
                f"{path}: received two scenes for {name}; expected one. Remove a row."
            )
    return scenes


def _scene_of(name: str, scenes: dict[str, str], root: Path) -> str:
    scene = scenes.get(name) or scenes.get(PurePosixPath(name).name)
    if scene is None:
        raise UserError(
            f"{root}/index.csv: received no row for the pair {name}; expected "
            "its name and scene. Add it, or remove the file: folders are scenes then."
        )
    return scene


def read_pairs(
    pairs: Iterable[PairFiles], resolution: int = PAIRS_RESOLUTION
) -> Iterator[Pair]:
    """Read one pair after the other, so that only one is in memory; see `read_pair`."""
    for files in pairs:
        yield read_pair(files, resolution)


def read_pair(files: PairFiles, resolution: int = PAIRS_RESOLUTION) -> Pair:
    """Read a pair, turned upright and reduced.

    A warning is logged if plate and picture differ on most of the background, or if the
    mask does not fit what differs, as one that is inverted or of another pair.

    Args:
        files: from `list_pairs`.
        resolution: a longer long side is reduced to it, by averaging areas. The mask is
            averaged over its known pixels, and unknown where any pixel was.

    Raises:
        UserError: a file cannot be read, is of the wrong kind, or the sizes differ.
    """
    image, plate = _open(files.fg_bg), _open(files.bg)
    picture = Oriented.of(image, files.fg_bg.where)
    fg_bg = opaque_colour(upright(image), files.fg_bg.where)
    bg = opaque_colour(upright_with(plate, files.bg.where, picture, CROP), files.bg.where)
    mask, known = read_true_mask(files.mask, picture)
    longest = max(bg.shape[:2])
    if longest > resolution:
        height, width = (
            max(1, round(side * resolution / longest)) for side in bg.shape[:2]
        )
        bg, fg_bg, mask, share = (
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            for image in (bg, fg_bg, mask, known.astype(np.float32))
        )
        # Sums of areas are rounded.
        known = share > 1 - 1e-4
        mask = np.where(known, mask, 0)
    _check_fit(files, bg, fg_bg, mask, known)
    return Pair(files.name, files.scene, bg, fg_bg, mask, known)


def _open(file: PictureFile) -> Image.Image:
    return open_any_picture(file.read(), file.where)


def _check_fit(
    files: PairFiles,
    bg: np.ndarray,
    fg_bg: np.ndarray,
    mask: np.ndarray,
    known: np.ndarray,
) -> None:
    background = known & (mask < 0.5)
    different = cv2.absdiff(bg, fg_bg).max(axis=-1)[background] > _DIFFERENT
    if different.size and different.mean() > _NEARLY_EVERYWHERE:
        _LOGGER.warning(
            "%s: differs from %s by more than %d of 255 on %.0f %% of the background: is "
            "it the plate of another scene, or is the mask inverted?",
            files.bg.where,
            PurePosixPath(files.fg_bg.name).name,
            _DIFFERENT,
            100 * different.mean(),
        )
        return
    opacity = np.where(known, np.rint(255 * mask), _UNKNOWN).astype(np.uint8)
    # Without foreground there is no inside to compare with.
    ratio = _OUTSIDE_TO_INSIDE if (opacity > OPAQUE).any() else None
    if doubt := misfit(bg, fg_bg, opacity, ratio):
        _LOGGER.warning("%s: %s", files.mask.where, doubt)
