"""Reads true masks and other programs' maps of one channel."""

from __future__ import annotations

import logging

import cv2
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.pictures.checks import (
    bits_per_channel,
    open_any_picture,
    single_channel,
)
from keras_depthseg.pictures.folders import PictureFile
from keras_depthseg.pictures.orientation import Oriented, upright, upright_with

_LOGGER = logging.getLogger(__name__)

CROP = "Take them with one camera, or crop them alike"
"""What to do about a plate, a photograph and a mask of different sizes."""

MOST_CLASSES = 15
"""The largest level that only a map of class numbers has: a mask that is nowhere near
opaque has no use."""


def read_map(
    file: PictureFile, picture: Oriented | None = None, remedy: str | None = None
) -> np.ndarray:
    """Read a map of 8 or 16 bit, turned upright.

    Args:
        file: the map.
        picture: to which it belongs, and whose size it must have, see `upright_with`.
        remedy: what to do about a map of another kind.

    Returns:
        (H, W) uint8 or uint16.

    Raises:
        UserError: not a whole picture of one channel, or of another size.
    """
    data = file.read()
    image = open_any_picture(data, file.where)
    bits = bits_per_channel(data, image)
    if picture is None:
        image = upright(image)
    else:
        image = upright_with(image, file.where, picture, CROP)
    dtype = np.uint8 if bits == 8 else np.uint16
    return single_channel(image, bits, file.where, dtype, remedy)


def read_true_mask(
    file: PictureFile, picture: Oriented | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read a mask and where it is known.

    | levels | meaning |
    |---|---|
    | at most 1 (also black and white) | 0 background, 1 foreground |
    | only 0, 128, 255 | 128 unknown |
    | other levels of 8 bit | opacity, 0..255 |
    | at most 255, in 16 bit | as in 8 bit |
    | only 0, 32768 or 32896, 65535 | the middle one unknown |
    | other levels of 16 bit | opacity, 0..65535 |

    So 128 is an opacity in a mask of many levels, and in a JPEG, where it spreads.

    Args:
        file, picture: as for `read_map`.

    Returns:
        (H, W) float32 in [0, 1], 0 where unknown, and (H, W) bool.

    Raises:
        UserError: as `read_map`, or the levels are class numbers.
    """
    levels = read_map(file, picture)
    highest = levels.max()
    if 1 < highest <= MOST_CLASSES:
        raise UserError(
            f"{file.where}: received levels from 0 to {highest}, as of class numbers; "
            "accepted are 0 and 1, 0 and 255 with 128 for unknown, and opacities of 8 or "
            "16 bit. Write 255 for the foreground."
        )
    if highest <= 1:
        return levels.astype(np.float32), np.ones(levels.shape, bool)
    full, middle = (255, (128,)) if highest <= 255 else (65535, (32768, 32896))
    known = np.ones(levels.shape, bool)
    if np.isin(levels, (0, *middle, full)).all():
        known = ~np.isin(levels, middle)
    elif np.isin(levels, middle).mean() > 0.5 * ((levels > 0) & (levels < full)).mean():
        _LOGGER.warning(
            "%s: most of its grey is 128, but it has other grey too: 128 is taken as an "
            "opacity. Unknown is 128 in a PNG without other grey.",
            file.where,
        )
    mask = np.where(known, levels / np.float32(full), 0)
    return mask.astype(np.float32), known


def resize_map(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize an (H, W) float32 map: averaged where smaller, else bilinear."""
    if image.shape == shape:
        return image
    smaller = image.shape[0] > shape[0] or image.shape[1] > shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, shape[::-1], interpolation=how)
