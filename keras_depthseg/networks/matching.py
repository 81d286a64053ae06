"""Layers that find a place of one picture in another, and that blend depth by a mask."""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalOperand=false, reportOperatorIssue=false
# pyright: reportArgumentType=false, reportOptionalSubscript=false

from __future__ import annotations

import keras
from keras import ops

# Keeps the square root away from 0.
_EPSILON = 1e-4


@keras.saving.register_keras_serializable(package="keras_depthseg")
class LocalMatching(keras.layers.Layer):
    """Attention of each place of a picture to the places near it in a plate.

    With features f of the picture, g of the plate, and shifts s of up to `reach` places,
    `c_s = <q f, q g_s> / (|q f| |q g_s|)` for a learned 1x1 convolution q, and
    `w = softmax(t c)` with a learned temperature t. Only slices of a padded plate are
    needed, so that it can be exported to any format.

    Source: local cross-attention as in DR-TANet (Chen, Yang and Stiefelhagen 2021,
    https://arxiv.org/abs/2103.00879), with normalised correlations.

    Inputs: a list of plate and picture, (B, H, W, C) each, H and W above `reach`.
    Outputs: the plate's features moved to where the picture has their like, (B, H, W, C),
    and the correlations, (B, H, W, (2 reach + 1)**2).

    Args:
        filters: channels in which places are compared.
        reach: shifts to each side, in places.
    """

    def __init__(self, filters: int, reach: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.reach = reach

    def build(self, input_shape):
        channels = input_shape[0][-1]
        self.kernel = self.add_weight(
            (1, 1, channels, self.filters), initializer="glorot_uniform", name="kernel"
        )
        # The correlations lie in [-1, 1]: the best of 25 gets half of the weight if it
        # is 0.4 above the others.
        self.temperature = self.add_weight(
            (), initializer=keras.initializers.Constant(8.0), name="temperature"
        )

    def call(self, inputs):
        plate, picture = inputs
        query, key = (self._unit(x) for x in (picture, plate))
        correlations = ops.concatenate(
            [
                ops.sum(query * moved, axis=-1, keepdims=True)
                for moved in shifts(key, self.reach)
            ],
            axis=-1,
        )
        weights = ops.softmax(
            ops.cast(correlations * self.temperature, "float32"), axis=-1
        )
        weights = ops.cast(weights, self.compute_dtype)
        found = 0.0
        for number, moved in enumerate(shifts(plate, self.reach)):
            found = found + weights[..., number : number + 1] * moved
        return found, correlations

    def _unit(self, x):
        x = ops.conv(x, self.kernel, padding="same")
        squares = ops.sum(ops.square(ops.cast(x, "float32")), axis=-1, keepdims=True)
        return x * ops.cast(ops.rsqrt(squares + _EPSILON), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        plate, _ = input_shape
        return plate, (*plate[:-1], (2 * self.reach + 1) ** 2)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "reach": self.reach}


def shifts(x, reach: int) -> list:
    """Return (B, H, W, C) moved by up to `reach` places each way, borders mirrored."""
    padded = ops.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]], mode="reflect")
    last = 2 * reach
    return [
        padded[:, top : top - last or None, left : left - last or None]
        for top in range(last + 1)
        for left in range(last + 1)
    ]


@keras.saving.register_keras_serializable(package="keras_depthseg")
class BlendByMask(keras.layers.Layer):
    """Depth of the plate where nothing is in front of it, else of the foreground.

    Inputs: a list of the plate's depth, the foreground's depth and the mask, logits,
    (B, H, W, 1) each. Output: the depth's logits, `p + sigmoid(mask) * (f - p)`. No
    gradient reaches the mask, which has a loss of its own.
    """

    def call(self, inputs):
        plate, foreground, mask = inputs
        return plate + ops.sigmoid(ops.stop_gradient(mask)) * (foreground - plate)

    def compute_output_shape(self, input_shape):
        return input_shape[0]
