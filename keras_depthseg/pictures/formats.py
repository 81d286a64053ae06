"""The formats in which pictures are read: by suffix in a folder, by content in a file."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence

from keras_depthseg.errors import UserError

SUFFIXES = (
    ".apng", ".avif", ".bmp", ".gif", ".jfif", ".jif", ".jpe", ".jpeg", ".jpg", ".mpo",
    ".pjp", ".pjpeg", ".png", ".tif", ".tiff", ".webp",
)  # fmt: skip
ACCEPTED = "JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF")
"""By Pillow's names. It tries them in this order, the first two without an import."""

_HEIC = (".heic", ".heif", ".hif")
RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
_NUMBERS = (".exr", ".hdr", ".npy", ".npz", ".pfm", ".pgm")
OTHER_PICTURES = (
    *_HEIC, *RAW, *_NUMBERS, ".jp2", ".jxl", ".ppm", ".psd", ".svg", ".tga",
)  # fmt: skip
"""The suffixes of pictures and maps that are refused."""

CONVERT = "Convert it to JPEG or PNG"
"""What to do about a refused file."""


def is_accepted(suffix: str) -> bool:
    """Return whether files with a suffix, in lower case, are read.

    HEIC is where `pillow_heif` is installed.
    """
    return suffix in SUFFIXES or (suffix in _HEIC and _reads_heic())


def remedy(suffix: str, numbers: str = CONVERT) -> str:
    """Return what to do about a file with one of `OTHER_PICTURES`.

    Args:
        suffix: of the file, in lower case.
        numbers: what to do about files that hold numbers, such as `.npy` and `.exr`.
    """
    if suffix in _HEIC:
        return "Convert it to JPEG, or `pip install pillow-heif`"
    if suffix in RAW:
        return "Develop it to JPEG"
    return numbers if suffix in _NUMBERS else CONVERT


def formats_of(data: bytes, where: str) -> Sequence[str]:
    """Return Pillow's names of the formats that a file may have; of a HEIC its own.

    Args:
        data: the file.
        where: it, for messages.

    Raises:
        UserError: it is a HEIC, and `pillow_heif` is not installed.
    """
    is_heic = re.match(rb"....ftyp(hei|hev|mif1|msf1)", data, re.DOTALL)
    # The compatible brands follow: an AVIF may begin with mif1 too.
    if not is_heic or b"avif" in data[:64]:
        return FORMATS
    if not _reads_heic():
        raise UserError(
            f"{where}: received a HEIC picture; accepted are {ACCEPTED}. Convert it to "
            "JPEG, or `pip install pillow-heif`."
        )
    importlib.import_module("pillow_heif").register_heif_opener()
    return ("HEIF",)


def _reads_heic() -> bool:
    return importlib.util.find_spec("pillow_heif") is not None
