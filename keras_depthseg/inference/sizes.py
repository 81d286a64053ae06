"""Sizes of photographs and of what the network sees of them."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from keras_depthseg.shapes import SIDE_MULTIPLE


@functools.lru_cache
def working_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """Return the size at which a network sees a photograph: height and width.

    Multiples of 32 with about `resolution`² pixels and the photograph's aspect, at most
    four times as long as `resolution`.

    Args:
        height, width: of the photograph, in pixels.
        resolution: side of the images that the network was trained with.
    """

    def cost(size: tuple[int, int]) -> float:
        stretched = abs(math.log(size[1] / size[0] * height / width))
        larger = abs(math.log(size[0] * size[1] / resolution**2))
        return stretched + 0.25 * larger

    sides = range(SIDE_MULTIPLE, 4 * resolution + 1, SIDE_MULTIPLE)
    return min(((h, w) for h in sides for w in sides), key=cost)


def within(height: int, width: int, side: int) -> tuple[int, int]:
    """Return width and height of an image reduced to a longer side of at most `side`."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image at another width and height; averaged by area if it is reduced."""
    if image.shape[1::-1] == size:
        return image
    smaller = image.shape[1] >= size[0] and image.shape[0] >= size[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method))
