"""Losses of the two outputs, computed from logits, in float32.

Every loss takes `y_true` in [0, 1] and `y_pred`, both (B, H, W, 1). `y_pred` holds logits
unless `from_logits=False`. Shapes must be equal: nothing is broadcast.

The original pools the pixels of the whole batch, so RMSE, Dice and BCE give one number a
batch, not one an image; sample weights have no meaning for them. On several devices the
batch is that of all of them together. The losses per image are ours: every image counts
alike, and depth only where it is known.

>>> model.compile("sgd", **losses.combination("rmse_bce_dice"))
"""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalOperand=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from keras_depthseg.backend import mean_over_replicas, replicas, sum_over_replicas
from keras_depthseg.shapes import VALID_DEPTH, labels_and_maps, same_shape
from keras_depthseg.ssim import ms_ssim, ssim

OUTLINE_WEIGHT = 4.0


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
    y_true, probability = labels_and_maps(y_true, y_pred, from_logits)
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
    y_true, probability = labels_and_maps(y_true, y_pred, from_logits)
    overlap, true, predicted = sum_over_replicas(
        [ops.sum(y_true * probability), ops.sum(y_true), ops.sum(probability)]
    )
    return 1.0 - (2.0 * overlap + 1.0) / (true + predicted + 1.0)


def bce_dice(y_true, y_pred, from_logits: bool = True):
    """Return `bce + 2 dice`, weights of the original; arguments and range as there."""
    return bce(y_true, y_pred, from_logits) + 2.0 * dice(y_true, y_pred, from_logits)


def rmse_per_image(y_true, y_pred, from_logits: bool = True):
    """Return the root mean squared error of each image over its known depth.

    Formula: `sqrt(mean((y_true - p)**2) + 1e-6)` over the pixels with `y_true > 1e-4`,
    p = sigmoid(y_pred); 0 for an image without such pixels, which costs nothing then.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        (B,), in [0, 1.001).
    """
    y_true, probability = labels_and_maps(y_true, y_pred, from_logits)
    known = ops.cast(y_true > VALID_DEPTH, "float32")
    pixels = ops.sum(known, axis=(1, 2, 3))
    errors = ops.sum(known * ops.square(y_true - probability), axis=(1, 2, 3))
    # Safe values go in before the division and the root, or gradients would be NaN.
    root = ops.sqrt(errors / ops.maximum(pixels, 1.0) + 1e-6)
    return root * ops.cast(pixels > 0, "float32")


def bce_dice_per_image(y_true, y_pred, from_logits: bool = True):
    """Return `bce + 2 dice` of each image, formulas as there.

    A small foreground is worth as much as a large one; pooled over a batch, Dice is
    nearly that of the largest.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        (B,), at least 0.
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    return _weighted_bce_dice(y_true, y_pred, from_logits, 1.0)


def _weighted_bce_dice(y_true, y_pred, from_logits: bool, weights):
    """Return `bce + 2 dice` of each image, the entropy of a pixel times its weight."""
    entropy = ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    probability = ops.sigmoid(y_pred) if from_logits else y_pred
    overlap, true, predicted = (
        ops.sum(x, axis=(1, 2, 3)) for x in (y_true * probability, y_true, probability)
    )
    dice_of_each = 1.0 - (2.0 * overlap + 1.0) / (true + predicted + 1.0)
    return ops.mean(weights * entropy, axis=(1, 2, 3)) + 2.0 * dice_of_each


def relative_depth_per_image(y_true, y_pred, from_logits: bool = True):
    """Return `rmse_per_image`, and a quarter of the mean absolute error of log depth.

    Formula: `rmse + 1/4 mean(|log y_true - log p|)` over the pixels with `y_true > 1e-4`.
    RMSE alone leaves what is near, where errors are small in metres, to itself. Source
    of the second part: Eigen, Puhrsch and Fergus 2014, https://arxiv.org/abs/1406.2283,
    with absolute instead of squared differences.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        (B,), at least 0.
    """
    root = rmse_per_image(y_true, y_pred, from_logits)
    y_true, probability = labels_and_maps(y_true, y_pred, from_logits)
    known = y_true > VALID_DEPTH
    pixels = ops.sum(ops.cast(known, "float32"), axis=(1, 2, 3))
    # 1 goes into the logarithm where depth is unknown, or gradients would be NaN.
    logs = ops.log(ops.where(known, y_true, 1.0)) - ops.log(
        ops.where(known, ops.maximum(probability, VALID_DEPTH), 1.0)
    )
    return root + 0.25 * ops.sum(ops.abs(logs), axis=(1, 2, 3)) / ops.maximum(pixels, 1.0)


def outline_bce_dice_per_image(y_true, y_pred, from_logits: bool = True):
    """Return `bce_dice_per_image` whose entropy counts more near outlines.

    Pixels within two of a change of the mask count `OUTLINE_WEIGHT` times: on a mask of
    ordinary size they are a tenth of all, and decide its boundary F1.

    Args:
        y_true: (B, H, W, 1) in [0, 1].
        y_pred: (B, H, W, 1), logits, or maps in [0, 1] if not `from_logits`.

    Returns:
        (B,), at least 0.
    """
    y_true, y_pred = same_shape(y_true, y_pred)
    highest = ops.max_pool(y_true, 5, strides=1, padding="same")
    lowest = -ops.max_pool(-y_true, 5, strides=1, padding="same")
    weights = 1.0 + (OUTLINE_WEIGHT - 1.0) * (highest - lowest)
    return _weighted_bce_dice(y_true, y_pred, from_logits, weights)


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
RMSEPerImage = _loss_class("RMSEPerImage", rmse_per_image)
BCEDicePerImage = _loss_class("BCEDicePerImage", bce_dice_per_image)

RelativeDepthPerImage = _loss_class("RelativeDepthPerImage", relative_depth_per_image)
OutlineBCEDicePerImage = _loss_class("OutlineBCEDicePerImage", outline_bce_dice_per_image)

# Loss and weight of the depth, then of the mask. The first three are the original's.
COMBINATIONS = {
    "rmse_bce_dice": (RMSE, 2.0, BCEDice, 1.0),
    "ssim_dice": (SSIM, 2.0, Dice, 1.0),
    "rmse_bce": (RMSE, 2.0, BCE, 1.0),
    "per_image": (RMSEPerImage, 2.0, BCEDicePerImage, 1.0),
    "outline": (RelativeDepthPerImage, 2.0, OutlineBCEDicePerImage, 1.0),
}


def combination(name: str) -> dict[str, dict]:
    """Return a loss over both outputs, as arguments of `compile`.

    Args:
        name: `"rmse_bce_dice"` (2 RMSE + BCE + 2 Dice), `"ssim_dice"` (2 SSIM + Dice) or
            `"rmse_bce"` (2 RMSE + BCE), the original's; or `"per_image"`, as the first,
            but for each image and its known depth, then averaged.

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
