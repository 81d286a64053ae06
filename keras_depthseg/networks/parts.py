"""Cuts a network in two: what needs only the plate, and what needs the photograph."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from keras_depthseg.backend import graph_calls
from keras_depthseg.model import OUTPUTS
from keras_depthseg.networks.copying import float32_copy


class Parts(NamedTuple):
    """A network in two parts, for one plate and many photographs.

    Attributes:
        plate: takes `bg`, (B, H, W, 3); gives its features, a list.
        maps: takes a list of `fg_bg` and those features; gives `{"mask": …, "depth": …}`,
            (B, H, W, 1) float32 in [0, 1].
        mask: as `maps`, without the depth and what only depth needs.
    """

    plate: keras.Model
    maps: keras.Model
    mask: keras.Model


def split(model: keras.Model) -> Parts:
    """Cut a network where the photograph meets the plate; the parts compute in float32.

    Args:
        model: a functional model with the inputs `bg` and `fg_bg` and the outputs `mask`
            and perhaps `depth`, logits.
    """
    in_float32 = model.dtype_policy.compute_dtype == "float32"
    network: Any = model if in_float32 else float32_copy(model)
    seen = {id(network.input["fg_bg"])}
    features: dict[int, Any] = {}
    for inputs, results in graph_calls(network):
        if not any(id(tensor) in seen for tensor in inputs):
            continue
        seen.update(id(tensor) for tensor in results)
        features |= {id(t): t for t in inputs if id(t) not in seen}
    # A map may need the plate alone.
    outputs = {name: network.output[name] for name in OUTPUTS if name in network.output}
    features |= {id(t): t for t in outputs.values() if id(t) not in seen}
    plate_features = list(features.values())
    maps = {
        name: keras.layers.Activation("sigmoid", dtype="float32", name=f"{name}_map")(
            logits
        )
        for name, logits in outputs.items()
    }
    inputs = [network.input["fg_bg"], *plate_features]
    return Parts(
        keras.Model(network.input["bg"], plate_features, name="plate"),
        keras.Model(inputs, maps, name="maps"),
        keras.Model(inputs, {"mask": maps["mask"]}, name="mask"),
    )
