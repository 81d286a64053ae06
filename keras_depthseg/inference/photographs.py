"""Read photographs of any kind: upright RGB of 8 bit, with their colour profile."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.errors import UserError
from keras_depthseg.pictures import formats, profiles
from keras_depthseg.pictures.checks import (
    filtered,
    has_several,
    is_transparent,
    open_picture,
    refused,
)
from keras_depthseg.pictures.orientation import orientation
from keras_depthseg.text import printable

_LOGGER = logging.getLogger(__name__)

MOST_PIXELS = 200_000_000
"""Phones take photographs of 200 million pixels: 600 MB as an array."""

_LARGEST_FILE = 2**31

# Modes whose pixels Pillow converts to RGB; others hold measurements, or 32 bit.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB")

# By Exif's value: how `cv2.flip` makes a picture upright, from 5 on a transposed one.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


@dataclasses.dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph as viewers show it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright.
        name: of its file without the suffix; `""` if it came from no file.
        icc: the colour profile that `pixels` are meant for; `None` for sRGB.
        orientation: the Exif value that was undone; 1 if it was upright.
    """

    pixels: np.ndarray
    name: str = ""
    icc: bytes | None = None
    orientation: int = 1


def read_photograph(
    source: str | Path | Image.Image | np.ndarray,
    argument: str,
    most_pixels: int = MOST_PIXELS,
) -> Photograph:
    """Read a photograph.

    Of 16 bit the upper 8 are used, of several pictures the first. Transparency is left
    out, with a warning. RGB keeps its values and its profile; grey and CMYK with a
    profile, and Lab, become sRGB.

    Args:
        source: a file: JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF, and HEIC where
            `pillow_heif` is installed; an image of Pillow; or an array of uint8 or
            uint16: (H, W, 3) RGB, (H, W, 4), (H, W, 1) or (H, W).
        argument: what it was given as, for messages.
        most_pixels: a file with more is refused before it is decoded.

    Returns:
        The photograph; of an array of uint8 RGB its `pixels` are that array.

    Raises:
        UserError: it is not readable, not a whole picture, of another kind or too large.
    """
    where = f"`{argument}`"
    if isinstance(source, np.ndarray):
        return Photograph(_from_array(source, where))
    if isinstance(source, Image.Image):
        return _from_image(source, where, "")
    if isinstance(source, str | Path):
        path = Path(source)
        where = f"{where}: {printable(str(path))}"
        return _from_bytes(_read(path, where), where, path.stem, most_pixels)
    raise UserError(
        f"{where}: received {type(source).__name__}; accepted are a path, an image of "
        "Pillow and a NumPy array. Convert it with `np.asarray`."
    )


def is_picture(path: str | Path) -> bool:
    """Return whether a suffix is that of pictures, also of kinds that are refused."""
    return Path(path).suffix.lower() in {*formats.SUFFIXES, *formats.OTHER_PICTURES}


def list_photographs(path: str | Path, argument: str) -> list[Path]:
    """Return the photographs of a folder, or one, in natural order: `img2`, `img10`.

    Sub-folders are not looked into: the results of one folder lie in one folder. Hidden
    files and files that are no pictures are left out; so are pictures of kinds that
    cannot be read, with a warning.

    Args:
        path: a folder; or a file, of any suffix.
        argument: what it was given as, for messages.

    Raises:
        UserError: it is not readable, or has no photograph.
    """
    path = Path(path)
    where = f"`{argument}`: {printable(str(path))}"
    if not os.path.isdir(path):
        if not os.path.lexists(path):
            raise UserError(
                f"{where}: there is no such file or folder; check its spelling."
            )
        return [path]
    try:
        files = [file for file in path.iterdir() if not file.name.startswith(".")]
    except OSError as error:
        raise _unreadable(where, error) from error
    pictures = [file for file in files if is_picture(file)]
    found = [
        file for file in pictures if formats.is_accepted(_suffix(file)) and file.is_file()
    ]
    if not found:
        raise UserError(
            f"{where}: there is no photograph in it; accepted are {formats.ACCEPTED} "
            "files, not in sub-folders. Give another folder."
        )
    if others := sorted({file.name for file in pictures} - {file.name for file in found}):
        _LOGGER.warning(
            "%s: %d left out, such as %s; accepted are %s files. Convert them to JPEG.",
            *(where, len(others), printable(others[0]), formats.ACCEPTED),
        )
    return sorted(found, key=lambda file: _natural(file.name))


