"""Random changes of samples, by name."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from keras_depthseg.augment.capture import Capture
from keras_depthseg.augment.colours import contrast_tables, hsv_tables
from keras_depthseg.augment.names import AUGMENTATIONS, PRESETS, check_augmentation
from keras_depthseg.augment.saved_pipeline import SavedPipeline

# The defaults of albumentations 2.0.8: shifts of hue (in steps of 2 degrees), saturation
# and value (in levels of 255), relative change of contrast; probability of the shifts and
# of the change of contrast.
LIMITS = ((-20.0, 20.0), (-30.0, 30.0), (-20.0, 20.0), (-0.2, 0.2))
PROBABILITIES = (0.5, 0.5)


class BatchChange(Protocol):
    """A random change of the samples of a batch; safe to call from several threads."""

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, boxes: np.ndarray, seed: int
    ) -> None:
        """Change a batch in place.

        Args:
            images: `bg` and `fg_bg`, (2, B, H, W, 3) uint8 RGB, contiguous.
            labels: `mask` and `depth`, (2, B, H, W, 1) float32 in [0, 1].
            boxes: (B, 4): top, left, bottom and right as shares of the sides.
            seed: determines everything random, 0 or more.
        """
        ...


class RandomChanges:
    """Colour changes as in the original project, and mirroring.

    Hue, saturation, value and contrast: albumentations' `HueSaturationValue` and
    `RandomContrast` (since its version 1.4 `RandomBrightnessContrast` with
    `brightness_limit=0`), default limits and probabilities.

    The arithmetic equals that of albumentations to the bit, but uses look-up tables, made
    for a batch at once: the transforms of albumentations allocate a dozen arrays an
    image, and with them the whole pipeline was a quarter slower.

    Args:
        shared: one draw for `bg` and `fg_bg` of a sample, which is also mirrored with
            probability 1/2, labels and box included. Otherwise each image has a draw of
            its own, as in the original, and labels never change.
    """

    def __init__(self, shared: bool):
        self._shared = shared

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, boxes: np.ndarray, seed: int
    ) -> None:
        """Change a batch in place; arguments as in `BatchChange`."""
        rng = np.random.default_rng(seed)
        count = images.shape[1]
        pictures = images.reshape(-1, *images.shape[2:])
        draws = count if self._shared else len(pictures)
        drawn = rng.random((draws, 2)) < PROBABILITIES
        low, high = np.transpose(LIMITS)
        shifts = rng.uniform(low, high, (draws, 4))
        repeats = (len(pictures) // draws, 1)
        _change_colours(pictures, np.tile(drawn, repeats), np.tile(shifts, repeats))
        if self._shared:
            mirrored = rng.random(count) < 0.5
            for planes in (images, labels):
                planes[:, mirrored] = planes[:, mirrored, :, ::-1]
            mirrored &= boxes[:, 3] > 0  # That of an empty mask is all 0.
            boxes[mirrored] = np.abs(boxes[mirrored][:, [0, 3, 2, 1]] - [0, 1, 0, 1])


class CaptureChange:
    """The differences between two photographs of a scene, see `capture.Capture`.

    Args:
        capture: which differences.
        pixel: length of one "px of 224", in pixels of the images.
        before: changes that come before.
    """

    def __init__(
        self, capture: Capture, pixel: float = 1.0, before: BatchChange | None = None
    ):
        self._capture = capture
        self._pixel = pixel
        self._before = before

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, boxes: np.ndarray, seed: int
    ) -> None:
        """Change a batch in place; arguments as in `BatchChange`."""
        if self._before is not None:
            self._before(images, labels, boxes, seed)
        rng = np.random.default_rng(seed)
        self._capture(images, labels, boxes, rng, self._pixel)


def _change_colours(images: np.ndarray, drawn: np.ndarray, shifts: np.ndarray) -> None:
    tables = hsv_tables(*shifts[:, :3].T), contrast_tables(1.0 + shifts[:, 3])
    buffers = np.empty((2, *images.shape[1:]), np.uint8)
    for image, (shift, contrast), hsv_table, contrast_table in zip(
        images, drawn, *tables, strict=True
    ):
        if shift:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV, dst=buffers[0])
            hsv = cv2.LUT(hsv, hsv_table, dst=buffers[1])
            cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=image)
        if contrast:
            cv2.LUT(image, contrast_table, dst=image)


def make_augmentation(name: str, resolution: int) -> BatchChange | None:
    """Return the random changes of a name; `None` for `"none"`.

    Args:
        name: `"original"` for colour changes of each image, `"shared"` for those of
            each sample, and mirroring; `"tripod"`, `"handheld"`, `"phone"` or
            `"aligned"` for those of `"shared"` and then the differences between two
            photographs of a scene, see `capture.Capture`, with one pixel of the images
            for one "px of 224": a network trained on small images must see the shifts,
            in pixels, that it will see in large ones; or the path of a pipeline saved
            by `albumentations.save`, see `SavedPipeline`.
        resolution: side of the images, in pixels.

    Raises:
        UserError: if the name is unknown, or the file is missing or no pipeline, or
            changes the size of images.
    """
    check_augmentation(name)
    if name == "none":
        return None
    if name in AUGMENTATIONS:
        changes = RandomChanges(shared=name != "original")
        if name in PRESETS:
            return CaptureChange(Capture.preset(name), before=changes)
        return changes
    return SavedPipeline(name, resolution)
