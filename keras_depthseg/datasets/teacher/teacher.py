"""Labels depth by a pretrained monocular network, the teacher.

    teacher = load_teacher(parse_teacher("pydnet.tflite,input=0:1,larger=farther"))
    depth = teacher.label(images)

Without `output` and `unit`, each picture is stretched between percentiles of its own
output: labels of two pictures then have no common scale.
"""

from __future__ import annotations

import logging
import threading

import cv2
import numpy as np

from keras_depthseg.datasets.teacher.networks import DepthNetwork, network_kind
from keras_depthseg.datasets.teacher.settings import (
    PERCENTILES,
    TeacherSettings,
    parse_teacher,
)
from keras_depthseg.errors import UserError

__all__ = ["Teacher", "TeacherSettings", "load_teacher", "parse_teacher"]

# Of the depths of a batch at an end of the range, or so near to it that metres must be
# meant otherwise: with a share a warning, and with all an error if there are so many
# pictures that it cannot be the sky.
_NEAR = 0.03
_AT_ENDS = 0.75
_ALL_AT_ENDS = 0.99
_PICTURES = 8

logger = logging.getLogger(__name__)

# A relative range below this is rounding, not depth.
_FLAT = 1e-6
# Of ImageNet's RGB in 0..1, https://pytorch.org/vision/stable/models.html.
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


class Teacher:
    """Labels pictures with depth in 0..1, larger = farther; see `load_teacher`.

    Safe to call from several threads at once. The label of a picture depends on that
    picture only, to the bit: each runs alone, so the batch has no effect.

    Attributes:
        settings: given to `load_teacher`.
        depth: the meaning of its labels, for a data set's metadata.
    """

    def __init__(self, settings: TeacherSettings, network: DepthNetwork):
        self.settings = settings
        self.depth = settings.metadata
        self._network = network
        self._lock = threading.Lock()
        self._warned = False

    def label(self, images: np.ndarray) -> np.ndarray:
        """Return the depth of a batch of pictures, at the pictures' size.

        A stretched output that is the same everywhere says nothing about depth and
        becomes 0.5.

        Args:
            images: (B, H, W, 3) uint8 RGB.

        Returns:
            (B, H, W) float32 in [0, 1], larger = farther.

        Raises:
            ValueError: `images` has another shape or type.
            UserError: the network gives values that are not finite, or none in the range
                of the settings for several pictures.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(
                "images must be (B, H, W, 3) uint8. "
                f"Received: shape={images.shape}, dtype={images.dtype}"
            )
        labels = np.empty(images.shape[:3], np.float32)
        outputs = []
        for position, image in enumerate(images):
            picture = self._prepare(image)
            with self._lock:
                output = self._network(picture)
            crop = self.settings.crop
            inner = output[crop : output.shape[0] - crop, crop : output.shape[1] - crop]
            if not np.isfinite(inner).all():
                raise UserError(
                    f"`depth` {self.settings}: received {(~np.isfinite(inner)).sum()} "
                    f"depths that are not finite for picture {position} of a batch; "
                    "expected numbers. Check input or use another network."
                )
            outputs.append(inner)
            depth = self._normalize(inner)
            depth = np.pad(depth, crop, mode="edge")
            labels[position] = _resize(depth, image.shape[:2])
        self._check_range(np.stack(outputs))
        # Averages of values in 0..1 may round to a little more.
        return np.clip(labels, 0.0, 1.0, out=labels)

    def _prepare(self, image: np.ndarray) -> np.ndarray:
        """Return a picture at the network's size, in the network's range, float32."""
        picture = _resize(image, self._network.size).astype(np.float32)
        limits = self.settings.input
        if limits is None:
            return picture
        if isinstance(limits, str):  # "imagenet"
            return (picture / 255 - _IMAGENET_MEAN) / _IMAGENET_STD
        low, high = limits
        return picture * np.float32((high - low) / 255) + np.float32(low)

    def _range(self) -> tuple[float, float] | None:
        """Return the outputs that become 0 and 1; `None` if each picture is stretched."""
        if self.settings.scale is not None:  # metres
            return 0.0, self.settings.scale
        return self.settings.output

    def _check_range(self, outputs: np.ndarray) -> None:
        """Compare the outputs of a batch, (B, H, W), with the range of the settings."""
        limits = self._range()
        if limits is None or not outputs.size:
            return
        low, high = limits
        near = _NEAR * high if self.settings.scale is not None else low
        at_ends = np.mean((outputs <= near) | (outputs >= high))
        if at_ends <= _AT_ENDS:
            return
        line = (
            f"`depth` {self.settings}: received outputs of {outputs.min():.4g} to "
            f"{outputs.max():.4g}, of which {at_ends:.0%} are not between {near:.4g} and "
            f"{high:.4g}; expected most of them there. Correct unit, scale or output."
        )
        if at_ends > _ALL_AT_ENDS and len(outputs) >= _PICTURES:
            raise UserError(line)
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            logger.warning("%s", line)

    def _normalize(self, output: np.ndarray) -> np.ndarray:
        """Return an output in 0..1, larger = farther."""
        if limits := self._range():
            low, high = limits
        else:
            low, high = np.percentile(output, PERCENTILES)
            if high - low <= _FLAT * max(abs(low), abs(high)):
                return np.full_like(output, 0.5)
        depth = np.clip((output - low) / (high - low), 0, 1).astype(np.float32)
        return depth if self.settings.larger == "farther" else 1 - depth


def load_teacher(settings: TeacherSettings) -> Teacher:
    """Open the network and run it once to check that it gives a depth map.

    Raises:
        UserError: the network cannot be opened or used, or contradicts the settings.
    """
    name = settings.network
    network = DepthNetwork(name, network_kind(name), settings.size)
    if 2 * settings.crop >= min(network.output_size):
        height, width = network.output_size
        raise UserError(
            f"{name}: received crop={settings.crop}, which leaves nothing of an output "
            f"of {height}x{width}; expected less than half of that."
        )
    if np.issubdtype(network.dtype, np.integer) and settings.input not in (
        None,
        (0, 255),
        (-128, 127),
    ):
        raise UserError(
            f"`depth` {settings}: this network takes {network.dtype}; expected "
            "input=0:255 or input=-128:127."
        )
    if network.metric and settings.larger != "farther":
        raise UserError(
            f"{name}: received larger=nearer, but this preset predicts metres; expected "
            "larger=farther."
        )
    if network.metric is False and settings.unit == "metre":
        raise UserError(
            f"{name}: received unit=metre, but this preset predicts relative depth; "
            "leave unit and scale out."
        )
    return Teacher(settings, network)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize by area where the image shrinks, else half-pixel bilinear."""
    if image.shape[:2] == tuple(size):
        return image
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=interpolation)
