"""Reading backgrounds, cutouts and depth maps, checked, oriented and at one size."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageOps

from keras_depthseg.datasets import images
from keras_depthseg.datasets.composites.folder import PictureFile
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP")

SMALLEST_SIDE = 16
"""In pixels; a smaller picture is a thumbnail or a mistake."""


def read_background(file: PictureFile, size: int) -> np.ndarray:
    """A background: its middle square.

    Args:
        file: RGB or greyscale, at least `SMALLEST_SIDE` high and wide. A camera's
            orientation tag is applied.
        size: side of the result, in pixels.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        UserError: it cannot be used.
    """
    image = _oriented(file)
    if image.mode not in ("RGB", "L", "P") or "transparency" in image.info:
        raise images.refused(
            file.where, image, "expected RGB or greyscale, opaque. Save it as RGB."
        )
    return resized_square(np.asarray(image.convert("RGB")), size)


def read_cutout(
    file: PictureFile, mask: PictureFile | None, height: int, largest: int
) -> Layer:
    """A cutout: the part of a picture where it is not transparent.

    Args:
        file: with an alpha channel, or any RGB or greyscale one if there is a mask.
        mask: greyscale, of the same size, white where opaque; `None` takes `file`'s
            alpha channel.
        height: of the result, in pixels.
        largest: at most as wide as this, in pixels; else less high.

    Raises:
        UserError: it cannot be used.
    """
    image = _oriented(file)
    if mask is None:
        if not (image.has_transparency_data):
            raise images.refused(
                file.where,
                image,
                "expected an alpha channel. Save it as PNG or WebP with transparency, "
                "or give a folder of masks.",
            )
        rgba = np.array(image.convert("RGBA"))
    else:
        opaque = _mask(mask)
        if opaque.shape != (image.height, image.width):
            raise UserError(
                f"{mask.where}: received {_shown(opaque.shape)}, but {file.where} is "
                f"{_shown((image.height, image.width))}; both must have one size. "
                "Resize one of them."
            )
        rgba = np.dstack([np.asarray(image.convert("RGB")), opaque])
    where = mask.where if mask else file.where
    return trimmed(rgba[..., :3], rgba[..., 3], where).fitted(height, largest)


def read_depth(file: PictureFile, shape: tuple[int, int], size: int) -> np.ndarray:
    """The depth map of a background: the same middle square.

    Args:
        file: greyscale, 8 or 16 bit, 0 where nothing was measured.
        shape: height and width that it must have: its background's.
        size: side of the result, in pixels.

    Returns:
        (size, size) uint8 or uint16, values as in the file.

    Raises:
        UserError: it cannot be used.
    """
    data = file.read()
    bits = images.bits_per_channel(data)
    levels, _ = images.decode_single(data, file.where, np.dtype(f"uint{bits}").type)
    if levels.shape != shape:
        raise UserError(
            f"{file.where}: received {_shown(levels.shape)}, but its background is "
            f"{_shown(shape)}; both must have one size. Warp the depth to the picture."
        )
    if not levels.any():
        raise UserError(
            f"{file.where}: received only zeros; expected a depth somewhere. Leave the "
            "file and its background out."
        )
    return nearest_square(levels, size)


def background_shape(file: PictureFile) -> tuple[int, int]:
    """Height and width of a background as a viewer shows it."""
    image = _oriented(file)
    return image.height, image.width


def _oriented(file: PictureFile) -> Image.Image:
    data = file.read()
    image = images.open_picture(data, file.where, FORMATS)
    if images.bits_per_channel(data) == 16 or image.mode.startswith(("I", "F")):
        raise UserError(
            f"{file.where}: received 16 bit a channel; expected 8 bit. Save it as 8-bit "
            "PNG or as JPEG."
        )
    if image.mode in ("CMYK", "YCCK", "LAB", "HSV", "YCbCr"):
        raise images.refused(
            file.where, image, "expected RGB or greyscale. Convert it to RGB."
        )
    if min(image.size) < SMALLEST_SIDE:
        raise UserError(
            f"{file.where}: received {_shown((image.height, image.width))}; expected at "
            f"least {SMALLEST_SIDE} pixels on each side. Give a larger picture."
        )
    return ImageOps.exif_transpose(image)


def _mask(file: PictureFile) -> np.ndarray:
    image = _oriented(file)
    if image.mode not in ("1", "L", "RGB", "P"):
        raise images.refused(
            file.where, image, "expected a greyscale mask. Save it as greyscale."
        )
    return np.asarray(image.convert("L"))


def _box(alpha: np.ndarray, where: str) -> tuple[int, int, int, int]:
    rows = np.flatnonzero(alpha.any(axis=1))
    columns = np.flatnonzero(alpha.any(axis=0))
    if not len(rows) or alpha.max() < 128:
        raise UserError(
            f"{where}: received a cutout that is transparent everywhere; expected "
            "something opaque. Replace the file."
        )
    if alpha.min() == 255:
        raise UserError(
            f"{where}: received a cutout that is opaque everywhere; expected "
            "transparency around it. Cut it out, or give a folder of masks."
        )
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def trimmed(rgb: np.ndarray, alpha: np.ndarray, where: str) -> Layer:
    """The part of a picture that is not transparent everywhere.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8.
        where: the file, for messages.

    Raises:
        UserError: it is transparent, or opaque, everywhere.
    """
    top, left, bottom, right = _box(alpha, where)
    rgba = np.dstack([rgb, alpha])
    return Layer.of(rgba[top:bottom, left:right])


def resized_square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The middle square of (H, W, 3) uint8, (size, size, 3)."""
    return _resized(_middle_square(pixels), size, size)


def nearest_square(depth: np.ndarray, size: int) -> np.ndarray:
    """The middle square of (H, W), (size, size), each pixel one of the old ones: a mean
    of two surfaces lies on neither."""
    return cv2.resize(
        _middle_square(depth), (size, size), interpolation=cv2.INTER_NEAREST
    )


def _middle_square(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < pixels.shape[0]
    return cv2.resize(
        pixels,
        (width, height),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )


def _shown(shape: tuple[int, int]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
