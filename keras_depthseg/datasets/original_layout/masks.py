"""The values of masks: which one is opaque, and which are no opacity at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import cv2
import numpy as np

from keras_depthseg.datasets.original_layout.pictures import decode_map
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import encode
from keras_depthseg.pictures.orientation import Oriented

_OPAQUE = {8: 255, 16: 65535}

_REMEDY = (
    "Save it in greyscale of 8 bit, 255 where the foreground is, in place of the colours "
    "of labels or of fractions"
)

# A mask of 0 and 1 as JPEG has blocks in place of its edge, and values of 0 to 2.
_JPEG_NOISE = 8

# Of some 700 masks of composites the most opaque value is 254 or 255.
_NEARLY_OPAQUE = 0.9

# Label numbers and trimaps have few levels, in areas; soft masks have many, at edges. Of
# those 700 none has a level in an area of 3x3 pixels, and fewer than 25 levels.
_FEW_LEVELS = 24
_SHARE_IN_AREAS = 0.5
_SMALLEST_AREA = 16
_SHOWN_LEVELS = 5

logger = logging.getLogger(__name__)


class Peak(NamedTuple):
    """The largest value of a mask.

    Attributes:
        value: the level.
        bits: 8 or 16 a channel.
        where: the file, for messages.
        is_jpeg: whether there is noise where the mask is black.
    """

    value: int
    bits: int
    where: str
    is_jpeg: bool


class Mask(NamedTuple):
    """A mask as it is in its file.

    Attributes:
        levels: (H, W) uint8 or uint16.
        peak: the largest of them.
        data: the encoded bytes.
        single: whether the file has one channel of 8 bit, as records do.
    """

    levels: np.ndarray
    peak: Peak
    data: bytes
    single: bool


def decode_mask(data: bytes, where: str, picture: Oriented) -> Mask:
    """Decode a mask of 1, 8 or 16 bit, or one with three equal channels.

    Args:
        data: the file.
        where: it, for messages.
        picture: the `fg_bg` to which it belongs.

    Raises:
        UserError: not a whole picture, not of one channel, or of another size.
    """
    levels, single = decode_map(data, where, picture, _REMEDY)
    bits = 8 * levels.dtype.itemsize
    peak = Peak(int(levels.max()), bits, where, data.startswith(b"\xff\xd8"))
    return Mask(levels, peak, data, single and bits == 8)


def opaque_values(peaks: Iterable[Peak]) -> dict[int, int]:
    """Return the value that means opaque, by bits a channel, as some masks show it.

    It is 255 of 8 bit and 65,535 of 16 bit, but 1 where most masks are of 0 and 1, and
    255 where 16 bit hold 8. What is not 255 is logged, as is a largest value between.

    Args:
        peaks: of some masks of a source.

    Raises:
        UserError: the largest value cannot mean opaque.
    """
    by_bits: dict[int, list[Peak]] = {}
    for peak in sorted(peaks, key=lambda peak: peak.value):
        by_bits.setdefault(peak.bits, []).append(peak)
    opaque = dict(_OPAQUE)
    for bits, found in by_bits.items():
        # Without pairs that have no foreground.
        found = [peak for peak in found if peak.value] or found
        most_are_ones = found[len(found) // 2].value == 1
        largest = max(found, key=lambda peak: peak.value)
        opaque[bits] = _opaque_value(found[0] if most_are_ones else largest)
    return opaque


def _opaque_value(peak: Peak) -> int:
    """Return the value that means opaque, from the largest one."""
    value, bits, where, is_jpeg = peak
    if not value:
        logger.warning(
            "%s: it and all other masks looked at are black; is there no foreground in "
            "them?",
            where,
        )
        return _OPAQUE[bits]
    if is_jpeg and value <= _JPEG_NOISE:
        raise UserError(
            f"{where}: received a mask with values up to {value} of 255 as JPEG, which "
            "does not keep such small ones; expected 255 where the foreground is opaque. "
            "Write the masks again, as PNG."
        )
    # 16 bit may hold the numbers of 8.
    accepted = [1, 255] if bits == 8 else [1, 255, 65535]
    for opaque in accepted:
        if opaque / 2 < value <= opaque:
            if opaque != 255 or bits != 8:
                logger.warning(
                    "%s: masks of 0 to %s (%d bit) are taken as 0 to 255",
                    *(where, f"{opaque:,}", bits),
                )
            if value < _NEARLY_OPAQUE * opaque:
                logger.warning(
                    "%s: the largest value of all masks looked at is %d of %d, so that "
                    "no foreground is opaque; if that is not meant, scale the masks.",
                    *(where, value, opaque),
                )
            return opaque
    raise UserError(
        f"{where}: received masks with values up to {value:,}; expected 255, or 1, where "
        "the foreground is opaque. Write 255 there and 0 elsewhere in place of label "
        "numbers, and multiply other scales (of 100 by 2.55)."
    )


def opacity(mask: Mask, opaque: Mapping[int, int]) -> tuple[np.ndarray, bytes]:
    """Return the opacity that a mask means, and the bytes to store.

    Args:
        mask: from `decode_mask`.
        opaque: from `opaque_values`.

    Returns:
        (H, W) uint8, and the file as it is, or a PNG with one channel of 8 bit.

    Raises:
        UserError: it has other values than opacity.
    """
    peak = mask.peak
    full = opaque[peak.bits]
    if peak.value > full:
        raise UserError(
            f"{peak.where}: received values up to {peak.value:,}, but other masks are of "
            f"0 to {full}; expected one scale. Write them all with 255 where the "
            "foreground is opaque."
        )
    _check_levels(mask, full)
    if full == 255:
        levels = mask.levels.astype(np.uint8, copy=False)
        if mask.single:
            return levels, mask.data
    else:
        levels = np.round(mask.levels * (255 / full)).astype(np.uint8)
    return levels, encode.encode_mask(levels)


def _check_levels(mask: Mask, full: int) -> None:
    """Refuse few levels between transparent and opaque that fill areas."""
    between = (mask.levels > (_JPEG_NOISE if mask.peak.is_jpeg else 0)) & (
        mask.levels < _NEARLY_OPAQUE * full
    )
    if not between.any():
        return
    levels = np.unique(mask.levels)
    if len(levels) > _FEW_LEVELS:
        return
    square = np.ones((3, 3), np.uint8)
    same = cv2.erode(mask.levels, square) == cv2.dilate(mask.levels, square)
    in_areas = np.count_nonzero(between & same)
    share = in_areas / np.count_nonzero(between)
    if in_areas >= _SMALLEST_AREA and share > _SHARE_IN_AREAS:
        shown = ", ".join(map(str, levels[:_SHOWN_LEVELS]))
        more = ", …" if len(levels) > _SHOWN_LEVELS else ""
        raise UserError(
            f"{mask.peak.where}: received areas of the values {shown}{more}, as of label "
            f"numbers or a trimap; expected opacity, 0 to {full}. Write {full} where the "
            "foreground is, and 0 elsewhere."
        )
