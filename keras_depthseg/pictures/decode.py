"""Encoded images to arrays at one resolution.

OpenCV and not TensorFlow's operations: on the same JPEGs the whole pipeline takes half
the processor time, and OpenCV lets go of the interpreter lock while it works.
"""

from __future__ import annotations

import functools
import threading

import cv2
import numpy as np

_JPEG_MAGIC = b"\xff\xd8"
# As stored: an orientation tag is not applied, as TFDS does not apply it.
_FLAGS = {
    1: cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION,
    3: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION,
}
# OpenCV's bits for decoding at 1/2, 1/4 and 1/8 of the size.
_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


class Decoder:
    """Decodes images of one kind to one resolution.

    A JPEG of at least twice the resolution is halved, up to three times, while it is
    decoded: that is faster and averages where interpolation would skip pixels. What is
    left is half-pixel bilinear interpolation. A larger PNG is reduced by area.

    Args:
        channels: 3 for RGB, 1 for masks and depth.
        resolution: side of the square result, in pixels.

    Raises:
        ValueError: on a call, if the bytes are no image.
    """

    def __init__(self, channels: int, resolution: int):
        self.channels = channels
        self.resolution = resolution
        # The size of a JPEG is known only once it is decoded, but the images of a data
        # set have mostly one size: begin with what was right the last time.
        self._last_factor = 1

    def __call__(self, encoded: bytes) -> np.ndarray:
        """(resolution, resolution, channels), uint8, or uint16 from a 16-bit PNG."""
        buffer = np.frombuffer(encoded, np.uint8)
        if encoded[:2] == _JPEG_MAGIC:
            image = self._decode_jpeg(buffer)
        else:
            image = self._decode(buffer, factor=1)
        side = self.resolution
        if image.shape[:2] != (side, side):
            smaller = min(image.shape[:2]) >= 2 * side
            image = cv2.resize(
                image,
                (side, side),
                interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR,
            )
        return image.reshape(side, side, self.channels)

    def _decode_jpeg(self, buffer: np.ndarray) -> np.ndarray:
        factor = self._last_factor
        image = self._decode(buffer, factor)
        while factor > 1 and min(image.shape[:2]) < self.resolution:
            factor //= 2
            image = self._decode(buffer, factor)
        # Halving rounds up. With the same condition in both directions the result does
        # not depend on what was decoded before.
        while factor < 8 and (min(image.shape[:2]) + 1) // 2 >= self.resolution:
            factor *= 2
            image = self._decode(buffer, factor)
        self._last_factor = factor
        return image

    def _decode(self, buffer: np.ndarray, factor: int) -> np.ndarray:
        image = None
        if buffer.size:  # OpenCV has an error of its own for nothing at all.
            image = cv2.imdecode(buffer, _FLAGS[self.channels] | _REDUCED[factor])
        if image is None:
            raise ValueError("a record holds an image that cannot be decoded")
        return image


class BackgroundCache:
    """Decoded backgrounds at one resolution, each decoded once while memory allows.

    Many samples share a background: the original has 4,000 of each. Backgrounds are told
    apart by their encoded bytes. Safe to call from several threads at once.

    Args:
        resolution: side of the images, in pixels.
        capacity_bytes: no more are kept once this is used up.
    """

    def __init__(self, resolution: int, capacity_bytes: int = 256 * 2**20):
        self._decode = Decoder(3, resolution)
        self._capacity = capacity_bytes // (3 * resolution**2)
        self._decoded: dict[bytes, np.ndarray] = {}
        self._lock = threading.Lock()

    def __call__(self, encoded: bytes) -> np.ndarray:
        """(resolution, resolution, 3) uint8; shared, and read-only."""
        image = self._decoded.get(encoded)
        if image is None:
            image = self._decode(encoded)
            image.setflags(write=False)
            with self._lock:
                if len(self._decoded) < self._capacity:
                    self._decoded[encoded] = image
        return image


@functools.cache
def background_cache(resolution: int) -> BackgroundCache:
    """The one cache of this process for a resolution.

    One for all pipelines: TensorFlow keeps every Python function of a pipeline, and what
    it holds on to, until the process ends.
    """
    return BackgroundCache(resolution)
