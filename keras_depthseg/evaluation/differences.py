"""Masks from the difference of plate and picture: its threshold, and programs started
from it.

All take `bg`, `fg_bg`, (H, W, 3) uint8, RGB, and give a mask (H, W) float32, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_SEARCHED = 2
"""In pixels, by the local search."""
_MEDIANS = (1, 3, 5, 7, 9)


def difference(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Return the largest absolute difference of the channels, (H, W) uint8."""
    return _largest(cv2.absdiff(bg, fg_bg))


def searched_difference(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Return the least `difference` to the plate moved by up to 2 px, (H, W) uint8."""
    height, width = bg.shape[:2]
    side = _SEARCHED
    around = cv2.copyMakeBorder(bg, side, side, side, side, cv2.BORDER_REPLICATE)
    least = np.full((height, width), 255, np.uint8)
    for y in range(2 * _SEARCHED + 1):
        for x in range(2 * _SEARCHED + 1):
            moved = around[y : y + height, x : x + width]
            least = np.minimum(least, difference(moved, fg_bg))
    return least


def _largest(channels: np.ndarray) -> np.ndarray:
    red, green, blue = cv2.split(channels)
    return cv2.max(cv2.max(red, green), blue)


@dataclass(frozen=True)
class Threshold:
    """The foreground is where a difference, after a median filter, is above a threshold.

    Attributes:
        measure: `difference` or `searched_difference`.
        threshold: 0..255.
        median: side of the filter in pixels, odd; 1 for none.
    """

    measure: Callable[[np.ndarray, np.ndarray], np.ndarray] = difference
    threshold: int = 40
    median: int = 5

    def __call__(self, bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
        levels = cv2.medianBlur(self.measure(bg, fg_bg), self.median)
        return (levels > self.threshold).astype(np.float32)


class ThresholdSearch:
    """Finds threshold and median with the best mean hard IoU, reading images once.

    A median filter and a threshold may change places. So for each filter two histograms
    of the filtered difference, of foreground and of background, give the IoU at every
    threshold exactly.
    """

    def __init__(self, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        self._measure = measure
        self._total = np.zeros((len(_MEDIANS), 256))

    def add(
        self,
        bg: np.ndarray,
        fg_bg: np.ndarray,
        mask: np.ndarray,
        known: np.ndarray | None = None,
    ) -> None:
        """Add a sample; `mask` (H, W) in [0, 1], `known` (H, W) bool."""
        levels = self._measure(bg, fg_bg)
        known = np.ones(mask.shape, bool) if known is None else known
        foreground, background = known & (mask >= 0.5), known & (mask < 0.5)
        for row, size in enumerate(_MEDIANS):
            filtered = cv2.medianBlur(levels, size)
            inside, outside = (
                _above(filtered[where]) for where in (foreground, background)
            )
            union = np.count_nonzero(foreground) + outside
            self._total[row] += np.where(union > 0, inside / np.maximum(union, 1), 1)

    def best(self) -> Threshold:
        """Return the best; of equal ones the smallest filter, then threshold."""
        row, threshold = np.unravel_index(self._total.argmax(), self._total.shape)
        return Threshold(self._measure, int(threshold), _MEDIANS[row])


def _above(levels: np.ndarray) -> np.ndarray:
    """Return the number of levels above each of 0..255."""
    return levels.size - np.cumsum(np.bincount(levels, minlength=256))


def otsu(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Threshold the difference, after a 5x5 median filter, by Otsu's method.

    A flat difference has no two classes: nothing is foreground.
    """
    levels = cv2.medianBlur(difference(bg, fg_bg), 5)
    if levels.min() == levels.max():
        return np.zeros(levels.shape, np.float32)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return mask.astype(np.float32)


def mog2(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Show the plate, then the picture to OpenCV's MOG2 with its own settings.

    What it takes for a shadow is background. It sees the plate once: whenever it sees the
    same again it expects less noise of the camera, and finds more foreground.
    """
    subtractor = cv2.createBackgroundSubtractorMOG2(detectShadows=True)
    subtractor.apply(bg)
    return (subtractor.apply(fg_bg, learningRate=0) == 255).astype(np.float32)


def grabcut(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Improve the thresholded difference by one round of GrabCut on the picture.

    The foreground is sure where the difference is twice the threshold all around, the
    background a twentieth of the longer side away from any difference above it.
    """
    threshold = Threshold()
    levels = cv2.medianBlur(difference(bg, fg_bg), threshold.median)
    above = (levels > threshold.threshold).view(np.uint8)
    reach = 2 * max(1, max(levels.shape) // 20) + 1
    near = cv2.dilate(above, np.ones((reach, reach), np.uint8))
    sure = cv2.erode((levels > 2 * threshold.threshold).view(np.uint8), np.ones((3, 3)))
    labels = np.where(near, np.uint8(cv2.GC_PR_BGD), np.uint8(cv2.GC_BGD))
    labels[above > 0] = cv2.GC_PR_FGD
    labels[sure > 0] = cv2.GC_FGD
    # It needs both kinds.
    if above.any() and not above.all():
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        whole = (0, 0, 0, 0)  # not used with labels
        cv2.grabCut(fg_bg, labels, whole, *models, 1, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
