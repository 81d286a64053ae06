"""Initial weights of a new network."""

from __future__ import annotations

from collections.abc import Callable

from keras_depthseg.model import INPUTS, DSResNet


def start_independently(model: DSResNet) -> None:
    """Leave all weights as they were drawn, independently of each other."""


def start_as_difference(model: DSResNet) -> None:
    """Let a new network begin with the difference between `fg_bg` and `bg`.

    Both branches get the same weights, and convolutions that join the branches subtract
    one from the other: `merge` in half of its channels, and the `squeeze_skips` of the
    outer two blocks of the mask's decoder in all. Their outputs are then 0 where `bg` and
    `fg_bg` are equal (if both are normalised alike), before anything is learned; an
    untrained network learns that late. All weights remain free. The decoder of the depth,
    which needs the scene, and all other weights stay as drawn.

    Args:
        model: a network that has not been trained; changed in place.
    """
    plate, picture = INPUTS
    for layer in model.layers:
        if layer.name.startswith(f"{plate}_encoder") and layer.weights:
            other = layer.name.replace(plate, picture, 1)
            model.get_layer(other).set_weights(layer.get_weights())
    _subtract(model, "merge", model.width)
    for level in (1, 2):
        _subtract(model, f"mask_decoder{level}_squeeze_skips", model.width * level)


def _subtract(model: DSResNet, name: str, outputs: int) -> None:
    """Let the first outputs of a 1x1 convolution be its second half minus its first."""
    layer = model.get_layer(name)
    kernel, bias = layer.get_weights()
    half = kernel.shape[2] // 2
    kernel[:, :, :half, :outputs] = -kernel[:, :, half:, :outputs]
    layer.set_weights([kernel, bias])


INITIALISATIONS: dict[str, Callable[[DSResNet], None]] = {
    "independent": start_independently,
    "difference": start_as_difference,
}
