"""Checks of encoded pictures, so that what is stored can be decoded by every reader."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

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
}


def decode_colour(data: bytes, where: str) -> np.ndarray:
    """Decodes a picture that must be RGB.

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
    """Decodes a picture that must have one channel.

    Three equal channels, as many tools write a mask, are stored as one.

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
    bits = 8 * np.dtype(dtype).itemsize
    accepted = (
        f"expected one channel of {bits} bit without alpha, or three equal ones. Save "
        f"it as a greyscale {'JPEG or PNG' if bits == 8 else '16-bit PNG'}."
    )
    if bits_per_channel(data) != bits:
        depth = f"{bits_per_channel(data)} bit a channel"
        raise UserError(f"{where}: received {depth}; {accepted}")
    if image.mode == "RGB" and bits == 8:
        pixels = np.asarray(image)
        single = np.ascontiguousarray(pixels[..., 0])
        if not (pixels == single[..., None]).all():
            raise refused(where, image, f"the channels differ; {accepted}")
        encoded = io.BytesIO()
        Image.fromarray(single).save(encoded, format="PNG")
        return single, encoded.getvalue()
    if image.mode == "1":
        image = image.convert("L")
    if image.mode != "L" and not (bits == 16 and image.mode.startswith("I")):
        raise refused(where, image, accepted)
    return np.asarray(image).astype(dtype, copy=False), data


def bits_per_channel(data: bytes) -> int:
    """16 for a PNG of 16 bit a channel, otherwise 8 (also for fewer bits)."""
    # PNG: 8 bytes of signature, 8 of the header chunk's head, width, height, bits.
    # Pillow does not tell: it opens a 16-bit RGB PNG as 8 bit.
    return 16 if data.startswith(b"\x89PNG") and data[24:25] == b"\x10" else 8


def open_picture(
    data: bytes, where: str, formats: Sequence[str] = ("JPEG", "PNG")
) -> Image.Image:
    """Opens and decodes a picture to its end.

    Args:
        data: the encoded bytes.
        where: the file, for messages.
        formats: accepted ones, as Pillow names them.

    Raises:
        UserError: not a whole picture of one of the formats, more than one picture, or
            more pixels than Pillow takes for an attack (89 million).
    """
    accepted = f"{', '.join(formats[:-1])} or {formats[-1]}"
    if not data:
        raise UserError(
            f"{where}: received an empty file; expected a {accepted}. Write it again."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(data), formats=formats)
        except Image.UnidentifiedImageError:
            raise UserError(
                f"{where}: received something that is not a picture; expected a "
                f"{accepted}. Replace the file."
            ) from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UserError(
                f"{where}: received more pixels than can be meant; at most "
                f"{Image.MAX_IMAGE_PIXELS:,} are accepted. Make it smaller."
            ) from error
        except Exception as error:
            raise _damaged(where, error) from error
    # A JPEG may have other views appended, of which the first is the picture.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise UserError(
            f"{where}: received an animation of {image.n_frames} pictures; expected "
            "one picture. Save one of them."
        )
    try:
        # OpenCV fills what is missing with grey; Pillow raises.
        image.load()
        _check_end(data, image.format)
    # A damaged file makes Pillow raise OSError, SyntaxError, ValueError and others.
    except Exception as error:
        raise _damaged(where, error) from error
    return image


def _check_end(data: bytes, image_format: str | None) -> None:
    """Raises `OSError` for what Pillow lets pass and TensorFlow does not decode."""
    if image_format == "PNG":
        # Every chunk's sum except the last one's, which is always the same.
        Image.open(io.BytesIO(data), formats=("PNG",)).verify()
        if b"IEND\xaeB`\x82" not in data:
            raise OSError("no end chunk")
    # End-of-image after the last start-of-scan: other bytes may follow, and a preview
    # in the header has markers of its own.
    elif image_format in ("JPEG", "MPO") and data.rfind(b"\xff\xd9") < data.rfind(
        b"\xff\xda"
    ):
        raise OSError("no end-of-image marker")


def _damaged(where: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(
        f"{where}: received a truncated or damaged picture ({reason}); expected a "
        "whole JPEG or PNG. Copy or write it again."
    )


def refused(where: str, image: Image.Image, rest: str) -> UserError:
    """The error about a picture of the wrong mode; `rest` says what is accepted."""
    mode = _MODES.get(image.mode, f"mode {image.mode}")
    return UserError(f"{where}: received {mode}; {rest}")
