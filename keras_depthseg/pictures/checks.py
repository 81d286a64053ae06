"""Checking encoded pictures, so that every reader can decode the stored ones."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageChops, features

from keras_depthseg.errors import UserError
from keras_depthseg.pictures.formats import formats_of
from keras_depthseg.pictures.headers import has_end
from keras_depthseg.text import reason

_MODES = {
    "1": "black and white",
    "L": "greyscale (1 channel, 8 bit)",
    "LA": "greyscale with alpha (2 channels)",
    "P": "a colour palette",
    "PA": "a colour palette with alpha",
    "RGB": "RGB (3 channels)",
    "RGBA": "RGB with alpha (4 channels)",
    "CMYK": "CMYK (4 channels)",
    "I": "greyscale (1 channel, 32 bit)",
    "I;16": "greyscale (1 channel, 16 bit)",
    "I;16B": "greyscale (1 channel, 16 bit)",
    "F": "greyscale (1 channel, 32 bit, float)",
}

# The first bytes of the accepted formats: a file that has them is a damaged one.
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG",
    "WEBP": rb"RIFF....WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM",
    "GIF": rb"GIF8",
    "AVIF": rb"....ftypavi[fs]",
    "HEIF": rb"....ftyp(hei|hev|mif1|msf1)",
}

_GREY = 8
"""Levels by which the channels of grey may differ: those of WebP and AVIF do."""

COLOUR_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr")
"""Pillow's modes of 8 bit whose colours need no profile."""

_BITS_PER_SAMPLE = 0x0102

_MOST_PIXELS = 89_478_485

_WARNINGS = threading.RLock()
"""The filters of warnings and Pillow's limit of pixels belong to the process: two threads
that change them at once leave them changed."""


def decode_colour(data: bytes, where: str) -> np.ndarray:
    """Decode a picture that must be RGB.

    Args:
        data: JPEG or PNG.
        where: the file, for messages.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: not a whole JPEG or PNG, or not RGB.
    """
    image = open_picture(data, where)
    if image.mode != "RGB":
        raise refused(where, image, "expected RGB. Save it as an RGB JPEG or PNG.")
    return np.asarray(image)


def decode_single(
    data: bytes, where: str, dtype: type = np.uint8
) -> tuple[np.ndarray, bytes]:
    """Decode a picture that must have one channel.

    Three equal channels, as many tools write a mask, are reduced to one, as is a palette
    of greys; alpha that is opaque everywhere is left out.

    Args:
        data: JPEG or PNG.
        where: the file, for messages.
        dtype: `np.uint8`, or `np.uint16` for a 16-bit PNG.

    Returns:
        (H, W) of `dtype`, and the bytes to store: `data`, or a PNG with one channel
        where `data` has more.

    Raises:
        UserError: not a whole JPEG or PNG, not of one channel, or not of `dtype`.
    """
    image = open_picture(data, where)
    pixels = single_channel(image, bits_per_channel(data), where, dtype)
    if image.mode not in ("1", "L") and not image.mode.startswith("I"):
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, format="PNG")
        data = encoded.getvalue()
    return pixels, data


def single_channel(
    image: Image.Image,
    bits: int,
    where: str,
    dtype: type = np.uint8,
    remedy: str | None = None,
) -> np.ndarray:
    """Return the one channel of a picture, or one of three equal ones.

    Alpha that is opaque everywhere, as many programs write it, is left out.

    Args:
        image: from `open_picture`.
        bits: its `bits_per_channel`.
        where: the file, for messages.
        dtype: `np.uint8`, or `np.uint16` for a 16-bit PNG or TIFF.
        remedy: what to do about another picture; by default to save it as greyscale.

    Returns:
        (H, W) of `dtype`.

    Raises:
        UserError: not of one channel, or not of `dtype`.
    """
    expected = 8 * np.dtype(dtype).itemsize
    kind = "JPEG or PNG" if expected == 8 else "16-bit PNG"
    accepted = (
        f"expected one channel of {expected} bit without alpha, or three equal ones. "
        f"{remedy or f'Save it as a greyscale {kind}'}."
    )
    if bits != expected:
        raise UserError(f"{where}: received {bits} bit a channel; {accepted}")
    if bits == 16 and image.mode.startswith("I"):
        return np.asarray(image).astype(dtype, copy=False)
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") or bits != 8:
        raise refused(where, image, accepted)
    if is_transparent(image):
        raise refused(where, image, f"it is transparent in parts; {accepted}")
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    colours = image.convert("RGB")
    red, green, blue = colours.split()
    for one, other in ((red, green), (green, blue), (blue, red)):
        # In a twentieth of NumPy's time along the last axis.
        if int(np.asarray(ImageChops.difference(one, other)).max()) > _GREY:
            raise refused(where, image, f"the channels differ; {accepted}")
    return np.asarray(colours.convert("L"))


def opaque_colour(image: Image.Image, where: str) -> np.ndarray:
    """Return the colours of a picture without transparent parts, (H, W, 3) uint8 RGB.

    Args:
        image: of one of `COLOUR_MODES`.
        where: the file, for messages.

    Raises:
        UserError: of another mode, or transparent somewhere.
    """
    if image.mode not in COLOUR_MODES:
        raise refused(where, image, "expected RGB or greyscale. Save it as an RGB PNG.")
    if is_transparent(image):
        raise refused(where, image, "expected an opaque picture. Save it without alpha.")
    # It would copy an image of this mode, too.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def is_transparent(image: Image.Image) -> bool:
    """Return whether a picture has alpha that is not opaque everywhere."""
    if not image.has_transparency_data:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return lowest != 255


