"""Reads a trained network from a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from keras_depthseg.errors import UserError
from keras_depthseg.model import INPUTS
from keras_depthseg.runtimes import opened


def load_network(path: str | Path) -> Any:
    """Return the Keras model of a file.

    Args:
        path: a `.keras` file of a model that takes `bg` and `fg_bg` and gives `mask` and
            perhaps `depth`, as `DSResNet` does.

    Raises:
        UserError: if the file cannot be opened, or the model is another one.
    """
    model: Any = opened(
        str(path), lambda name: keras.saving.load_model(name, compile=False)
    )
    inputs, outputs = getattr(model, "input", None), getattr(model, "output", None)
    if not (
        isinstance(inputs, dict)
        and set(inputs) == set(INPUTS)
        and isinstance(outputs, dict)
        and "mask" in outputs
    ):
        raise UserError(
            f"{path}: received another kind of network; expected one with the inputs bg "
            "and fg_bg and the output mask, by name. Give a model of depthseg train."
        )
    return model
