"""Checking encoded pictures, so that every reader can decode the stored ones."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from PIL import Image

from keras_depthseg.errors import UserError

_MODES = {
    "1": "black and white",
    "L": "greyscale (1 channel, 8 bit)",
    "LA": "greyscale with alpha (2 channels)",
    "P": "a colour palette",
    "RGB": "RGB (3 channels)",
    "RGBA": "RGB with alpha (4 channels)",
    "CMYK": "CMYK (4 channels)",
    "I": "greyscale (1 channel, 16 bit)",
    "I;16": "greyscale (1 channel, 16 bit)",
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

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The change that turns a picture upright, by the value of its Exif tag."""

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

    Three equal channels, as many tools write a mask, are reduced to one.

    Args:
        data: JPEG or PNG.
        where: the file, for messages.
        dtype: `np.uint8`, or `np.uint16` for a 16-bit PNG.

    Returns:
        (H, W) of `dtype`, and the bytes to store: `data`, or a PNG with one channel
        where `data` has three equal ones.

    Raises:
        UserError: not a whole JPEG or PNG, not of one channel, or not of `dtype`.
    """
    image = open_picture(data, where)
    pixels = single_channel(image, bits_per_channel(data), where, dtype)
    if image.mode == "RGB":
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, format="PNG")
        data = encoded.getvalue()
    return pixels, data


def single_channel(
    image: Image.Image, bits: int, where: str, dtype: type = np.uint8
) -> np.ndarray:
    """Return the one channel of a picture, or one of three equal ones.

    Args:
        image: from `open_picture`.
        bits: its `bits_per_channel`.
        where: the file, for messages.
        dtype: `np.uint8`, or `np.uint16` for a 16-bit PNG.

    Returns:
        (H, W) of `dtype`.

    Raises:
        UserError: not of one channel, or not of `dtype`.
    """
    expected = 8 * np.dtype(dtype).itemsize
    accepted = (
        f"expected one channel of {expected} bit without alpha, or three equal ones. "
        f"Save it as a greyscale {'JPEG or PNG' if expected == 8 else '16-bit PNG'}."
    )
    if bits != expected:
        raise UserError(f"{where}: received {bits} bit a channel; {accepted}")
    if image.mode == "RGB" and bits == 8:
        pixels = np.asarray(image)
        single = np.ascontiguousarray(pixels[..., 0])
        if not (pixels == single[..., None]).all():
            raise refused(where, image, f"the channels differ; {accepted}")
        return single
    if image.mode == "1":
        image = image.convert("L")
    if image.mode != "L" and not (bits == 16 and image.mode.startswith("I")):
        raise refused(where, image, accepted)
    return np.asarray(image).astype(dtype, copy=False)


def bits_per_channel(data: bytes) -> int:
    """Return 16 for a PNG of 16 bit a channel, else 8 (also for fewer bits)."""
    # PNG: 8 bytes of signature, 8 of the header chunk's head, width, height, bits.
    # Pillow hides it: it opens a 16-bit RGB PNG as 8 bit.
    return 16 if data.startswith(b"\x89PNG") and data[24:25] == b"\x10" else 8


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
    accepted = f"{', '.join(formats[:-1])} or {formats[-1]}"
    if not data:
        raise UserError(
            f"{where}: received an empty file; expected a {accepted}. Write it again."
        )
    try:
        with filtered("error", Image.DecompressionBombWarning, most_pixels):
            image = Image.open(io.BytesIO(data), formats=tuple(formats))
        # A JPEG may have other views appended, of which the first is the picture.
        one = first or image.format == "MPO"
        frames = 1 if one else getattr(image, "n_frames", 1)
        if frames == 1:
            # OpenCV fills what is missing with grey; Pillow raises.
            if decode:
                image.load()
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
            if not any(_begins(data, name) for name in formats):
                raise UserError(
                    f"{where}: received {_kind(data)}; expected a {accepted}. Replace "
                    "the file."
                ) from None
            error = "its beginning is wrong"
        reason = " ".join(str(error).split())
        raise UserError(
            f"{where}: received a truncated or damaged picture ({reason}); expected a "
            f"whole {accepted}. Copy or write it again."
        ) from None
    if frames != 1:
        raise UserError(
            f"{where}: received an animation of {frames} pictures; expected one picture. "
            "Save one of them."
        )
    return image


def upright(image: Image.Image) -> Image.Image:
    """Return the image as viewers show it, turned by its Exif or XMP tag if any."""
    turn = orientation(image)
    return image if turn == 1 else image.transpose(_TURNS[turn])


def upright_shape(data: bytes) -> tuple[int, int]:
    """Return height and width as viewers show them; only the header is read.

    Args:
        data: a picture that `open_picture` accepts.
    """
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        # These are quarter turns.
        return (width, height) if orientation(image) > 4 else (height, width)


def orientation(image: Image.Image) -> int:
    """Return the value of an image's Exif or XMP tag, 1 (upright) to 8."""
    try:
        # Pillow warns of tags that it skips.
        with filtered("ignore", UserWarning):
            value = image.getexif().get(_ORIENTATION)
    # With a damaged tag viewers show the picture as it is stored.
    except Exception:
        return 1
    return value if value in _TURNS else 1


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
        if b"IEND\xaeB`\x82" not in data:
            raise OSError("no end chunk")
    # Any bytes may follow, such as the film of a motion photo.
    elif image_format in ("JPEG", "MPO") and data.find(b"\xff\xd9", _scan(data)) < 0:
        raise OSError("no end-of-image marker")


def _scan(data: bytes) -> int:
    """Return where the pixels of a JPEG begin: a preview before has its own markers."""
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1] != 0xDA:
        # Bytes 0xFF may stand before a marker.
        filled = data[position + 1] == 0xFF
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        position += 1 if filled else 2 + length
    return position


def refused(where: str, image: Image.Image, rest: str) -> UserError:
    """Return the error about a picture of the wrong mode; `rest` names the accepted."""
    mode = _MODES.get(image.mode, f"mode {image.mode}")
    return UserError(f"{where}: received {mode}; {rest}")
