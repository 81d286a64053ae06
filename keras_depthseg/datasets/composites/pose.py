"""Random poses of a cutout: its height, mirrored, turned, out of focus."""

from __future__ import annotations

import math

import cv2
import numpy as np

from keras_depthseg.datasets.composites.layer import Layer

SMALLEST, LARGEST = 0.12, 0.95
"""Height of a cutout as part of the image's: a child far away, a person close by. The
logarithm is drawn evenly: small ones are as frequent as large ones."""

TURNED, ANGLE = 0.5, 10.0
"""Share of turned cutouts, and their largest angle in degrees: people lean."""

BLURRED = 0.3
"""Share of cutouts out of focus: edges are not always as sharp as a cutter's."""

_BLUR = 0.4, 1.3
"""Standard deviation in pixels of an image of 224 pixels; more hides the outline."""


def source_height(size: int) -> int:
    """Return the height at which to read cutouts for images of `size` pixels."""
    return round(LARGEST * size)


def random_pose(
    cutout: Layer, size: int, rng: np.random.Generator, largest: float = LARGEST
) -> Layer:
    """Return a cutout at a random height, perhaps mirrored, turned and blurred.

    Args:
        cutout: any layer; best not much smaller than it will be.
        size: height and width of the image, in pixels.
        rng: random numbers.
        largest: height at most, as part of the image's.
    """
    height = size * math.exp(rng.uniform(math.log(SMALLEST), math.log(largest)))
    mirrored, turned, blurred = rng.random(3) < (0.5, TURNED, BLURRED)
    posed = cutout.fitted(max(2, round(height)), size)
    if mirrored:
        posed = posed.flipped()
    if turned:
        posed = _turned(posed, rng.uniform(-ANGLE, ANGLE))
    return _blurred(posed, rng.uniform(*_BLUR) * size / 224) if blurred else posed


def _turned(layer: Layer, angle: float) -> Layer:
    """Turn a layer about its middle, `angle` degrees against the clock; it grows."""
    tall, wide = layer.alpha.shape
    cosine = math.cos(math.radians(angle))
    sine = abs(math.sin(math.radians(angle)))
    height = math.ceil(tall * cosine + wide * sine) + 2
    width = math.ceil(wide * cosine + tall * sine) + 2
    middle = (wide - 1) / 2, (tall - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, angle, 1.0)
    matrix[:, 2] += (width - 1) / 2 - middle[0], (height - 1) / 2 - middle[1]
    colour, alpha = (
        cv2.warpAffine(picture, matrix, (width, height))
        for picture in (layer.colour, layer.alpha)
    )
    return Layer(colour, alpha)


def _blurred(layer: Layer, sigma: float) -> Layer:
    beyond = math.ceil(2 * sigma)
    sides = beyond, beyond, beyond, beyond
    colour, alpha = (
        cv2.GaussianBlur(
            cv2.copyMakeBorder(picture, *sides, cv2.BORDER_CONSTANT), (0, 0), sigma
        )
        for picture in (layer.colour, layer.alpha)
    )
    return Layer(colour, alpha)
