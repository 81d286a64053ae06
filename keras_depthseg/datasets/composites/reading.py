"""Reading backgrounds, cutouts and depth maps: checked, upright and at one size."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks
from keras_depthseg.pictures.checks import opaque_colour
from keras_depthseg.pictures.folders import PictureFile
from keras_depthseg.pictures.orientation import Oriented, upright, upright_with

WRITE_DEPTH = (
    "Write its numbers as greyscale PNG of 16 bit, 0 where unknown: millimetres for "
    "step=0.001"
)
"""What to do about a depth map that cannot be read."""

SMALLEST_SIDE = 16
"""In pixels; a smaller picture is an icon or a mistake."""

_OPAQUE = 128
"""A cutout has at least this opacity somewhere; less is a mistake or invisible."""

_NOISE = 12
"""Levels of 255 by which JPEG may change a white mask."""


def read_background(file: PictureFile, size: int) -> np.ndarray:
    """Read the middle square of a background.

    Args:
        file: RGB or greyscale, opaque, at least `SMALLEST_SIDE` high and wide. A
            camera's orientation tag is applied.
        size: side of the result, in pixels.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        UserError: the file cannot be used.
    """
    image = upright(_decoded(file))
    return resized_square(opaque_colour(image, file.where), size)


def read_cutout(
    file: PictureFile, mask: PictureFile | None, height: int, largest: int
) -> Layer:
    """Read a cutout, the part of a picture that is not transparent, at one height.

    Args:
        file, mask: see `read_whole_cutout`.
        height: of the result, in pixels; less where it were wider than `largest`.
        largest: width of the result at most, in pixels.

    Raises:
        UserError: a file cannot be used.
    """
    whole, _ = read_whole_cutout(file, mask)
    return fit_cutout(whole, height, largest, (mask or file).where)


def read_whole_cutout(file: PictureFile, mask: PictureFile | None) -> tuple[Layer, bool]:
    """Read a cutout, the part of a picture that is not transparent, at its own size.

    An opacity of 0 and 1 is taken as 0 and 255.

    Args:
        file: with an alpha channel, or any RGB or greyscale one if there is a mask. A
            camera's orientation tag is applied, also to the mask.
        mask: greyscale, of the same size, white where opaque; `None` takes the alpha
            channel of `file`.

    Returns:
        The cutout, and whether its opacity is stored as 0 and 1.

    Raises:
        UserError: a file cannot be used.
    """
    image = _decoded(file)
    rgba = np.asarray(upright(image).convert("RGBA"))
    if mask is None:
        if not image.has_transparency_data:
            raise checks.refused(
                file.where,
                image,
                "expected an alpha channel. Save it as PNG or WebP with transparency, "
                "or give a folder of masks by `fg_mask`.",
            )
        alpha = rgba[..., 3]
    else:
        alpha = _mask(mask, Oriented.of(image, file.where))
        if not alpha.any():
            raise UserError(
                f"{mask.where}: received an empty mask, as of a picture without "
                "foreground; expected something to cut out. Mark it, or remove both."
            )
    of_ones = bool(alpha.max() == 1)
    if of_ones:
        alpha = alpha * 255
    return trimmed(rgba[..., :3], alpha, (mask or file).where), of_ones


def trimmed(rgb: np.ndarray, alpha: np.ndarray, where: str) -> Layer:
    """Return the part of an image that is not transparent, as a layer.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8.
        where: the file of `alpha`, for messages.

    Raises:
        UserError: it is transparent, or opaque, everywhere.
    """
    if alpha.max() < _OPAQUE:
        raise UserError(
            f"{where}: received a cutout that is transparent everywhere, with "
            f"{alpha.max()} of 255 at most; expected 255 where it is opaque. Replace the "
            "file."
        )
    if alpha.min() >= 255 - _NOISE:
        raise UserError(
            f"{where}: received a cutout that is opaque everywhere; expected 0 around "
            "it. Cut it out, or give masks by `fg_mask`."
        )
    rows = np.flatnonzero(alpha.any(axis=1))
    columns = np.flatnonzero(alpha.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Layer.of(np.dstack([rgb[box], alpha[box]]))


def fit_cutout(cutout: Layer, height: int, largest: int, where: str) -> Layer:
    """Return a cutout at one height, see `read_cutout`.

    Raises:
        UserError: hardly anything of it stays visible.
    """
    fitted = cutout.fitted(height, largest)
    if fitted.alpha.max() < _OPAQUE:
        raise UserError(
            f"{where}: received a cutout of {_shown(cutout.alpha.shape)}, too thin to be "
            f"seen at {_shown(fitted.alpha.shape)}; expected a more compact one. Give "
            "another, or a larger `size` or `fg_height`."
        )
    return fitted


def read_depth(file: PictureFile, background: PictureFile, size: int) -> np.ndarray:
    """Read the depth map of a background: the same middle square.

    Args:
        file: greyscale, 8 or 16 bit, 0 where nothing was measured. An orientation tag
            is applied, its own or the background's, see `upright_with`.
        background: the picture, whose size it must have.
        size: side of the result, in pixels.

    Returns:
        (size, size) uint8 or uint16, values as in the file, not 0 everywhere.

    Raises:
        UserError: it cannot be used.
    """
    data = file.read()
    image = checks.open_any_picture(data, file.where)
    bits = checks.bits_per_channel(data, image)
    picture = Oriented.read(background.read(), background.where)
    image = upright_with(image, file.where, picture, "Warp the depth to the picture")
    dtype = np.uint8 if bits == 8 else np.uint16
    levels = checks.single_channel(image, bits, file.where, dtype, WRITE_DEPTH)
    square = nearest_square(levels, size)
    if not square.any():
        raise UserError(
            f"{file.where}: received only zeros in the middle square; expected a depth "
            "somewhere, 0 is unknown. Replace the file."
        )
    return square


def is_grey(file: PictureFile) -> bool:
    """Return whether a file that can be read has a single channel, by its header."""
    data = file.read()
    image = checks.open_any_picture(data, file.where, decode=False)
    return image.mode in ("1", "L", "LA", "I", "I;16", "F")


def _decoded(file: PictureFile) -> Image.Image:
    """Decode a picture of 8 bit a channel, not CMYK, as it is stored."""
    data = file.read()
    image = checks.open_any_picture(data, file.where)
    bits = checks.bits_per_channel(data, image)
    if bits > 8:
        raise UserError(
            f"{file.where}: received {bits} bit a channel; expected 8 bit. Save it as "
            "8-bit PNG or as JPEG."
        )
    if image.mode not in checks.COLOUR_MODES:
        raise checks.refused(
            file.where, image, "expected RGB or greyscale. Convert it to RGB."
        )
    if min(image.size) < SMALLEST_SIDE:
        raise UserError(
            f"{file.where}: received {_shown((image.height, image.width))}; expected at "
            f"least {SMALLEST_SIDE} pixels on each side. Give a larger picture."
        )
    return image


def _mask(file: PictureFile, picture: Oriented) -> np.ndarray:
    """Read opacity as (H, W) uint8, turned as its picture."""
    image = upright_with(_decoded(file), file.where, picture)
    remedy = "Save it as greyscale, white where opaque"
    return checks.single_channel(image, 8, file.where, remedy=remedy)


def resized_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return the middle square of (H, W, 3) uint8 as (size, size, 3)."""
    square = _middle_square(pixels)
    shrinks = size < square.shape[0]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(square, (size, size), interpolation=kind)


def nearest_square(depth: np.ndarray, size: int) -> np.ndarray:
    """Return the middle square of (H, W) as (size, size).

    Each pixel is one of the old ones: a mean of two surfaces lies on neither.
    """
    return cv2.resize(
        _middle_square(depth), (size, size), interpolation=cv2.INTER_NEAREST
    )


def _middle_square(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _shown(shape: tuple[int, int]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
