"""A network's copy in float32."""

from __future__ import annotations

from typing import Any

import keras


def float32_copy(model: Any) -> Any:
    """Return a new network with the same weights that computes in float32, not compiled.

    Args:
        model: a network whose configuration has a `dtype`, as that of `DSResNet`.
    """
    float32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))
    copy = type(model).from_config({**model.get_config(), "dtype": float32})
    copy.set_weights(model.get_weights())
    return copy
