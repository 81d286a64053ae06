"""Large photographs tile by tile, and small maps enlarged only where they are needed."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

_SIDE = 128

Tile = tuple[slice, slice]


def tiles(height: int, width: int, margin: int) -> Iterator[tuple[Tile, Tile, Tile]]:
    """Yield tiles which cover an image of `height` and `width`.

    Each as three pairs of slices: the tile, the tile with a `margin` in pixels on all
    sides (less at the image's borders), and where in the latter the tile lies.
    """
    for y in range(0, height, _SIDE):
        rows = _cut(y, height, margin)
        for x in range(0, width, _SIDE):
            columns = _cut(x, width, margin)
            tile, wide, inside = zip(rows, columns, strict=True)
            yield tile, wide, inside


def _cut(start: int, size: int, margin: int) -> tuple[slice, slice, slice]:
    end, first = min(start + _SIDE, size), max(0, start - margin)
    wide = slice(first, min(end + margin, size))
    return slice(start, end), wide, slice(start - first, end - first)


class Enlarged:
    """A small map (h, w) or (h, w, C), enlarged bilinearly to `height` and `width`.

    `enlarged[rows, columns]` is a part of it: the whole would need too much memory.
    """

    def __init__(self, small: np.ndarray, height: int, width: int):
        self._rows = cv2.resize(small, (width, len(small)))
        # The middle of the first pixel, 0, lies half a pixel from the border.
        place = (np.arange(height) + 0.5) * len(small) / height - 0.5
        place = np.clip(place, 0, len(small) - 1)
        self._upper = place.astype(int)
        self._lower = np.minimum(self._upper + 1, len(small) - 1)
        self._share = (place - self._upper).astype(np.float32)

    def __getitem__(self, tile: Tile) -> np.ndarray:
        y, x = tile
        upper, lower = self._rows[self._upper[y], x], self._rows[self._lower[y], x]
        share = self._share[y].reshape(-1, *[1] * (upper.ndim - 1))
        return upper + share * (lower - upper)


def box(image: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean over a square window of 2 * `radius` + 1 pixels."""
    side = 2 * radius + 1
    return cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT)
