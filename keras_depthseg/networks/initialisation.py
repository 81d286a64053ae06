"""Where the weights of a new network start."""

from __future__ import annotations

from keras_depthseg.model import INPUTS, DSResNet


def start_as_difference(model: DSResNet) -> None:
    """Makes a new network begin with the difference between `fg_bg` and `bg`.

    Both branches get the same weights, and the convolutions that join them take one
    minus the other: `merge` in half of its channels, and what the outer two blocks of the
    decoder of the mask squeeze their skips with in all. So those are 0 (but for the two
    statistics of normalisation) where the two pictures are equal, before anything is
    learned; by itself the network finds that out late. All weights remain free. The
    decoder of the depth, which needs the scene, and all other weights stay as drawn.

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
    """Lets the first outputs of a 1x1 convolution be its second half minus its first."""
    layer = model.get_layer(name)
    kernel, bias = layer.get_weights()
    half = kernel.shape[2] // 2
    kernel[:, :, :half, :outputs] = -kernel[:, :, half:, :outputs]
    layer.set_weights([kernel, bias])


INITIALISATIONS = {"independent": lambda model: None, "difference": start_as_difference}
"""By name, what changes a new network whose weights were drawn one by one."""
