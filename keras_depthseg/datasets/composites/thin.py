"""Thin cutouts: rods, bent wires and branches, a few pixels wide."""

from __future__ import annotations

import math

import cv2
import numpy as np

from keras_depthseg.datasets.composites.layer import Layer

_FINE = 3
"""Drawn so many times larger: widths are finer than pixels."""

_WIDTHS = 1.0, 5.0
"""In pixels of an image of 224 pixels; drawn evenly in the logarithm."""

_TIMES = np.linspace(0, 1, 24)[:, None]


def make_thin(size: int, rng: np.random.Generator) -> Layer:
    """Return a rod, a bent wire or a branch with twigs, of one colour.

    Args:
        size: height and width of the image it is for, in pixels; its extent is a fifth
            of that to all of it.
        rng: random numbers.
    """
    length = size * 0.2 * 5 ** rng.random()
    width = _WIDTHS[0] * (_WIDTHS[1] / _WIDTHS[0]) ** rng.random() * size / 224
    strokes = (_rod, _wire, _branch)[int(rng.integers(3))](length, rng)
    points = np.concatenate([stroke for stroke, _ in strokes])
    # Room for half the width on each side.
    origin = points.min(axis=0) - width
    wide, tall = np.ceil(points.max(axis=0) + width - origin).astype(int).tolist()
    fine = np.zeros((tall * _FINE, wide * _FINE), np.uint8)
    for stroke, part in strokes:
        thick = max(1, round(width * part * _FINE))
        drawn = np.round((stroke - origin) * _FINE).astype(np.int32)
        cv2.polylines(fine, [drawn], False, 255, thick, cv2.LINE_AA)
    alpha = cv2.resize(fine, (wide, tall), interpolation=cv2.INTER_AREA)
    colour = np.empty((tall, wide, 3), np.uint8)
    colour[:] = rng.integers(256, size=3)
    return Layer(cv2.multiply(colour, cv2.merge([alpha] * 3), scale=1 / 255), alpha)


_Strokes = list[tuple[np.ndarray, float]]
"""Points (N, 2) x, y in pixels, and the width as part of the widest."""


def _rod(length: float, rng: np.random.Generator) -> _Strokes:
    return [(np.stack([np.zeros(2), _direction(rng) * length]), 1.0)]


def _wire(length: float, rng: np.random.Generator) -> _Strokes:
    """A cubic Bezier curve."""
    return [(_bezier(rng.uniform(0, length, (4, 2))), 1.0)]


def _branch(length: float, rng: np.random.Generator) -> _Strokes:
    """A slightly bent stem with 2 to 5 twigs, thinner and shorter."""
    direction = _direction(rng)
    bends = rng.normal(0, 0.08 * length, (4, 2))
    stem = _bezier(np.linspace(0, 1, 4)[:, None] * direction * length + bends)
    strokes = [(stem, 1.0)]
    for _ in range(int(rng.integers(2, 6))):
        start = stem[int(rng.integers(len(stem) // 4, len(stem)))]
        end = start + 0.35 * length * rng.uniform(0.4, 1) * _direction(rng)
        middle = (start + end) / 2 + rng.normal(0, 0.04 * length, 2)
        strokes.append((_bezier(np.stack([start, middle, middle, end])), 0.6))
    return strokes


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def _bezier(points: np.ndarray) -> np.ndarray:
    """Return points on the cubic Bezier curve of (4, 2) control points."""
    t, s = _TIMES, 1 - _TIMES
    first, second, third, fourth = points
    return s**3 * first + 3 * s**2 * t * second + 3 * s * t**2 * third + t**3 * fourth
