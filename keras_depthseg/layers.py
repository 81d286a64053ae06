"""The two layers that Keras lacks in the form this network needs."""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalOperand=false, reportOperatorIssue=false
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOptionalIterable=false

from __future__ import annotations

import keras
from keras import ops

from keras_depthseg.backend import (
    fused_batch_norm,
    has_fused_batch_norm,
    has_resize_kernel,
    replicas,
    resize_2x,
    sum_over_replicas,
)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class BilinearUpsampling2x(keras.layers.Layer):
    """Doubles height and width by half-pixel bilinear interpolation.

    Equals `torch.nn.functional.interpolate(scale_factor=2, mode="bilinear",
    align_corners=False)` and `tf.image.resize` at twice the size. A stand-in for
    `keras.layers.UpSampling2D(interpolation="bilinear")`, which fails in Keras 3.15
    once height and width are not known when the graph is built.

    TensorFlow uses its resize kernel, which trains the network 1.2 times faster than the
    portable form (its gradient alone takes 18 ms a step against 570, at 96 px, batch 16,
    bfloat16, two cores).

    Input: (B, H, W, C). Output: (B, 2H, 2W, C), same dtype.
    """

    def call(self, inputs):
        if has_resize_kernel():
            return resize_2x(inputs, self.compute_output_shape(inputs.shape))
        return double_sides(inputs)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (
            batch,
            None if height is None else 2 * height,
            None if width is None else 2 * width,
            channels,
        )


def double_sides(x):
    """Double height and width of (B, H, W, C) as `BilinearUpsampling2x`, on any backend.

    Every output pixel is 3/4 of the nearest input pixel plus 1/4 of the next nearest,
    along each axis in turn.
    """
    return _double_axis(_double_axis(x, axis=1), axis=2)


def _double_axis(x, axis: int):
    first, last = [slice(None)] * 4, [slice(None)] * 4
    head, tail = [slice(None)] * 4, [slice(None)] * 4
    first[axis], last[axis] = slice(0, 1), slice(-1, None)
    head[axis], tail[axis] = slice(0, -1), slice(1, None)
    before = ops.concatenate([x[tuple(first)], x[tuple(head)]], axis=axis)
    after = ops.concatenate([x[tuple(tail)], x[tuple(last)]], axis=axis)
    near = 0.75 * x
    doubled = ops.stack([near + 0.25 * before, near + 0.25 * after], axis=axis + 1)
    shape = list(ops.shape(x))
    shape[axis] = shape[axis] * 2
    return ops.reshape(doubled, shape)


# oneDNN's batch normalisation in bfloat16 works on 16 channels at a time; other numbers
# of channels take a plain loop, 340 of 800 ms of a training step at width 8 (96 px, batch
# 16, two cores). In float32, casts included, the step takes 169 ms instead of 433.
_BFLOAT16_CHANNELS = 16


@keras.saving.register_keras_serializable(package="keras_depthseg")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over (B, H, W), fused on TensorFlow, with PyTorch's moments.

    Two differences from `keras.layers.BatchNormalization`:

    - The moving variance averages the unbiased variance, n / (n - 1) times the batch's,
      as PyTorch does; normalisation itself uses the biased one, as everywhere.
    - On TensorFlow the training step uses one fused kernel. Keras 3 builds it from
      separate operations, which made the whole training step of this network 1.25 times
      slower on a CPU. Channels that do not fill a bfloat16 vector are normalised in
      float32, see `_BFLOAT16_CHANNELS`.

    On several devices moments are those of the whole batch. Under TensorFlow's
    `MirroredStrategy` that takes separate operations in place of the fused kernel.

    Input and output: (B, H, W, C).
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        received = {
            "axis": self.axis,
            "center": self.center,
            "scale": self.scale,
            "renorm": self.renorm,
            "synchronized": self.synchronized,
        }
        if list(received.values()) != [-1, True, True, False, False]:
            raise ValueError(
                "this BatchNormalization works on the last axis, with center and scale, "
                "without renorm and synchronized; for other options use "
                f"keras.layers.BatchNormalization. Received: {received}."
            )

    def call(self, inputs, training=None, mask=None):
        if not training or not self.trainable:
            return super().call(inputs, training=False)
        x, gamma, beta = inputs, self.gamma, self.beta
        gamma, beta = ops.cast(gamma, "float32"), ops.cast(beta, "float32")
        # The fused kernel has no float64.
        if has_fused_batch_norm() and self.compute_dtype != "float64":
            fills_vectors = x.shape[-1] % _BFLOAT16_CHANNELS == 0
            x = ops.cast(x, self.compute_dtype if fills_vectors else "float32")
            normalise = fused_batch_norm
        else:
            x = ops.cast(x, "float32")
            normalise = portable_batch_norm
        outputs, mean, unbiased_variance = normalise(x, gamma, beta, self.epsilon)
        self._update_moving(self.moving_mean, mean)
        self._update_moving(self.moving_variance, unbiased_variance)
        return ops.cast(outputs, self.compute_dtype)

    def _update_moving(self, variable, value):
        value = ops.cast(value, variable.dtype)
        variable.assign(variable * self.momentum + value * (1.0 - self.momentum))


def portable_batch_norm(x, gamma, beta, epsilon: float):
    """Normalise as `backend.fused_batch_norm`, on any backend and over all replicas.

    Args:
        x: (B, H, W, C) float32.
        gamma, beta: (C,) float32.
        epsilon: added to the variance.

    Returns:
        Outputs (B, H, W, C), mean (C,), and unbiased variance (C,).
    """
    mean, variance, count = _moments(x)
    outputs = ops.batch_normalization(
        x, mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=epsilon
    )
    return outputs, mean, variance * count / ops.maximum(count - 1.0, 1.0)


def _moments(x):
    """Return mean and variance (C,) of (B, H, W, C) over all replicas, and its pixels."""
    axes = (0, 1, 2)
    batch, height, width, _ = ops.shape(x)
    count = ops.cast(batch * height * width, "float32")
    if replicas() == 1:
        return *ops.moments(x, axes=axes), count
    total, count = sum_over_replicas([ops.sum(x, axis=axes), count])
    mean = total / count
    # From the mean of all: no difference of two large numbers.
    (squares,) = sum_over_replicas([ops.sum(ops.square(x - mean), axis=axes)])
    return mean, squares / count, count
