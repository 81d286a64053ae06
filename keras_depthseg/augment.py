"""Colour changes of `bg` and `fg_bg`; labels are never touched."""

from __future__ import annotations

import os

import cv2
import numpy as np

from keras_depthseg.errors import UserError

AUGMENTATIONS = ("none", "original")


class OriginalColourChanges:
    """Hue, saturation, value and contrast, as the original project applied them.

    albumentations' `HueSaturationValue` and `RandomContrast` (which since its version
    1.4 is `RandomBrightnessContrast` with `brightness_limit=0`), default limits, each
    with probability 1/2. `bg` and `fg_bg` get draws of their own, as in the original.

    The limits are albumentations' and so is the arithmetic, to the bit, but as look-up
    tables, made for a batch at once: its own transforms make a dozen arrays an image, and
    with them the whole pipeline was a quarter slower.

    Safe to call from several threads at once.
    """

    def __init__(self):
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

    def __call__(self, images: np.ndarray, seed: int) -> None:
        """Changes images in place, each by draws of its own.

        Args:
            images: (N, H, W, 3) uint8 RGB, contiguous.
            seed: everything random follows from it.
        """
        rng = np.random.default_rng(seed)
        drawn = rng.random((len(images), 2)) < self._probabilities
        shifts = rng.uniform(self._low, self._high, (len(images), 4))
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


_LEVELS = np.arange(256, dtype=np.float32)


def hsv_tables(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Shifts as look-up tables of OpenCV's 8-bit HSV, one for each image.

    Args:
        hue: (N,), in steps of 2 degrees; hues go round at 180.
        saturation: (N,), in levels of 255; greys stay grey.
        value: (N,), in levels of 255.

    Returns:
        (N, 1, 256, 3) uint8.
    """
    tables = np.empty((len(hue), 256, 3), np.uint8)
    tables[..., 0] = np.mod(np.arange(256) + hue[:, None], 180)
    tables[..., 1] = _levels(_LEVELS + np.trunc(saturation[:, None]))
    tables[..., 2] = _levels(_LEVELS + np.trunc(value[:, None]))
    tables[:, 0, 1] = 0
    return tables[:, None]


def contrast_tables(factor: np.ndarray) -> np.ndarray:
    """Every level times a factor, clipped: (N,) to (N, 256) uint8."""
    return _levels(_LEVELS * factor[:, None].astype(np.float32))


def _levels(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 255).astype(np.uint8)


def make_augmentation(name: str) -> OriginalColourChanges | None:
    """The colour changes of that name; `None` for `"none"`.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in AUGMENTATIONS:
        raise UserError(
            f"unknown augmentation: received {name!r}; accepted are "
            f"{', '.join(AUGMENTATIONS)}."
        )
    return OriginalColourChanges() if name == "original" else None
