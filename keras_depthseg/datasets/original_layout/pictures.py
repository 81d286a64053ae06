"""Photographs, masks and depth maps of a layout: decoded, upright, as records have them.

What readers of records cannot decode, or would not turn, is written again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_depthseg.pictures import checks, encode
from keras_depthseg.pictures.orientation import Oriented, upright, upright_with

_KEPT = ("JPEG", "MPO", "PNG")


class Photograph(NamedTuple):
    """A plate, or a picture with a foreground.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright.
        data: the bytes to store: the file, or a PNG.
        oriented: its size and tag, for the maps that belong to it.
    """

    pixels: np.ndarray
    data: bytes
    oriented: Oriented


class Map(NamedTuple):
    """A mask or a depth map.

    Attributes:
        levels: (H, W) uint8 or uint16, upright.
        single: whether records can have the file as it is.
    """

    levels: np.ndarray
    single: bool


def decode_photograph(data: bytes, where: str) -> Photograph:
    """Decode RGB, greyscale, or either with alpha that is opaque everywhere.

    Raises:
        UserError: the file cannot be used.
    """
    image = _open(data, where)
    oriented = Oriented.of(image, where)
    pixels = checks.opaque_colour(upright(image), where)
    if image.format not in _KEPT or image.mode != "RGB" or oriented.turn != 1:
        data = encode.encode_colour(pixels, lossless=True)
    return Photograph(pixels, data, oriented)


def decode_map(data: bytes, where: str, picture: Oriented, remedy: str) -> Map:
    """Decode one channel of 8 or 16 bit, turned as the picture to which it belongs.

    Args:
        data: the file.
        where: it, for messages.
        picture: of one size with the map.
        remedy: what to do about other channels.

    Raises:
        UserError: the file cannot be used, or the sizes differ.
    """
    image = _open(data, where)
    bits = checks.bits_per_channel(data, image)
    turned = upright_with(image, where, picture)
    dtype = np.uint16 if bits == 16 else np.uint8
    levels = checks.single_channel(turned, bits, where, dtype, remedy)
    is_single = image.mode in ("1", "L") or image.mode.startswith("I")
    return Map(levels, image.format in _KEPT and is_single and turned is image)


def oriented(data: bytes, where: str) -> Oriented:
    """Return size and tag of a picture; only its header is read.

    Raises:
        UserError: the file cannot be used.
    """
    return Oriented.of(_open(data, where, decode=False), where)


def bits_of(data: bytes, where: str) -> int:
    """Return the bits of a channel; only the header is read.

    Raises:
        UserError: the file cannot be used.
    """
    return checks.bits_per_channel(data, _open(data, where, decode=False))


def _open(data: bytes, where: str, decode: bool = True) -> Image.Image:
    return checks.open_any_picture(data, where, decode)
