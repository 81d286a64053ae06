"""Blur, sensor noise and compression of photographs."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.special import ive, ndtri

from keras_depthseg.augment.pair import Pair

# From this radius, in pixels, a disc differs from a Gaussian on the grid of pixels.
_DISC = 1.5
# Share of the noise's variance at mid-grey that does not depend on brightness.
_READ_NOISE = 0.1
# Standard deviation of the grain of demosaiced and compressed video, in pixels.
_GRAIN = (0.5, 1.0)
# 256 equally probable values of a normal distribution, scaled to unit variance. A byte
# looked up is ten times faster than NumPy's normal numbers, and levels are whole anyway.
_NORMAL: np.ndarray = ndtri((np.arange(256) + 0.5) / 256)
_NORMAL = (_NORMAL / _NORMAL.std()).astype(np.float32)


def defocus(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Blur one image or both as a lens out of focus does.

    Args:
        pair: changed in place.
        strength: radius of the disc, in pixels; or the blur is a Gaussian of the same
            variance, half the radius squared along each axis.
        rng: source of everything random.
    """
    images = pair.one_or_both(rng)
    disc = rng.random() < 0.5
    if disc and strength >= _DISC:
        kernel = _disc(strength)
        for image in images:
            _filter(image, kernel)
        return
    line = _gaussian(strength / 2)
    for image in images:
        cv2.sepFilter2D(
            image, -1, line, line, dst=image, borderType=cv2.BORDER_REFLECT_101
        )


def _gaussian(sigma: float) -> np.ndarray:
    """Return the discrete analogue of a Gaussian, whose variance is exactly sigma ** 2.

    A sampled Gaussian of less than a pixel has far too small a variance. Formula:
    Lindeberg, "Scale-Space for Discrete Signals", 1990: exp(-t) times the Bessel function
    I_n(t).
    """
    radius = int(np.ceil(4 * sigma)) + 1
    line = ive(np.arange(-radius, radius + 1), sigma**2)
    return (line / line.sum()).astype(np.float32)


def _disc(radius: float) -> np.ndarray:
    """Return a disc as a kernel, of variance radius ** 2 / 4 along each axis."""
    # Averaging over pixels adds a variance of 1/12.
    radius = (radius**2 - 1 / 3) ** 0.5
    size = 2 * int(np.ceil(radius - 0.5)) + 1
    fine = 8
    x = (np.arange(size * fine, dtype=np.float32) + 0.5) / fine - size / 2
    inside = (x**2 + x[:, None] ** 2 <= radius**2).astype(np.float32)
    kernel = cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA)
    return kernel / kernel.sum()


def motion_blur(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Blur one image or both along a line.

    Args:
        pair: changed in place.
        strength: length of the line, in pixels.
        rng: source of everything random.
    """
    images = pair.one_or_both(rng)
    angle = rng.uniform(0, np.pi)
    radius = int(np.ceil(strength / 2))
    # Points along the line, each shared by the four pixels around it.
    count = 8 * radius
    along = ((np.arange(count) + 0.5) / count - 0.5) * strength
    kernel = np.zeros((2 * radius + 2, 2 * radius + 2), np.float32)
    x, y = radius + along * np.cos(angle), radius + along * np.sin(angle)
    left, top = np.int64(np.floor(x)), np.int64(np.floor(y))
    for column, weight in ((left, 1 - (x - left)), (left + 1, x - left)):
        np.add.at(kernel, (top, column), weight * (1 - (y - top)))
        np.add.at(kernel, (top + 1, column), weight * (y - top))
    kernel = kernel[:-1, :-1] / count
    for image in images:
        _filter(image, kernel)


def _filter(image: np.ndarray, kernel: np.ndarray) -> None:
    cv2.filter2D(image, -1, kernel, dst=image, borderType=cv2.BORDER_REFLECT_101)


def add_noise(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Add sensor noise, of the same law and independent, to both images.

    Its variance is a constant (a tenth at mid-grey) plus a share of the brightness, as of
    photons counted. In half of the pairs it has a grain of about two pixels.

    Args:
        pair: changed in place.
        strength: standard deviation at mid-grey, in levels of 255.
        rng: source of everything random.
    """
    levels = np.arange(256, dtype=np.float32) / 127.5
    deviations = np.float32(strength) * np.sqrt(_READ_NOISE + (1 - _READ_NOISE) * levels)
    grain = _gaussian(rng.uniform(*_GRAIN)) if rng.random() < 0.5 else None
    for image in pair.images:
        drawn = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
        noise = cv2.LUT(drawn, _NORMAL)
        if grain is not None:
            line = grain / np.linalg.norm(grain)
            cv2.sepFilter2D(
                noise, -1, line, line, dst=noise, borderType=cv2.BORDER_REFLECT_101
            )
        cv2.multiply(noise, cv2.LUT(image, deviations), dst=noise)
        cv2.add(image, noise, dst=image, dtype=cv2.CV_8U)


def compress(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Store both images as JPEG files of quality `strength`, and read them again.

    Half of the pairs keep a quarter of the colour (4:2:0), the others all of it.
    """
    quarter = rng.random() < 0.5
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        if quarter
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    )
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        round(strength),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        sampling,
    ]
    for image in pair.images:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, options)
        image[...] = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