def _natural(name: str) -> tuple[list[str | int], str]:
    """Return a key in which numbers are compared as numbers; equal ones by the name."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], name


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _read(path: Path, where: str) -> bytes:
    if _suffix(path) in formats.RAW:
        # Many are TIFF, of which Pillow would read the preview.
        raise UserError(
            f"{where}: received a raw file; accepted are {formats.ACCEPTED}. Develop it "
            "to JPEG or TIFF."
        )
    try:
        # A pipe or a device has no end.
        if path.exists() and not path.is_file():
            raise IsADirectoryError(0, "it is a folder or a device")
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    # ValueError: a zero byte in the name.
    except (OSError, ValueError) as error:
        raise _unreadable(where, error) from error
    if len(data) > _LARGEST_FILE:
        raise UserError(
            f"{where}: received more than {_LARGEST_FILE:,} bytes, the most that are "
            "accepted. Save it as JPEG."
        )
    return data


def _unreadable(where: str, error: OSError | ValueError) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(
        f"{where}: it cannot be read ({reason}); expected a readable picture. Check the "
        "path and its permissions."
    )


def _from_bytes(data: bytes, where: str, name: str, most_pixels: int) -> Photograph:
    if data.startswith(b"\xff\xd8\xff"):
        # OpenCV takes half of Pillow's time, for the same values: 54 instead of 128 ms
        # for 12 million pixels without reduced colours, 39 instead of 69 ms with.
        image = open_picture(data, where, formats.FORMATS, most_pixels, decode=False)
        pixels = None
        if image.mode == "RGB":
            flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        # Else Pillow says below what is wrong.
        if pixels is not None:
            icc = image.info.get("icc_profile")
            icc = icc if profiles.fits(icc, "RGB") else None
            turn = orientation(image)
            return Photograph(_upright(pixels, turn), name, icc, turn)
    accepted = formats.formats_of(data, where)
    # Pillow warns of tags that it skips, of TIFF in particular.
    with filtered("ignore", UserWarning):
        image = open_picture(data, where, accepted, most_pixels, first=True)
        if has_several(image):
            _LOGGER.warning("%s: the first of its pictures is used.", where)
        return _from_image(image, where, name)


def _from_image(image: Image.Image, where: str, name: str) -> Photograph:
    try:
        # Of a file that the user opened; TIFF is turned by it.
        image.load()
    except Exception as error:
        raise _unreadable(where, ValueError(" ".join(str(error).split()))) from error
    turn = orientation(image)
    icc = image.info.get("icc_profile")
    # Pillow before 11 opens PNGs of 16 bit as I.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        image = Image.fromarray(_upper(np.asarray(image)))
    elif image.mode not in _MODES:
        modes = f"{', '.join(_MODES)} and I;16"
        raise refused(where, image, f"accepted are the modes {modes}. Convert it.")
    elif is_transparent(image):
        _warn_of_transparency(where)
    if image.mode in ("1", "LA"):
        image = image.convert("L")
    if image.mode in ("L", "CMYK", "LAB"):
        image, icc = profiles.to_srgb(image, icc), None
    icc = icc if profiles.fits(icc, "RGB") else None
    pixels = np.asarray(image.convert("RGB"))
    return Photograph(_upright(pixels, turn), name, icc, turn)


def _from_array(pixels: np.ndarray, where: str) -> np.ndarray:
    # In any order of bytes.
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype.kind != "u" or bits > 16:
        remedy = "np.uint8"
        if np.issubdtype(pixels.dtype, np.floating):
            remedy = "np.uint8, values of 0..1 times 255"
        raise UserError(
            f"{where}: received an array of {pixels.dtype}; accepted are uint8 and "
            f"uint16: the range of others is not known. Convert it to {remedy}."
        )
    shape = pixels.shape
    channels = shape[2:] or (1,)
    if pixels.ndim not in (2, 3) or channels[0] not in (1, 3, 4) or not pixels.size:
        raise UserError(
            f"{where}: received an array of the shape {shape}; accepted are (H, W, 3), "
            "(H, W, 4), (H, W, 1) and (H, W). Transpose or crop it."
        )
    if bits == 16:
        if 0 < pixels.max() < 256:
            raise UserError(
                f"{where}: received an array of uint16 with no value over "
                f"{pixels.max()}; accepted are 0..65535 in uint16 and 0..255 in uint8. "
                "Convert it to np.uint8."
            )
        pixels = _upper(pixels)
    if channels == (4,) and pixels[..., 3].min() < 255:
        _warn_of_transparency(where)
    if channels == (1,):
        pixels = np.repeat(pixels.reshape(*shape[:2], 1), 3, axis=-1)
    return np.ascontiguousarray(pixels[..., :3])


def _warn_of_transparency(where: str) -> None:
    _LOGGER.warning(
        "%s: it is transparent in parts; that is left out, and the colours under it are "
        "used. Save it without transparency.",
        where,
    )


def _upper(pixels: np.ndarray) -> np.ndarray:
    """Return the upper 8 of 16 bit, which is what Pillow takes of colours."""
    return (pixels >> 8).astype(np.uint8)


def _upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    result: Any = pixels
    if turn > 4:
        result = cv2.transpose(result)
    if turn in _FLIPS:
        result = cv2.flip(result, _FLIPS[turn])
    return np.asarray(result)
