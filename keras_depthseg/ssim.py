"""Structural similarity as a loss, at one scale and at several, in float32.

Arguments as in `losses`, which exports both.
"""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalOperand=false, reportOperatorIssue=false

from __future__ import annotations

import numpy as np
from keras import ops

from keras_depthseg.shapes import labels_and_maps

# Standard values of Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1 = 0.01
SSIM_K2 = 0.03
# Weight per scale, Wang, Simoncelli and Bovik 2003,
# https://doi.org/10.1109/ACSSC.2003.1292216.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(y_true, y_pred, from_logits: bool = True):
    """Return one minus structural similarity.

    Formula: 1 minus the mean of
    `(2 ma mb + c1) (2 cov + c2) / ((ma**2 + mb**2 + c1) (va + vb + c2))`, where means m,
    variances v and covariance are taken under an 11x11 Gaussian window (sigma 1.5) at
    every position where it lies wholly inside the image; c1 = 0.01**2, c2 = 0.03**2, for
    a data range of 1. Source: Wang et al. 2004,
    https://doi.org/10.1109/TIP.2003.819861.

    Args:
        y_true: (B, H, W, 1) in [0, 1], sides of at least 11.
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        (B,), in [0, 2].
    """
    y_true, probability = labels_and_maps(y_true, y_pred, from_logits)
    _check_sides(y_true, SSIM_WINDOW, "SSIM's window is 11 pixels wide")
    similarity, _ = _ssim_and_contrast(y_true, probability)
    return 1.0 - similarity


def ms_ssim(y_true, y_pred, from_logits: bool = True):
    """Return one minus multi-scale structural similarity, of five scales.

    The contrast term of four scales, each half as large as the one before (2x2 mean),
    and SSIM of the fifth, to the powers `MS_SSIM_WEIGHTS`, multiplied. Terms below 1e-6
    count as 1e-6: the power of a negative one is not defined. Source: Wang, Simoncelli
    and Bovik 2003, https://doi.org/10.1109/ACSSC.2003.1292216.

    Args:
        y_true: (B, H, W, 1) in [0, 1], sides of at least 176 (11 pixels at scale five).
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        (B,), in [0, 1].
    """
    y_true, probability = labels_and_maps(y_true, y_pred, from_logits)
    scales = len(MS_SSIM_WEIGHTS)
    smallest = SSIM_WINDOW * 2 ** (scales - 1)
    _check_sides(
        y_true, smallest, f"MS-SSIM halves them {scales - 1} times before its window"
    )
    result = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            y_true = ops.average_pool(y_true, 2, strides=2, padding="valid")
            probability = ops.average_pool(probability, 2, strides=2, padding="valid")
        similarity, contrast = _ssim_and_contrast(y_true, probability)
        term = similarity if scale == scales - 1 else contrast
        # The floor goes in before the power: at 0 its gradient is infinite.
        result = result * ops.power(ops.maximum(term, 1e-6), weight)
    return 1.0 - result


def _ssim_and_contrast(a, b):
    """Return mean SSIM and mean contrast-structure term per image, two tensors (B,)."""
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    mean_a, mean_b = _gaussian_mean(a), _gaussian_mean(b)
    variance_a = _gaussian_mean(a * a) - mean_a * mean_a
    variance_b = _gaussian_mean(b * b) - mean_b * mean_b
    covariance = _gaussian_mean(a * b) - mean_a * mean_b
    contrast = (2.0 * covariance + c2) / (variance_a + variance_b + c2)
    luminance = (2.0 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return (
        ops.mean(luminance * contrast, axis=(1, 2, 3)),
        ops.mean(contrast, axis=(1, 2, 3)),
    )


def _gaussian_mean(x):
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    window = np.exp(-np.square(offsets) / (2.0 * SSIM_SIGMA**2))
    window = (window / window.sum()).astype("float32")
    # The window is separable: two passes of 11 taps in place of one of 121.
    x = ops.conv(x, window.reshape(-1, 1, 1, 1), padding="valid")
    return ops.conv(x, window.reshape(1, -1, 1, 1), padding="valid")


def _check_sides(x, smallest: int, reason: str) -> None:
    sides = [side for side in tuple(x.shape)[1:3] if side is not None]
    if sides and min(sides) < smallest:
        raise ValueError(
            f"sides must be at least {smallest}: {reason}. Received: {sides}. Use a "
            "larger resolution or another loss."
        )
