"""The measures of matting papers, of one image: MAD, MSE, Grad and Conn.

All take maps (H, W) in [0, 1], and optionally `known`, (H, W) bool: a pixel whose true
value is unknown takes the predicted value, and only known pixels are summed. The units
are those of the papers: MAD and MSE x 1,000, Grad and Conn / 1,000.

Source: Rhemann et al. 2009, A perceptually motivated online benchmark for image matting,
https://doi.org/10.1109/CVPR.2009.5206503.
"""

from __future__ import annotations

import cv2
import numpy as np

# Of the filters of Grad. Beyond the radius the kernel is below 0.01, where the published
# scripts end it too.
_SIGMA = 1.4
_RADIUS = 4
# Of Conn: thresholds 0.1, 0.2, … 1, and the least difference that counts.
_STEPS = 10
_THETA = 0.15


def completed(
    y_true: np.ndarray, y_pred: np.ndarray, known: np.ndarray | None
) -> np.ndarray:
    """Return `y_true` with the predicted value where it is unknown."""
    return y_true if known is None else np.where(known, y_true, y_pred)


def mad(y_true: np.ndarray, y_pred: np.ndarray, known: np.ndarray | None = None) -> float:
    """Return the mean absolute difference x 1,000; NaN if no pixel is known."""
    error = np.abs(y_true.astype(np.float64) - y_pred)
    return 1e3 * _mean(error, known)


def mse(y_true: np.ndarray, y_pred: np.ndarray, known: np.ndarray | None = None) -> float:
    """Return the mean squared difference x 1,000; NaN if no pixel is known."""
    error = y_true.astype(np.float64) - y_pred
    return 1e3 * _mean(error * error, known)


def grad(
    y_true: np.ndarray, y_pred: np.ndarray, known: np.ndarray | None = None
) -> float:
    """Return the gradient error / 1,000: the sum of `(gradient(t) - gradient(p))**2`.

    Published scripts stretch either map to 0..1 first. This one does not, since it would
    turn the noise of a nearly empty prediction into a full mask. Where both maps reach
    from 0 to 1, both are equal.
    """
    y_true = completed(y_true, y_pred, known)
    error = gradient(y_true) - gradient(y_pred)
    return _sum(error * error, known) / 1e3


def gradient(image: np.ndarray) -> np.ndarray:
    """Return the magnitude of the Gaussian derivatives of an (H, W) map, float64.

    Sigma 1.4, 9x9 kernels with a sum of squares of 1; the border is repeated.
    """
    image = np.asarray(image, np.float64)
    border = cv2.BORDER_REPLICATE
    x = cv2.sepFilter2D(image, -1, _DERIVATIVE, _GAUSSIAN, borderType=border)
    y = cv2.sepFilter2D(image, -1, _GAUSSIAN, _DERIVATIVE, borderType=border)
    return cv2.magnitude(x, y)


def _kernels() -> tuple[np.ndarray, np.ndarray]:
    gaussian = cv2.getGaussianKernel(2 * _RADIUS + 1, _SIGMA, cv2.CV_64F)
    derivative = np.arange(-_RADIUS, _RADIUS + 1)[:, None] * gaussian
    return gaussian / np.linalg.norm(gaussian), derivative / np.linalg.norm(derivative)


_GAUSSIAN, _DERIVATIVE = _kernels()


def conn(
    y_true: np.ndarray, y_pred: np.ndarray, known: np.ndarray | None = None
) -> float:
    """Return the connectivity error / 1,000.

    A pixel's level l is the largest of 0, 0.1, … 1 up to which it belongs to the source,
    the largest 4-connected region where both maps reach the level; of equal regions the
    first from the top. Its degree of connectivity in a map a is 1 - d, d = a - l, if d
    is at least 0.15, else 1. The error is the sum of the absolute differences of the
    degrees.
    """
    y_true = np.asarray(completed(y_true, y_pred, known), np.float64)
    y_pred = np.asarray(y_pred, np.float64)
    levels = _source_levels(np.minimum(y_true, y_pred)) / _STEPS
    true, predicted = y_true - levels, y_pred - levels
    error = true * (true >= _THETA) - predicted * (predicted >= _THETA)
    return _sum(np.abs(error), known) / 1e3


def _source_levels(lower: np.ndarray) -> np.ndarray:
    """Return for how many steps each pixel belongs to the source, given the lower map."""
    levels = np.zeros(lower.shape, np.uint8)
    # Where anything reaches the first step: often a small part of the image.
    x, y, width, height = cv2.boundingRect((lower >= 1 / _STEPS).view(np.uint8))
    box = np.s_[y : y + height, x : x + width]
    lower = np.ascontiguousarray(lower[box])
    inside = np.ones(lower.shape, bool)
    for step in range(1, _STEPS + 1):
        inside &= _largest_region(lower >= step / _STEPS)
        if not inside.any():
            break
        levels[box] += inside
    return levels


def _largest_region(reached: np.ndarray) -> np.ndarray:
    count, labels = cv2.connectedComponents(reached.view(np.uint8), connectivity=4)
    if count <= 2:  # one region beside the background
        return reached
    # Faster than with OpenCV's statistics of the regions.
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def _mean(values: np.ndarray, known: np.ndarray | None) -> float:
    if known is None:
        return float(values.mean())
    count = np.count_nonzero(known)
    return _sum(values, known) / count if count else np.nan


def _sum(values: np.ndarray, known: np.ndarray | None) -> float:
    return float(values.sum() if known is None else values[known].sum())
