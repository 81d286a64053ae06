"""Orientation tags: pictures as viewers show them, and the maps that belong to them."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image

from keras_depthseg.errors import UserError
from keras_depthseg.pictures.checks import filtered

_TAG = 0x0112
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


class Oriented(NamedTuple):
    """A picture's size, and how it is turned.

    Attributes:
        where: its file, for messages.
        stored: height and width of its pixels in the file.
        turn: the value of its tag, 1 (upright) to 8.
    """

    where: str
    stored: tuple[int, int]
    turn: int

    @classmethod
    def of(cls, image: Image.Image, where: str) -> Oriented:
        """Describe a picture."""
        return cls(where, (image.height, image.width), orientation(image))

    @classmethod
    def read(cls, data: bytes, where: str) -> Oriented:
        """Describe a file that `open_picture` accepts; only its header is read."""
        with Image.open(io.BytesIO(data)) as image:
            return cls.of(image, where)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width as viewers show it."""
        height, width = self.stored
        # These are quarter turns.
        return (width, height) if self.turn > 4 else (height, width)

    def __str__(self) -> str:
        return f"{self.shape[1]}x{self.shape[0]} pixels" + (
            f" when turned by its orientation tag {self.turn}" if self.turn > 1 else ""
        )


def orientation(image: Image.Image) -> int:
    """Return the value of an image's Exif or XMP tag, 1 (upright) to 8."""
    # Pillow itself turns it.
    if image.format == "TIFF":
        return 1
    try:
        # Pillow warns of tags that it skips.
        with filtered("ignore", UserWarning):
            value = image.getexif().get(_TAG)
    # With a damaged tag viewers show the picture as it is stored.
    except Exception:
        return 1
    return value if value in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """Return the image as viewers show it, turned by its Exif or XMP tag if any."""
    return _turned(image, orientation(image))


def upright_with(
    image: Image.Image, where: str, picture: Oriented, remedy: str = "Resize one of them"
) -> Image.Image:
    """Return a mask or another map, turned as the picture to which it belongs.

    A program that leaves tags alone writes the map of the pixels as they are stored, and
    drops the tag: such a map is turned as its picture.

    Args:
        image: the map, of one size with the picture.
        where: its file, for messages.
        picture: to which it belongs.
        remedy: what to do about another size.

    Raises:
        UserError: the sizes differ.
    """
    own = Oriented.of(image, where)
    if own.shape == picture.shape:
        return _turned(image, own.turn)
    if own.stored == picture.stored:
        return _turned(image, picture.turn)
    received = f"{where}: received {own}, but {picture.where} is {picture}"
    if own.shape == picture.shape[::-1]:
        raise UserError(
            f"{received}: one of them is turned by a quarter; expected both turned "
            "alike. Turn its pixels and remove the tag, as `mogrify -auto-orient` does."
        )
    raise UserError(f"{received}; expected one size for both. {remedy}.")


def _turned(image: Image.Image, turn: int) -> Image.Image:
    return image if turn == 1 else image.transpose(_TURNS[turn])
