"""Initial weights of a new network."""

from __future__ import annotations

from collections.abc import Callable

import keras

from keras_depthseg.model import INPUTS, TwoPictureNetwork


def start_independently(model: TwoPictureNetwork) -> None:
    """Leave all weights as they were drawn, independently of each other."""


def start_as_difference(model: TwoPictureNetwork) -> None:
    """Let a new network begin with the difference between `fg_bg` and `bg`.

    Branches with layers of their own get the same weights, and convolutions that join
    them subtract one from the other: `merge` in half of its channels, and the
    `squeeze_skips` of the outer two blocks of the mask's decoder in all. Their outputs
    are then 0 where `bg` and `fg_bg` are equal (if both are normalised alike), before
    anything is learned; an untrained network learns that late. All weights remain free.
    The decoder of the depth, which needs the scene, and all other weights stay as drawn.

    Args:
        model: a network that has not been trained; changed in place.
    """
    plate, picture = INPUTS
    for layer in model.layers:
        if layer.name.startswith(f"{plate}_encoder") and layer.weights:
            other = layer.name.replace(plate, picture, 1)
            model.get_layer(other).set_weights(layer.get_weights())
    merge = model.get_layer("merge")
    _subtract(merge, 2 * model.width, merge.filters // 2)
    for level in (1, 2):
        squeeze = model.get_layer(f"mask_decoder{level}_squeeze_skips")
        _subtract(squeeze, model.width * level, squeeze.filters)


def _subtract(layer: keras.layers.Conv2D, channels: int, outputs: int) -> None:
    """Let the first outputs of a 1x1 convolution be the picture minus the plate.

    Args:
        layer: joins `channels` of the plate, as many of the picture, and others.
        channels: of each of them.
        outputs: number of outputs.
    """
    kernel, bias = layer.get_weights()
    kernel[:, :, :channels, :outputs] = -kernel[:, :, channels : 2 * channels, :outputs]
    kernel[:, :, 2 * channels :, :outputs] = 0
    layer.set_weights([kernel, bias])


INITIALISATIONS: dict[str, Callable[[TwoPictureNetwork], None]] = {
    "independent": start_independently,
    "difference": start_as_difference,
}
