"""The two layers that Keras does not have, or not in the form this network needs.

This is the only file of the package that may branch on the Keras backend.
"""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_depthseg")
class BilinearUpsampling2x(keras.layers.Layer):
    """Doubles height and width by half-pixel bilinear interpolation.

    Equals `torch.nn.functional.interpolate(scale_factor=2, mode="bilinear",
    align_corners=False)` and `tf.image.resize` at twice the size. A stand-in for
    `keras.layers.UpSampling2D(interpolation="bilinear")`, which fails in Keras 3.15
    once height and width are not known when the graph is built.

    Every output pixel is 3/4 of its nearest input pixel plus 1/4 of the next nearest,
    along each axis in turn, so the layer is slices, sums and reshapes: it has those
    operations' multi-threaded kernels and gradients under every backend, and it exports
    with dynamic shapes.

    Input: (B, H, W, C). Output: (B, 2H, 2W, C), same dtype.
    """

    def call(self, inputs):
        return _double_axis(_double_axis(inputs, axis=1), axis=2)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (
            batch,
            None if height is None else 2 * height,
            None if width is None else 2 * width,
            channels,
        )


def _double_axis(x, axis: int):
    """Bilinear interpolation to twice the length of one axis of (B, H, W, C)."""
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


@keras.saving.register_keras_serializable(package="keras_depthseg")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over (B, H, W), fused on TensorFlow, with PyTorch's moments.

    Two differences from `keras.layers.BatchNormalization`:

    - The moving variance averages the unbiased variance, n / (n - 1) times the batch's,
      as PyTorch does; normalisation itself uses the biased one, as everywhere.
    - On TensorFlow the training step uses one fused kernel. Keras 3 builds it from
      separate operations, which made the whole training step of this network 1.25 times
      slower on a CPU.

    Input and output: (B, H, W, C).
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        if (self.axis, self.center, self.scale) != (-1, True, True) or self.synchronized:
            raise ValueError(
                "this BatchNormalization takes axis=-1, center=True, scale=True, "
                f"synchronized=False only. Received: {self.axis}, {self.center}, "
                f"{self.scale}, {self.synchronized}. Use Keras's for others."
            )

    def call(self, inputs, training=None, mask=None):
        if not training or not self.trainable:
            return super().call(inputs, training=False)
        # The fused kernel has no float64.
        if keras.backend.backend() == "tensorflow" and self.compute_dtype != "float64":
            outputs, mean, unbiased_variance = self._tensorflow_fused(inputs)
        else:
            outputs, mean, unbiased_variance = self._portable(inputs)
        self._update_moving(self.moving_mean, mean)
        self._update_moving(self.moving_variance, unbiased_variance)
        return outputs

    def _tensorflow_fused(self, inputs):
        import tensorflow as tf

        # Half-precision inputs with float32 statistics is what the kernel is made for.
        x = ops.cast(inputs, self.compute_dtype)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=ops.cast(self.gamma, "float32"),
            offset=ops.cast(self.beta, "float32"),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        return outputs, mean, variance

    def _portable(self, inputs):
        x = ops.cast(inputs, "float32")
        mean, variance = ops.moments(x, axes=(0, 1, 2))
        outputs = ops.batch_normalization(
            x,
            mean,
            variance,
            axis=-1,
            offset=ops.cast(self.beta, "float32"),
            scale=ops.cast(self.gamma, "float32"),
            epsilon=self.epsilon,
        )
        batch, height, width, _ = ops.shape(x)
        count = ops.cast(batch * height * width, "float32")
        unbiased = variance * count / ops.maximum(count - 1.0, 1.0)
        return ops.cast(outputs, self.compute_dtype), mean, unbiased

    def _update_moving(self, variable, value):
        value = ops.cast(value, variable.dtype)
        variable.assign(variable * self.momentum + value * (1.0 - self.momentum))
