"""Holds the difference between `fg_bg` and `bg` against the mask."""

from __future__ import annotations

import math

import cv2
import numpy as np

from keras_depthseg.pictures.inversion import OPAQUE

# A picture whose background is not its `bg`, or whose mask is inverted, differs from
# `bg` outside the mask about as much as inside. Shadows of 1,200 rooms: outside 11.6
# grey levels at most, and a quarter of the difference inside.
_OUTSIDE = 12.0
_OUTSIDE_TO_INSIDE = 0.75

_SIDE = 224
"""Larger samples are reduced to it, in pixels: the numbers below hold at 128 to 224."""

_LEAST = 12.0
_TIMES_MEDIAN = 4.0
"""Grey levels that noise and JPEG do not reach; and of the median of the difference
outside the mask, which noise and another exposure raise."""

_NEAR = 0.03
"""Of the longer side, around the mask: soft edges, and light that objects throw."""

_FAINTEST = 12
"""Mask values up to it are noise of JPEG."""

_MOVED = 0.01
"""Of the longer side: where `bg` is found again so near, the camera has moved."""

_SHADOW = 0.25, 0.12
"""The share of the light that is left in a shadow at least, and how much the channels
may differ in it."""

# The geometric mean of two shares: of the mask that does not differ, and of the
# difference that is outside. Shadows and reflections raise one, camouflage the other.
# Highest of good samples: 0.03 of 3,200 composites with shadows and camouflage, 0.01 of
# 800 rooms, 0.18 of 120 with a moved camera, 0.07 of 35 real pairs, 0.17 of 370 that were
# shifted or turned afterwards. With the mask of another sample 86 to 97 % have more, and
# 71 % of the real pairs.
_MISFIT = 0.25

# Share of the picture that differs though nothing is opaque. None in 113 composites
# without foreground; 82 to 99 % of the samples with one have more.
_WITHOUT_MASK = 0.01

_SAME = 6
_SAME_SHARE = 0.97
"""Grey levels that JPEG may change, and the share of the mask that is not changed by more
where the photograph is the plate."""


def misfit(
    bg: np.ndarray,
    fg_bg: np.ndarray,
    mask: np.ndarray,
    outside_to_inside: float | None = _OUTSIDE_TO_INSIDE,
) -> str | None:
    """Return what speaks against the mask, or against `bg`, if anything does.

    Args:
        bg, fg_bg: (H, W, 3) uint8.
        mask: (H, W) uint8.
        outside_to_inside: the largest accepted ratio of the difference outside the mask
            to that inside; `None` if `bg` is not to be doubted.
    """
    other = None
    if outside_to_inside is not None:
        other = _other_background(bg, fg_bg, mask, outside_to_inside)
    return other or _other_mask(bg, fg_bg, mask)


def _other_background(
    bg: np.ndarray, fg_bg: np.ndarray, mask: np.ndarray, outside_to_inside: float
) -> str | None:
    difference = cv2.absdiff(bg, fg_bg)
    # cv2.mean takes the pixels where its mask is not 0.
    outside, inside = (
        np.mean(cv2.mean(difference, where.astype(np.uint8))[:3])
        for where in (mask == 0, mask > OPAQUE)
    )
    if outside <= max(_OUTSIDE, outside_to_inside * inside):
        return None
    return (
        f"fg_bg differs from bg by {outside:.0f} grey levels outside the mask and by "
        f"{inside:.0f} inside; is bg another picture, or is the mask inverted?"
    )


def _other_mask(bg: np.ndarray, fg_bg: np.ndarray, mask: np.ndarray) -> str | None:
    bg, fg_bg, mask = _reduced(bg, fg_bg, mask)
    bg, fg_bg = (cv2.blur(picture, (3, 3)) for picture in (bg, fg_bg))
    difference = cv2.absdiff(bg, fg_bg).max(axis=2)
    around = 2 * max(2, round(_NEAR * max(mask.shape))) + 1
    outside = cv2.dilate(mask, np.ones((around, around), np.uint8)) <= _FAINTEST
    inside = mask > OPAQUE
    least = _LEAST
    if outside.any():
        least = max(least, _TIMES_MEDIAN * float(np.median(difference[outside])))
    strange = np.count_nonzero(
        outside & (difference > least) & _new(bg, fg_bg, least) & ~_shade(bg, fg_bg)
    )
    if not inside.any():
        share = strange / mask.size
        if share <= _WITHOUT_MASK:
            return None
        return (
            f"nothing is opaque in the mask, but {share:.0%} of fg_bg differ from bg; "
            "does the mask belong to another sample?"
        )
    if np.mean(difference[inside] <= _SAME) > _SAME_SHARE:
        return (
            "fg_bg does not differ from bg inside the mask; is fg_bg the background, or "
            "does the mask belong to another sample?"
        )
    found = np.count_nonzero(inside & (difference > least))
    missing = 1 - found / np.count_nonzero(inside)
    beyond = strange / max(1, strange + found)
    if math.sqrt(missing * beyond) <= _MISFIT:
        return None
    return (
        f"fg_bg does not differ from bg in {missing:.0%} of the mask, and {beyond:.0%} "
        "of what differs is outside; does the mask belong to another sample?"
    )


def _reduced(*pictures: np.ndarray) -> list[np.ndarray]:
    """Return pictures of one size with sides of at most `_SIDE`."""
    height, width = pictures[0].shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in pictures]


def _new(bg: np.ndarray, fg_bg: np.ndarray, least: float) -> np.ndarray:
    """Return where `fg_bg` has colours that `bg` has nowhere near, (H, W) bool."""
    side = 2 * max(1, round(_MOVED * max(bg.shape[:2]))) + 1
    square = np.ones((side, side), np.uint8)
    above = cv2.subtract(fg_bg, cv2.dilate(bg, square))
    below = cv2.subtract(cv2.erode(bg, square), fg_bg)
    return cv2.max(above, below).max(axis=2) > least


def _shade(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Return where `fg_bg` is `bg` with less light of the same colour, (H, W) bool."""
    left = (fg_bg + np.float32(4)) / (bg + np.float32(4))
    least, most = left.min(axis=2), left.max(axis=2)
    darkest, apart = _SHADOW
    return (most < 1) & (least > darkest) & (most - least < apart)
