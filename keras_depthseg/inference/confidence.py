"""Say how surely a plate belongs to a photograph."""

from __future__ import annotations

import math

import cv2
import numpy as np

LOW = 0.5
"""Confidence below which a plate does not seem to belong to the photograph."""

# Both are compared on images of this side: small enough for noise, JPEG and what
# alignment leaves over to average out.
_SIDE = 112
# In pixels of that: smoothing, what counts as one place, and by how much the mask grows.
_SMOOTHING, _PLACE, _MARGIN = 1.0, 4.0, 3
# Opacity from which the mask hides the background.
_HIDDEN = 0.2
# Contrast in levels of 255 that noise has, too.
_NOISE = 3.0
# More than this share of the photograph need not be seen.
_ENOUGH = 0.5
# Logistic regression, see `plate_confidence`: bias, correlation, share that is seen.
_BIAS, _CORRELATION, _SEEN = -13.68, 12.65, 11.54


def plate_confidence(bg: np.ndarray, fg_bg: np.ndarray, mask: np.ndarray) -> float:
    """Return how surely a plate belongs to a photograph.

    A logistic regression of two numbers: the correlation of the details outside of the
    mask, and the share of the photograph that lies there, up to a half, as a wrong plate
    gives masks nearly everywhere. At 0.5, where half of the plates are wrong, a right one
    is as probable as a wrong one. Fitted to composites of 50 photographs and to 100
    `rooms`, 600 right and 600 wrong plates (of another scene, of the most similar one,
    mirrored, turned by 180 degrees), nearly all with changes of camera, light or sensor.
    Of other photographs (74) and rooms (150), 3 % of 1000 right plates had less than 0.5
    and 4 % of 1000 wrong ones more; most of those were mirrored.

    It cannot tell the mirrored plate of a symmetrical room or one plain wall from
    another. A mask over more than nine tenths counts against every plate, and so does
    one that misses most of the foreground.

    Args:
        bg, fg_bg: (H, W, 3) uint8 RGB, the plate aligned by `alignment.align`, and the
            photograph.
        mask: (h, w) float32 in [0, 1], what a network found with both; of any size.

    Returns:
        From 0 to 1.
    """
    hidden = (_reduced(mask.astype(np.float32)) > _HIDDEN).astype(np.uint8)
    hidden = cv2.dilate(hidden, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    seen = (hidden == 0).astype(np.float32)
    score = (
        _BIAS
        + _CORRELATION * _correlation(bg, fg_bg, seen)
        + _SEEN * min(float(seen.mean()), _ENOUGH)
    )
    return 1 / (1 + math.exp(-score))


def _correlation(bg: np.ndarray, fg_bg: np.ndarray, seen: np.ndarray) -> float:
    """Return the correlation of the details of two images where both are seen.

    The mean of a place is taken away, so that shadows and lamps do not count, and strong
    contrasts are weakened, so that one window does not decide. Where neither has
    details, as on a plain wall, they agree.
    """
    if not seen.any():
        seen = np.ones_like(seen)
    share = _blurred(seen) + 1e-6
    details, contrasts = [], []
    for image in (bg, fg_bg):
        grey = _reduced(image).astype(np.float32).mean(-1)
        grey = cv2.GaussianBlur(grey, (0, 0), _SMOOTHING)
        detail = (grey - _blurred(grey * seen) / share) * seen
        details.append(detail)
        contrasts.append(np.sqrt(_blurred(detail * detail) / share + _NOISE**2))
    plate, photograph = (detail / np.sqrt(np.maximum(*contrasts)) for detail in details)
    plain = 0.1 * _NOISE * float(seen.sum())
    energy = float(np.square(plate).sum()) * float(np.square(photograph).sum())
    return (float((plate * photograph).sum()) + plain) / (math.sqrt(energy) + plain)


def _reduced(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))


def _blurred(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _PLACE))
