"""What is doubtful about samples that can be used."""

from __future__ import annotations

import cv2
import numpy as np

from keras_depthseg.pictures.inversion import OPAQUE

THUMBNAIL = 64
"""Side of the pictures that are compared, in pixels."""

# Outside of an inverted mask the picture differs from its plate by more than inside. Of
# 1,456 composites and 35 pairs of photographs the outside differs by 11.2 levels at most,
# and by 0.22 of the inside; inverted, all of them are found.
_OUTSIDE = 12.0
_OUTSIDE_TO_INSIDE = 2.0

# JPEG leaves noise of a few levels where a mask is black.
_FAINTEST = 16
_EVERYWHERE = 0.99


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return (H, W) or (H, W, 3) uint8 squeezed to a small square."""
    return cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def doubt_of_mask(bg: np.ndarray, fg_bg: np.ndarray, mask: np.ndarray) -> str | None:
    """Return why a mask may be wrong, or `None`.

    Args:
        bg, fg_bg: thumbnails, (H, W, 3) uint8.
        mask: (H, W) uint8, whole.
    """
    peak = int(mask.max())
    if _FAINTEST < peak <= OPAQUE:
        return (
            f"its largest value is {peak} of 255, so that nothing in it counts as "
            "foreground; is it faint?"
        )
    small = thumbnail(mask)
    inside = small > OPAQUE
    if inside.mean() > _EVERYWHERE:
        return "it is opaque everywhere; is it inverted, or a mask at all?"
    if not inside.any():
        return None
    change = fg_bg.astype(np.int16) - bg
    within, without = _levels(change, inside)
    if not _differs_outside(within, without):
        return None
    # A camera that makes all of it darker may bring a bright foreground near the plate.
    exposure = np.median(change, axis=(0, 1))
    if not _differs_outside(*_levels(change - exposure, inside)):
        return None
    return (
        f"fg_bg differs from bg by {without:.0f} grey levels where it is black, and by "
        f"{within:.0f} where it is white; is it inverted?"
    )


def _levels(change: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Return the mean size of a change inside and outside of a mask."""
    size = np.abs(change).mean(axis=2)
    return float(size[inside].mean()), float(size[~inside].mean())


def _differs_outside(within: float, without: float) -> bool:
    return without > max(_OUTSIDE, _OUTSIDE_TO_INSIDE * within)
