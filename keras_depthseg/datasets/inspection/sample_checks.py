"""Checks of one sample by itself."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from keras_depthseg.datasets.inspection.mask_fit import misfit
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.datasets.stored_sample import StoredSample
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks
from keras_depthseg.pictures.inversion import OPAQUE, seems_inverted
from keras_depthseg.pictures.near_duplicates import picture_hash

_EMPTY = "mask is empty, and box is not 0, 0, 0, 0 as of a pair without foreground"

# In pixels; smaller cutouts cannot be recognised.
_SMALLEST_CUTOUT = 16


@dataclasses.dataclass
class Checked:
    """The findings about one sample.

    Attributes:
        errors, warnings: one line each.
        statistics: of `bg` and `fg_bg`; empty if either cannot be used.
        bg_digest: of the encoded background.
        inverted: whether the mask seems to be that of an inverted cutout.
        bg_hash, fg_hash: `picture_hash` of the background and of the cutout, where
            asked for and possible.
    """

    errors: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    statistics: dict[str, ImageStatistics] = dataclasses.field(default_factory=dict)
    bg_digest: bytes = b""
    inverted: bool = False
    bg_hash: np.ndarray | None = None
    fg_hash: np.ndarray | None = None


def decode(
    sample: StoredSample, field: str, where: str, depth_dtype: type | None
) -> np.ndarray:
    """Return one picture of a sample, complete and of the right kind.

    Args:
        sample: holds the encoded bytes.
        field: `"bg"`, `"fg_bg"`, `"mask"` or `"depth"`.
        where: the record, for messages.
        depth_dtype: expected of `depth`.

    Returns:
        (H, W, 3) uint8 for `bg` and `fg_bg`, else (H, W) uint8 or `depth_dtype`.

    Raises:
        UserError: the picture cannot be decoded to its end, or is of another kind.
    """
    data = getattr(sample, field)
    place = f"{where} {field}"
    if field in ("bg", "fg_bg"):
        return checks.decode_colour(data, place)
    dtype = depth_dtype if field == "depth" and depth_dtype else np.uint8
    pixels, stored = checks.decode_single(data, place, dtype)
    if stored is not data:
        raise UserError(
            f"{place}: received RGB (3 channels); expected one channel. Build the data "
            "set again."
        )
    return pixels


def decode_all(
    sample: StoredSample, where: str, depth_dtype: type | None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the pictures that can be decoded, and a line for each that is damaged.

    Pictures of different sizes are damage, too. Arguments as for `decode`.
    """
    pictures, damage = {}, []
    for field in IMAGE_FIELDS:
        if getattr(sample, field) is not None:
            try:
                pictures[field] = decode(sample, field, where, depth_dtype)
            except UserError as error:
                damage.append(str(error))
    sizes = {field: picture.shape[:2] for field, picture in pictures.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{field} {w}x{h}" for field, (h, w) in sizes.items())
        damage.append(f"{where}: its pictures differ in size: {shown}")
    return pictures, damage


def check_sample(
    sample: StoredSample,
    where: str,
    depth_dtype: type | None,
    hash_bg: bool = False,
    hash_fg: bool = False,
) -> Checked:
    """Decode and compare everything in a sample; damage is returned, not raised.

    Args:
        sample: a parsed record.
        where: the record, for messages.
        depth_dtype: what `depth` must be.
        hash_bg, hash_fg: whether to hash the background and the cutout.
    """
    checked = Checked(bg_digest=hashlib.sha256(sample.bg).digest())
    pictures, damage = decode_all(sample, where, depth_dtype)
    checked.errors += damage
    if len({picture.shape[:2] for picture in pictures.values()}) > 1:
        return checked
    mask = pictures.get("mask")
    box_errors = _box_errors(sample, mask)
    checked.errors += [f"{where}: {line}" for line in box_errors]
    if mask is not None:
        checked.inverted = seems_inverted(_opaque(mask, mask))
    if "depth" in pictures and not pictures["depth"].any():
        checked.errors.append(f"{where}: depth is 0 everywhere")
    if {"bg", "fg_bg"} <= pictures.keys():
        for field in ("bg", "fg_bg"):
            checked.statistics[field] = ImageStatistics.of(pictures[field])
        # A mask that is not in its box is wrong already.
        if mask is not None and not box_errors:
            line = misfit(pictures["bg"], pictures["fg_bg"], mask)
            checked.warnings += [f"{where}: {line}"] if line else []
    if hash_bg and "bg" in pictures:
        checked.bg_hash = picture_hash(pictures["bg"])
    if hash_fg and mask is not None and "fg_bg" in pictures:
        picture = cutout(pictures["fg_bg"], mask)
        if min(picture.shape[:2]) >= _SMALLEST_CUTOUT:
            checked.fg_hash = picture_hash(picture)
    return checked


def cutout(fg_bg: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the foreground of a composite on grey, cropped to its opaque pixels.

    Args:
        fg_bg: (H, W, 3) uint8.
        mask: (H, W) uint8.

    Returns:
        (h, w, 3) uint8; (0, 0, 3) if nothing is opaque.
    """
    opaque = _opaque(mask, mask)[..., None] > OPAQUE
    return np.where(opaque, _opaque(fg_bg, mask), np.uint8(128))


def _opaque(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Crop a picture to the opaque pixels of its mask; to nothing if there are none."""
    top, left, bottom, right = _extent(mask > OPAQUE) or (0, 0, 0, 0)
    return picture[top:bottom, left:right]


def _box_errors(sample: StoredSample, mask: np.ndarray | None) -> list[str]:
    if mask is not None:
        # A PNG has no noise: faint pixels, such as those of glass, are meant.
        faintest = 0 if sample.mask.startswith(b"\x89PNG") else OPAQUE
        if not (mask > faintest).any():
            # A pair without foreground says so by its box.
            return [] if sample.box is not None and not any(sample.box) else [_EMPTY]
    if sample.box is None:
        return []
    top, left, bottom, right = sample.box
    shown = f"box {top:.4g}, {left:.4g}, {bottom:.4g}, {right:.4g}"
    # Written so that NaN is refused too; float32 rounds.
    if not all(-1e-6 <= side <= 1 + 1e-6 for side in sample.box):
        return [f"{shown}: not within 0 to 1"]
    if not (top < bottom and left < right):
        return [f"{shown}: not ymin < ymax and xmin < xmax"]
    extent = None if mask is None else _extent(mask > OPAQUE)
    if mask is None or extent is None:
        return []
    height, width = mask.shape
    beyond = max(
        top * height - extent[0],
        left * width - extent[1],
        extent[2] - bottom * height,
        extent[3] - right * width,
    )
    return [f"{shown}: mask is {beyond:.1f} px outside"] if beyond > 1.01 else []


def _extent(opaque: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return first row and column, and those after the last; `None` without any."""
    rows = np.flatnonzero(opaque.any(axis=1))
    columns = np.flatnonzero(opaque.any(axis=0))
    if not len(rows):
        return None
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
