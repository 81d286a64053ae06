"""Random changes of samples while they are read for training."""

from __future__ import annotations

import os

import cv2
import numpy as np

from keras_depthseg.augment.capture import simulate_capture
from keras_depthseg.augment.colours import contrast_tables, hsv_tables
from keras_depthseg.errors import UserError

AUGMENTATIONS = ("none", "original", "shared", "capture")


class RandomChanges:
    """Changes colours as the original project did, and mirrors.

    Hue, saturation, value and contrast: albumentations' `HueSaturationValue` and
    `RandomContrast` (which since its version 1.4 is `RandomBrightnessContrast` with
    `brightness_limit=0`), default limits, each with probability 1/2.

    The limits are albumentations' and so is the arithmetic, to the bit, but as look-up
    tables, made for a batch at once: its own transforms make a dozen arrays an image, and
    with them the whole pipeline was a quarter slower.

    Safe to call from several threads at once.

    Args:
        shared: one draw for `bg` and `fg_bg` of a sample, which half of the time is
            mirrored, too, labels and all. Otherwise each picture gets a draw of its own,
            as in the original, and labels are never touched.
        capture: then the two are made to differ, see `capture.simulate_capture`.
    """

    def __init__(self, shared: bool, capture: bool = False):
        # When imported, albumentations asks the package index for a newer version of
        # itself and warns if it cannot; a data pipeline does neither. Imported here,
        # since it takes PyTorch with it where that is installed: seconds that a run
        # without colour changes need not spend.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations

        hsv = albumentations.HueSaturationValue()
        contrast = albumentations.RandomBrightnessContrast(brightness_limit=0)
        limits = [
            hsv.hue_shift_limit,
            hsv.sat_shift_limit,
            hsv.val_shift_limit,
            contrast.contrast_limit,
        ]
        self._low, self._high = np.array(limits).T
        self._probabilities = (hsv.p, contrast.p)
        self._shared = shared
        self._capture = capture

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, boxes: np.ndarray, seed: int
    ) -> None:
        """Changes a batch in place.

        Args:
            images: `bg` and `fg_bg`, (2, B, H, W, 3) uint8 RGB, contiguous.
            labels: `mask` and `depth`, (2, B, H, W, 1).
            boxes: (B, 4): top, left, bottom and right as shares of the sides.
            seed: everything random follows from it.
        """
        rng = np.random.default_rng(seed)
        count = images.shape[1]
        pictures = images.reshape(-1, *images.shape[2:])
        draws = count if self._shared else len(pictures)
        drawn = rng.random((draws, 2)) < self._probabilities
        shifts = rng.uniform(self._low, self._high, (draws, 4))
        repeats = (len(pictures) // draws, 1)
        self._change_colours(pictures, np.tile(drawn, repeats), np.tile(shifts, repeats))
        if self._shared:
            mirrored = rng.random(count) < 0.5
            for planes in (images, labels):
                planes[:, mirrored] = planes[:, mirrored, :, ::-1]
            boxes[mirrored] = np.abs(boxes[mirrored][:, [0, 3, 2, 1]] - [0, 1, 0, 1])
        if self._capture:
            simulate_capture(images, rng)

    def _change_colours(self, images, drawn, shifts) -> None:
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


def make_augmentation(name: str) -> RandomChanges | None:
    """What changes batches; `None` for `"none"`.

    Args:
        name: `"original"` for colour changes of each picture, `"shared"` for those of
            each sample, and mirroring; `"capture"` for those of `"shared"` and then what
            makes two captures of a scene differ.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in AUGMENTATIONS:
        raise UserError(
            f"unknown augmentation: received {name!r}; accepted are "
            f"{', '.join(AUGMENTATIONS)}."
        )
    if name == "none":
        return None
    return RandomChanges(shared=name != "original", capture=name == "capture")
