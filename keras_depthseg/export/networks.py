"""Plain networks to export, with named inputs and outputs, and maps in [0, 1]."""

from __future__ import annotations

from typing import Any

import keras

from keras_depthseg.model import serving_model
from keras_depthseg.networks.copying import float32_copy
from keras_depthseg.networks.parts import split

FEATURES = "features"
"""The features of the plate are called `features1`, `features2` …"""


def whole(network: Any, sides: tuple[int, int] | None) -> dict[str, keras.Model]:
    """Return one network, from `bg` and `fg_bg` to all maps, by the name `model`.

    Args:
        network: a `TwoPictureNetwork`.
        sides: fixed height and width, or any.
    """
    return {"model": serving_model(_in_float32(network), *(sides or ()))}


def in_parts(network: Any, sides: tuple[int, int] | None) -> dict[str, keras.Model]:
    """Return networks for one plate and many photographs, by name.

    `plate` takes `bg` and gives features; `maps` takes `fg_bg` and features, and gives
    all maps; `mask` gives the mask alone.

    Args:
        network: a `TwoPictureNetwork`.
        sides: fixed height and width, or any.
    """
    parts = split(network)
    height, width = sides or (None, None)
    bg = keras.Input((height, width, 3), name="bg")
    features = keras.tree.flatten(parts.plate(bg))
    names = [f"{FEATURES}{number}" for number in range(1, len(features) + 1)]
    named = {
        name: keras.layers.Identity(name=name)(tensor)
        for name, tensor in zip(names, features, strict=True)
    }
    networks = {"plate": keras.Model({"bg": bg}, named, name="plate")}
    for name in ("maps", "mask"):
        inputs = {"fg_bg": keras.Input((height, width, 3), name="fg_bg")} | {
            feature: keras.Input(tensor.shape[1:], name=feature)
            for feature, tensor in named.items()
        }
        outputs = getattr(parts, name)(list(inputs.values()))
        networks[name] = keras.Model(inputs, outputs, name=name)
    for model in networks.values():
        model(model.input)  # Keras 3.15 exports to ONNX only what was called.
    return networks


def _in_float32(network: Any) -> Any:
    if network.dtype_policy.compute_dtype == "float32":
        return network
    return float32_copy(network)
