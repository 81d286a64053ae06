"""Scores of the two outputs, each with one definition: per image, then averaged.

Averaging over images makes every score independent of the batch size. All metrics take
`y_true` in [0, 1] and `y_pred`, (B, H, W, 1); `y_pred` holds logits unless
`from_logits=False`. Shapes must be equal: nothing is broadcast. Everything is float32.

Depth metrics use only pixels with `y_true > 1e-4`, as the original does; an image without
such pixels does not count. With `per="batch"` the pixels of a whole batch are pooled
and batches averaged, as the original's log does.
"""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalOperand=false, reportOptionalSubscript=false

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_depthseg.shapes import VALID_DEPTH, same_shape


class _MeanOverImages(keras.metrics.Metric):
    """A streaming mean of one value an image; subclasses compute values and weights."""

    def __init__(self, name: str, from_logits: bool = True, dtype: str = "float32"):
        # float32 whatever the policy: sums over an image overflow float16.
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def values(self, y_true, probability):
        """Return value and count (0 or 1) per image, two float32 tensors (B,)."""
        raise NotImplementedError

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch; `sample_weight`, (B,) or `None`, weighs its images."""
        y_true, y_pred = same_shape(y_true, y_pred, caller=self.name)
        values, counts = self.values(
            y_true, ops.sigmoid(y_pred) if self.from_logits else y_pred
        )
        if sample_weight is not None:
            weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
            counts = counts * ops.reshape(weights, ops.shape(counts))
        self.total.assign_add(ops.sum(values * counts))
        self.count.assign_add(ops.sum(counts))

    def result(self):
        """Return the mean so far; 0 before the first image that counts."""
        return ops.divide_no_nan(self.total, self.count)

    def get_config(self):
        return {
            "name": self.name,
            "from_logits": self.from_logits,
            "dtype": self.dtype,
        }


def _per_image_sum(x):
    return ops.sum(x, axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="keras_depthseg")
class SoftIoU(_MeanOverImages):
    """Intersection over union of soft masks, without a threshold, as the original's.

    Formula: `I / (sum(y_true) + sum(p) - I)`, `I = sum(y_true p)`; 1 when both are empty.
    In [0, 1]. Its ceiling, the score of a perfect copy, is below 1 on soft masks.
    """

    def __init__(self, name="soft_iou", from_logits=True, dtype="float32"):
        super().__init__(name, from_logits, dtype)

    def values(self, y_true, probability):
        intersection = _per_image_sum(y_true * probability)
        union = _per_image_sum(y_true) + _per_image_sum(probability) - intersection
        values = (intersection + 1e-6) / (union + 1e-6)
        return values, ops.ones_like(values)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class HardIoU(_MeanOverImages):
    """Intersection over union of masks at a threshold, the field's usual IoU.

    `y_true >= threshold` against `p >= threshold`; 1 when both are empty. In [0, 1].
    """

    def __init__(self, name="hard_iou", from_logits=True, dtype="float32", threshold=0.5):
        super().__init__(name, from_logits, dtype)
        self.threshold = threshold

    def values(self, y_true, probability):
        a, b = _binary(y_true, self.threshold), _binary(probability, self.threshold)
        intersection = _per_image_sum(a * b)
        union = _per_image_sum(a) + _per_image_sum(b) - intersection
        values = ops.where(
            union > 0, intersection / ops.maximum(union, 1.0), ops.ones_like(union)
        )
        return values, ops.ones_like(values)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable(package="keras_depthseg")
class BoundaryF1(_MeanOverImages):
    """F1 of the masks' boundaries, matched within `tolerance` pixels.

    Boundary: pixels at or above the threshold with a 4-neighbour below it (outside the
    image counts as inside the mask, so the frame is no contour). Precision P: share of
    the predicted boundary with true boundary within `tolerance` (Euclidean); recall R:
    the other way round; the value is 2 P R / (P + R). 1 when neither mask has a boundary,
    0 when only one has. In [0, 1].
    Source: Perazzi et al. 2016 (DAVIS), F measure,
    https://doi.org/10.1109/CVPR.2016.85; here with a tolerance in pixels, 2 by default,
    about its 0.8 % of the diagonal at 160 to 224 px.
    """

    def __init__(
        self,
        name="boundary_f1",
        from_logits=True,
        dtype="float32",
        threshold=0.5,
        tolerance=2,
    ):
        super().__init__(name, from_logits, dtype)
        self.threshold = threshold
        self.tolerance = tolerance

    def values(self, y_true, probability):
        true = _boundary(_binary(y_true, self.threshold))
        predicted = _boundary(_binary(probability, self.threshold))
        precision = _share(predicted, self._dilate(true))
        recall = _share(true, self._dilate(predicted))
        total = precision + recall
        f1 = 2.0 * precision * recall / ops.where(total > 0, total, 1.0)
        empty = ops.logical_and(_per_image_sum(true) == 0, _per_image_sum(predicted) == 0)
        values = ops.where(empty, ops.ones_like(f1), f1)
        return values, ops.ones_like(values)

    def _dilate(self, boundary):
        radius = np.arange(-self.tolerance, self.tolerance + 1)
        disk = radius[:, None] ** 2 + radius[None, :] ** 2 <= self.tolerance**2
        kernel = disk.astype("float32")[..., None, None]
        return ops.cast(ops.conv(boundary, kernel, padding="same") > 0.5, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "tolerance": self.tolerance,
        }


def _binary(x, threshold: float):
    return ops.cast(x >= threshold, "float32")


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], "float32")[..., None, None]


def _boundary(mask):
    outside_neighbours = ops.conv(1.0 - mask, _CROSS, padding="same")
    return mask * ops.cast(outside_neighbours > 0.5, "float32")


def _share(part, whole):
    """Return the share of the pixels of `part` that are in `whole`; 0 without pixels."""
    size = _per_image_sum(part)
    return _per_image_sum(part * whole) / ops.maximum(size, 1.0)


class _DepthMetric(_MeanOverImages):
    def __init__(self, name, from_logits=True, dtype="float32", per="image"):
        if per not in ("image", "batch"):
            raise ValueError(f"per must be 'image' or 'batch'. Received: per={per!r}.")
        super().__init__(name, from_logits, dtype)
        self.per = per

    def error(self, y_true, probability):
        """Return the value per pixel; `y_true` is at least `VALID_DEPTH` here."""
        raise NotImplementedError

    def finish(self, mean):
        """Return the metric's value, given the mean over valid pixels."""
        return mean

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch; `sample_weight`, (B,) or `None`, weighs its images.

        Raises:
            ValueError: if shapes differ, or images of a pooled batch are weighed.
        """
        if sample_weight is not None and self.per == "batch":
            raise ValueError(
                f"{self.name}: per='batch' pools the pixels of a batch, so its images "
                "cannot be weighed. Received: a sample_weight. Use per='image'."
            )
        super().update_state(y_true, y_pred, sample_weight)

    def values(self, y_true, probability):
        valid = ops.cast(y_true > VALID_DEPTH, "float32")
        # A safe value before any division, so that there is no NaN to hide.
        safe = ops.maximum(y_true, VALID_DEPTH)
        total = _per_image_sum(valid * self.error(safe, probability))
        pixels = _per_image_sum(valid)
        if self.per == "batch":
            total, pixels = ops.sum(total)[None], ops.sum(pixels)[None]
        values = self.finish(total / ops.maximum(pixels, 1.0))
        return values, ops.cast(pixels > 0, "float32")

    def get_config(self):
        return {**super().get_config(), "per": self.per}


@keras.saving.register_keras_serializable(package="keras_depthseg")
class DepthRMSE(_DepthMetric):
    """`sqrt(mean((y_true - p)**2))` over pixels with `y_true > 1e-4`; in [0, 1]."""

    def __init__(self, name="rmse", from_logits=True, dtype="float32", per="image"):
        super().__init__(name, from_logits, dtype, per)

    def error(self, y_true, probability):
        return ops.square(y_true - probability)

    def finish(self, mean):
        return ops.sqrt(mean)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class DepthMAE(_DepthMetric):
    """`mean(|y_true - p|)` over pixels with `y_true > 1e-4`; in [0, 1]."""

    def __init__(self, name="mae", from_logits=True, dtype="float32", per="image"):
        super().__init__(name, from_logits, dtype, per)

    def error(self, y_true, probability):
        return ops.abs(y_true - probability)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class DepthAbsRel(_DepthMetric):
    """`mean(|y_true - p| / y_true)` over pixels with `y_true > 1e-4`; at least 0.

    Source: Eigen et al. 2014, https://arxiv.org/abs/1406.2283.
    """

    def __init__(self, name="abs_rel", from_logits=True, dtype="float32", per="image"):
        super().__init__(name, from_logits, dtype, per)

    def error(self, y_true, probability):
        return ops.abs(y_true - probability) / y_true


@keras.saving.register_keras_serializable(package="keras_depthseg")
class DepthDelta(_DepthMetric):
    """Share of pixels with `max(p / y_true, y_true / p) < 1.25**power`; in [0, 1].

    Over pixels with `y_true > 1e-4`. Source: Eigen et al. 2014,
    https://arxiv.org/abs/1406.2283.
    """

    def __init__(
        self, name=None, from_logits=True, dtype="float32", per="image", power=1
    ):
        super().__init__(name or f"delta{power}", from_logits, dtype, per)
        self.power = power

    def error(self, y_true, probability):
        p = ops.maximum(probability, 1e-6)
        ratio = ops.maximum(p / y_true, y_true / p)
        return ops.cast(ratio < 1.25**self.power, "float32")

    def get_config(self):
        return {**super().get_config(), "power": self.power}


def training_metrics(depth: bool = True) -> dict[str, list[keras.metrics.Metric]]:
    """Return the metrics cheap enough for every step, as `compile(metrics=…)`.

    Args:
        depth: whether there is any known depth; else its error would be 0.
    """
    mask: list[keras.metrics.Metric] = [SoftIoU(), HardIoU()]
    return {"depth": [DepthRMSE()], "mask": mask} if depth else {"mask": mask}


def evaluation_metrics(from_logits: bool = True) -> dict[str, list[keras.metrics.Metric]]:
    """Return all metrics, per output."""
    depth: list[keras.metrics.Metric] = [
        metric(from_logits=from_logits) for metric in (DepthRMSE, DepthMAE, DepthAbsRel)
    ]
    deltas = [DepthDelta(from_logits=from_logits, power=power) for power in (1, 2, 3)]
    mask: list[keras.metrics.Metric] = [
        metric(from_logits=from_logits) for metric in (SoftIoU, HardIoU, BoundaryF1)
    ]
    return {"depth": [*depth, *deltas], "mask": mask}
