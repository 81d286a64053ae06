"""Encoded images to arrays at one resolution.

With OpenCV instead of TensorFlow's operations: on the same JPEGs the whole pipeline takes
half the processor time, and OpenCV releases the interpreter lock while it works.
"""

from __future__ import annotations

import contextlib
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
    decoded: that is faster and averages where interpolation would skip pixels. The rest
    is half-pixel bilinear interpolation. A PNG of at least twice the resolution is
    averaged by area.

    Args:
        channels: 3 for RGB, 1 for masks and depth.
        resolution: side of the square result, in pixels.

    Raises:
        ValueError: on a call, if the bytes are no image.
    """

    def __init__(self, channels: int, resolution: int):
        self.channels = channels
        self.resolution = resolution
        # The size of a JPEG is known only after decoding, but most images of a data set
        # have one size: begin with the factor of the last image.
        self._last_factor = 1

    def __call__(self, encoded: bytes) -> np.ndarray:
        """Return (resolution, resolution, channels) uint8, or uint16 of a 16-bit PNG."""
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
        # not depend on earlier images.
        while factor < 8 and (min(image.shape[:2]) + 1) // 2 >= self.resolution:
            factor *= 2
            image = self._decode(buffer, factor)
        self._last_factor = factor
        return image

    def _decode(self, buffer: np.ndarray, factor: int) -> np.ndarray:
        image = None
        # OpenCV has an error of its own for nothing at all, and for too many pixels.
        if buffer.size:
            with contextlib.suppress(cv2.error):
                image = cv2.imdecode(buffer, _FLAGS[self.channels] | _REDUCED[factor])
        if image is None:
            raise ValueError("a record holds an image that cannot be decoded")
        return image


class BackgroundCache:
    """Decoded backgrounds, each decoded once while memory allows.

    Many samples share a background: the original has 4,000 of each. Backgrounds are
    identified by their encoded bytes. Where room is short, images of other resolutions
    are dropped: a training at growing resolutions does not return to them. Safe to call
    from several threads at once.

    Args:
        capacity_bytes: limit of all decoded images and their keys together.
    """

    def __init__(self, capacity_bytes: int):
        self._capacity = capacity_bytes
        self._used = 0
        self._decoded: dict[int, dict[bytes, np.ndarray]] = {}
        self._lock = threading.Lock()

    def __call__(self, encoded: bytes, decode: Decoder) -> np.ndarray:
        """Decode an image, or return the decoded image of an earlier call.

        Args:
            encoded: the bytes of an image.
            decode: a decoder with 3 channels.

        Returns:
            (resolution, resolution, 3) uint8; shared, and read-only.
        """
        image = self._decoded.get(decode.resolution, {}).get(encoded)
        if image is None:
            image = decode(encoded)
            image.setflags(write=False)
            with self._lock:
                self._keep(encoded, image)
        return image

    def clear(self) -> None:
        """Drop all images."""
        with self._lock:
            self._decoded = {}
            self._used = 0

    def _keep(self, encoded: bytes, image: np.ndarray) -> None:
        resolution = len(image)
        size = image.nbytes + len(encoded)
        kept = self._decoded.get(resolution, {})
        if encoded in kept:
            return
        if self._used + size > self._capacity and len(self._decoded) > bool(kept):
            self._decoded = {resolution: kept}
            self._used = sum(len(k) + v.nbytes for k, v in kept.items())
        if self._used + size <= self._capacity:
            self._decoded.setdefault(resolution, kept)[encoded] = image
            self._used += size


# One for all pipelines of the process: TensorFlow keeps every Python function of a
# pipeline, and all objects it refers to, until the process ends.
background_cache = BackgroundCache(256 * 2**20)
