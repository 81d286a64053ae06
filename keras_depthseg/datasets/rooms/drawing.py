"""Drawing the pictures of surfaces in perspective, times the light on them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import lighting
from keras_depthseg.datasets.rooms.geometry import Projection, Surface

SUPERSAMPLING = 2
"""Colour samples along each side of a pixel."""


def colours(
    projection: Projection,
    index: np.ndarray,
    maps: Mapping[int, np.ndarray],
    gain: float,
) -> np.ndarray:
    """Return pictures times light for every sample of `index`: (2H, 2W, 3) uint8."""
    result = np.full((*index.shape, 3), 225, np.uint8)
    smaller: dict[tuple[int, int], np.ndarray] = {}
    for number, light_map in maps.items():
        surface = projection.surfaces[number]
        y0, y1, x0, x1 = projection.window(number, SUPERSAMPLING)
        seen = (index[y0:y1, x0:x1] == number).view(np.uint8)
        x, y, w, h = cv2.boundingRect(seen)
        seen = np.ascontiguousarray(seen[y : y + h, x : x + w])
        x, y = x + x0, y + y0
        # Sample numbers -> pixel coordinates -> place on the surface.
        offset = np.array(
            [
                [1 / SUPERSAMPLING, 0, (x + 0.5) / SUPERSAMPLING],
                [0, 1 / SUPERSAMPLING, (y + 0.5) / SUPERSAMPLING],
                [0, 0, 1],
            ]
        )
        matrix = projection.maps[number] @ offset
        repeats = _repeats(surface)
        level = _level(surface, matrix, repeats, (w, h))
        key = (id(surface.picture), level)
        if key not in smaller:
            smaller[key] = _shrink(surface.picture, level)
        border = cv2.BORDER_WRAP if surface.tile else cv2.BORDER_REPLICATE
        albedo = _warp(smaller[key], matrix, repeats, (w, h), border)
        light = _warp(light_map, matrix, (1.0, 1.0), (w, h), cv2.BORDER_REPLICATE)
        factor = (1.0 if surface.emission else gain) / lighting.UNIT
        shaded = cv2.multiply(albedo, light, scale=factor)
        cv2.copyTo(shaded, seen, result[y : y + h, x : x + w])
    return result


def _repeats(surface: Surface) -> tuple[float, float]:
    if surface.tile is None:
        return 1.0, 1.0
    wide, tall = surface.extent()
    return wide / surface.tile[0], tall / surface.tile[1]


def _level(surface, matrix: np.ndarray, repeats, shape: tuple[int, int]) -> int:
    """How often to halve a picture so that it has about a pixel a sample."""
    s, t, w = matrix @ (shape[0] / 2, shape[1] / 2, 1.0)
    (sx, sy, _), (tx, ty, _), (wx, wy, _) = matrix.tolist()
    # Area of the surface under one sample at the window's middle.
    area = (sx * w - s * wx) * (ty * w - t * wy) - (sy * w - s * wy) * (tx * w - t * wx)
    area = abs(area) / max(w**4, 1e-30)
    height, width = surface.picture.shape[:2]
    pixels = area * repeats[0] * repeats[1] * height * width
    return min(max(round(0.5 * math.log2(max(pixels, 1e-9)) - 0.2), 0), 4)


def _shrink(picture: np.ndarray, level: int) -> np.ndarray:
    picture = picture[..., :3]
    if level:
        shape = [max(2, side >> level) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


def _warp(picture, matrix, repeats, shape, border) -> np.ndarray:
    """Draw a picture stretched over a surface, row 0 at t = 1: (h, w, 3) uint8."""
    height, width = picture.shape[:2]
    columns, rows = width * repeats[0], height * repeats[1]
    to_picture = np.array(
        [[columns, 0.0, -0.5], [0.0, -rows, rows - 0.5], [0.0, 0.0, 1.0]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(
        picture, to_picture @ matrix, shape, flags=flags, borderMode=border
    )
