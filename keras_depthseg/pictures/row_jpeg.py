"""JPEGs in which only the rows that change are encoded again.

A JPEG may have restart markers (ITU-T T.81, B.2.1), at which the decoder starts again.
With one after every row of 8 x 8 blocks, rows can be exchanged between pictures of one
size and quality. A composite differs from its background in about half of the rows, those
of the cutout: encoding takes half the time, and all other rows decode to exactly the
background.
"""

from __future__ import annotations

import re

import numpy as np

from keras_depthseg.pictures import encode
from keras_depthseg.shapes import ceil_div

_BLOCK = 8
_START_OF_SCAN = 0xDA
_END = b"\xff\xd9"
# Unambiguous: encoders write 0 after every other 0xFF of the scan.
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


class RowJpeg:
    """A JPEG of quality 95 and full colour resolution: no row depends on another.

    Attributes:
        data: the file.
    """

    def __init__(self, image: np.ndarray):
        """
        Args:
            image: (H, W, 3) uint8 RGB.
        """
        self.data = _encode(image)
        self._head, self._rows = _split(self.data)

    def with_rows(self, image: np.ndarray, top: int, bottom: int) -> bytes:
        """Return the file with the rows of another image where the two differ.

        Args:
            image: of the same shape; equal outside `top` to `bottom`.
            top, bottom: the first row that differs, and the one after the last.
        """
        if top >= bottom:
            return self.data
        first, last = top // _BLOCK, ceil_div(bottom, _BLOCK)
        _, new = _split(_encode(image[first * _BLOCK : last * _BLOCK]))
        rows = [*self._rows[:first], *new, *self._rows[last:]]
        parts = [self._head, rows[0]]
        for number, row in enumerate(rows[1:]):
            # Restart markers are numbered 0 to 7, over and over.
            parts += (b"\xff", bytes([0xD0 + number % 8]), row)
        return b"".join((*parts, _END))


def _encode(image: np.ndarray) -> bytes:
    blocks = ceil_div(image.shape[1], _BLOCK)
    return encode.encode_colour(image, restart_interval=blocks)


def _split(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return the part before the pixels, and the rows of blocks."""
    position = 2
    while data[position + 1] != _START_OF_SCAN:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data[:position], _RESTART.split(data[position : -len(_END)])