def bits_per_channel(data: bytes, image: Image.Image | None = None) -> int:
    """Return the bits of a channel of a PNG or TIFF; 8 for fewer, and for all others.

    Args:
        data: the file.
        image: it, opened, which is needed for a TIFF.
    """
    # PNG: 8 bytes of signature, 8 of the header chunk's head, width, height, bits.
    # Pillow hides it: it opens a 16-bit RGB PNG as 8 bit.
    if data.startswith(b"\x89PNG"):
        return 16 if data[24:25] == b"\x10" else 8
    if image is not None and image.format == "TIFF":
        bits: Any = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        return max(8, *bits)
    return 8


def open_any_picture(data: bytes, where: str, decode: bool = True) -> Image.Image:
    """Open a picture of any format that is read, see `open_picture` and `formats_of`."""
    return open_picture(data, where, formats_of(data, where), decode=decode)


def open_picture(
    data: bytes,
    where: str,
    formats: Sequence[str] = ("JPEG", "PNG"),
    most_pixels: int = _MOST_PIXELS,
    first: bool = False,
    decode: bool = True,
) -> Image.Image:
    """Open and decode a picture to its end.

    Args:
        data: the encoded bytes.
        where: the file, for messages.
        formats: the accepted formats by Pillow's names.
        most_pixels: by default as many as Pillow opens without a warning of an attack.
        first: take the first of several pictures.
        decode: if not, only the header and the end are checked, for another decoder.

    Raises:
        UserError: not a whole picture of one of the formats, more than one picture, or
            more than `most_pixels`.
    """
    accepted = " or ".join(filter(None, (", ".join(formats[:-1]), formats[-1])))
    if not data:
        raise UserError(
            f"{where}: received an empty file; expected a {accepted}. Write it again."
        )
    try:
        with filtered("error", Image.DecompressionBombWarning, most_pixels):
            image = Image.open(io.BytesIO(data), formats=tuple(formats))
        # A JPEG may have other views appended, of which the first is the picture.
        several = not (first or image.format == "MPO") and has_several(image)
        if not several:
            # OpenCV fills what is missing with grey; Pillow raises.
            if decode:
                image.load()
                if image.mode.startswith("P") and image.palette is None:
                    raise OSError("its palette is missing")
            _check_end(data, image.format)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        count, *_ = re.findall(r"\d+", str(error))
        raise UserError(
            f"{where}: received {int(count):,} pixels; at most {most_pixels:,} are "
            "accepted. Make it smaller."
        ) from error
    # A damaged file makes Pillow raise OSError, SyntaxError, ValueError and others.
    except Exception as error:
        if isinstance(error, Image.UnidentifiedImageError):
            if "AVIF" in formats and _begins(data, "AVIF") and not features.check("avif"):
                raise UserError(
                    f"{where}: received an AVIF picture, which the installed Pillow "
                    "cannot read; accepted are others. Convert it, or `pip install "
                    "--upgrade pillow`."
                ) from None
            if not any(_begins(data, name) for name in formats):
                raise UserError(
                    f"{where}: received {_kind(data)}; expected a {accepted}. Replace "
                    "the file."
                ) from None
            error = OSError("its beginning is wrong")
        raise UserError(
            f"{where}: received a truncated or damaged picture ({reason(error)}); "
            f"expected a whole {accepted}. Copy or write it again."
        ) from None
    if several:
        raise UserError(
            f"{where}: received several pictures in one file, as of an animation; "
            "expected one. Save one of them."
        )
    return image


def has_several(image: Image.Image) -> bool:
    """Return whether a file holds several pictures.

    They are not counted: that takes minutes in a file of 256 MB.
    """
    try:
        return getattr(image, "is_animated", False)
    # A damaged one follows: the first is whole.
    except Exception:
        return False


@contextlib.contextmanager
def filtered(
    action: Literal["error", "ignore"],
    category: type[Warning],
    most_pixels: int = _MOST_PIXELS,
) -> Iterator[None]:
    """Change a filter of warnings and Pillow's limit of pixels, one thread at a time."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter(action, category)
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, most_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _begins(data: bytes, name: str) -> bool:
    return re.match(_SIGNATURES[name], data, re.DOTALL) is not None


def _kind(data: bytes) -> str:
    """Name the kind of a refused file: often a picture with another format's suffix."""
    if data[4:8] == b"ftyp":
        return "a picture or film of another format, such as HEIC"
    try:
        with filtered("ignore", Image.DecompressionBombWarning):
            return f"a picture in the format {Image.open(io.BytesIO(data)).format}"
    except Exception:
        return "something that is not a picture"


def _check_end(data: bytes, image_format: str | None) -> None:
    """Raise `OSError` for pictures that Pillow accepts and TensorFlow does not decode."""
    if image_format == "PNG":
        # Checks the sum of every chunk but the last, whose bytes are always the same.
        Image.open(io.BytesIO(data), formats=("PNG",)).verify()
    if image_format in ("JPEG", "MPO", "PNG") and not has_end(data):
        raise OSError("no end of the picture")


def refused(where: str, image: Image.Image, rest: str) -> UserError:
    """Return the error about a picture of the wrong mode; `rest` names the accepted."""
    mode = _MODES.get(image.mode, f"mode {image.mode}")
    return UserError(f"{where}: received {mode}; {rest}")
