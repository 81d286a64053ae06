"""Losses of the two outputs, computed from logits, in float32.

Every loss takes `y_true` in [0, 1] and `y_pred`, both (B, H, W, 1). `y_pred` holds logits
unless `from_logits=False`. Shapes must be equal: nothing is broadcast.

The original pools the pixels of the whole batch, so RMSE, Dice and BCE give one number a
batch, not one an image; sample weights have no meaning for them. On several devices the
batch is that of all of them together.

>>> model.compile("sgd", **losses.combination("rmse_bce_dice"))
"""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalOperand=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_depthseg.backend import mean_over_replicas, replicas, sum_over_replicas
from keras_depthseg.shapes import same_shape

# Standard values of Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1 = 0.01
SSIM_K2 = 0.03
# Weight per scale, Wang, Simoncelli and Bovik 2003,
# https://doi.org/10.1109/ACSSC.2003.1292216.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def rmse(y_true, y_pred, from_logits: bool = True):
    """Return the root mean squared error over all pixels of the batch.

    Formula: `sqrt(mean((y_true - p)**2) + 1e-6)`, p = sigmoid(y_pred). The 1e-6 is the
    original's; it also keeps the gradient of a perfect prediction finite.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        A scalar in [0.001, 1.001).
    """
    y_true, probability = _inputs(y_true, y_pred, from_logits)
    return ops.sqrt(mean_over_replicas(ops.square(y_true - probability)) + 1e-6)


def bce(y_true, y_pred, from_logits: bool = True):
    """Return binary cross-entropy with soft targets, the mean over all pixels.

    Formula, on logits x: `mean(max(x, 0) - x y_true + log(1 + exp(-|x|)))`.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits` (then
            clipped by Keras's epsilon).

    Returns:
        A scalar, at least 0.
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    return mean_over_replicas(
        ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    )


def dice(y_true, y_pred, from_logits: bool = True):
    """Return the soft Dice loss over all pixels of the batch.

    Formula: `1 - (2 sum(y_true p) + 1) / (sum(y_true) + sum(p) + 1)` with
    p = sigmoid(y_pred); with the original's ones the loss of an empty mask that is
    predicted empty is 0. Sums exceed float16's 65,504 at 224 px, hence float32. Source:
    Milletari et al. 2016 (V-Net), https://arxiv.org/abs/1606.04797, with plain instead of
    squared sums in the denominator.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        A scalar in [0, 1).
    """
    y_true, probability = _inputs(y_true, y_pred, from_logits)
    overlap, true, predicted = sum_over_replicas(
        [ops.sum(y_true * probability), ops.sum(y_true), ops.sum(probability)]
    )
    return 1.0 - (2.0 * overlap + 1.0) / (true + predicted + 1.0)


def bce_dice(y_true, y_pred, from_logits: bool = True):
    """Return `bce + 2 dice`, weights of the original; arguments and range as there."""
    return bce(y_true, y_pred, from_logits) + 2.0 * dice(y_true, y_pred, from_logits)


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
    y_true, probability = _inputs(y_true, y_pred, from_logits)
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
    y_true, probability = _inputs(y_true, y_pred, from_logits)
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


def _inputs(y_true, y_pred, from_logits: bool):
    y_true, y_pred = same_shape(y_true, y_pred)
    return y_true, ops.sigmoid(y_pred) if from_logits else y_pred


def _check_sides(x, smallest: int, reason: str) -> None:
    sides = [side for side in tuple(x.shape)[1:3] if side is not None]
    if sides and min(sides) < smallest:
        raise ValueError(
            f"sides must be at least {smallest}: {reason}. Received: {sides}. Use a "
            "larger resolution or another loss."
        )


class _LossOfFunction(keras.losses.Loss):
    """A Keras loss around one of the functions above."""

    function: Callable

    def __init__(
        self,
        from_logits: bool = True,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        # float32 whatever the policy: sums over an image overflow float16.
        dtype: str = "float32",
    ):
        name = name or type(self).function.__name__
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        loss = type(self).function(y_true, y_pred, from_logits=self.from_logits)
        if replicas() > 1:
            # Keras sums the gradients of the replicas. It divides losses by the number of
            # replicas before, but not scalars, and ignores the sizes of their parts.
            loss = ops.reshape(mean_over_replicas(loss), (1,))
        return loss

    def get_config(self):
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "dtype": self.dtype,
        }


_LOSS_ARGUMENTS = """
    Args:
        from_logits: whether `y_pred` holds logits (the default) or maps in [0, 1].
        reduction: as for `keras.losses.Loss`.
        name: name of the loss.
        dtype: of the computation; float32 whatever the policy.
    """


def _loss_class(name: str, function: Callable) -> type[_LossOfFunction]:
    loss = type(
        name,
        (_LossOfFunction,),
        {
            "function": staticmethod(function),
            "__doc__": f"`losses.{function.__name__}` as a Keras loss; see there for "
            f"the formula.\n{_LOSS_ARGUMENTS}",
            "__module__": __name__,
        },
    )
    return keras.saving.register_keras_serializable(package="keras_depthseg")(loss)


RMSE = _loss_class("RMSE", rmse)
BCE = _loss_class("BCE", bce)
Dice = _loss_class("Dice", dice)
BCEDice = _loss_class("BCEDice", bce_dice)
SSIM = _loss_class("SSIM", ssim)
MSSSIM = _loss_class("MSSSIM", ms_ssim)

# The three combinations of the original: loss and weight of the depth, then of the mask.
COMBINATIONS = {
    "rmse_bce_dice": (RMSE, 2.0, BCEDice, 1.0),
    "ssim_dice": (SSIM, 2.0, Dice, 1.0),
    "rmse_bce": (RMSE, 2.0, BCE, 1.0),
}


def combination(name: str) -> dict[str, dict]:
    """Return one of the original's losses over both outputs, as arguments of `compile`.

    Args:
        name: `"rmse_bce_dice"` (2 RMSE + BCE + 2 Dice), `"ssim_dice"` (2 SSIM + Dice) or
            `"rmse_bce"` (2 RMSE + BCE).

    Returns:
        `{"loss": {"depth": …, "mask": …}, "loss_weights": {"depth": …, "mask": …}}`.

    Raises:
        ValueError: if there is no combination of that name.
    """
    if name not in COMBINATIONS:
        raise ValueError(
            f"unknown loss. Received: {name!r}. Accepted: {', '.join(COMBINATIONS)}."
        )
    depth_loss, depth_weight, mask_loss, mask_weight = COMBINATIONS[name]
    return {
        "loss": {"depth": depth_loss(), "mask": mask_loss()},
        "loss_weights": {"depth": depth_weight, "mask": mask_weight},
    }
