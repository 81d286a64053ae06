"""Colour changes of `bg` and `fg_bg`; labels are never touched."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import numpy as np

from keras_depthseg.errors import UserError

AUGMENTATIONS = ("none", "original")


class OriginalColourChanges:
    """Hue, saturation, value and contrast, as the original project applied them.

    albumentations' `HueSaturationValue` and `RandomContrast` (which since its version
    1.4 is `RandomBrightnessContrast` with `brightness_limit=0`), default limits, each
    with probability 1/2. `bg` and `fg_bg` get draws of their own, as in the original.

    Safe to call from several threads at once.
    """

    def __init__(self):
        # A Compose carries its random state, so each thread has one of its own.
        self._local = threading.local()

    def __call__(
        self, bg: Sequence[np.ndarray], fg_bg: Sequence[np.ndarray], seed: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Changes one batch.

        Args:
            bg: images, (H, W, 3) uint8 RGB; they are not written to.
            fg_bg: likewise.
            seed: everything random follows from it.

        Returns:
            The changed images of both; an image that was not drawn is returned as it is.
        """
        if not hasattr(self._local, "compose"):
            self._local.compose = _original_compose()
        compose = self._local.compose
        compose.set_random_seed(seed)
        return (
            [compose(image=image)["image"] for image in bg],
            [compose(image=image)["image"] for image in fg_bg],
        )


def _original_compose():
    # When imported, albumentations asks the package index for a newer version of itself
    # and warns if it cannot; a data pipeline does neither.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations.Compose(
        [
            albumentations.HueSaturationValue(p=0.5),
            albumentations.RandomBrightnessContrast(brightness_limit=0, p=0.5),
        ]
    )


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
