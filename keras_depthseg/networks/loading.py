"""Reads a trained network, from a model file or by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_depthseg.errors import UserError
from keras_depthseg.model import INPUTS

# Keras can only load what is registered.
from keras_depthseg.networks import registry  # noqa: F401
from keras_depthseg.pretrained import DEFAULT, pretrained_path
from keras_depthseg.runtimes import load_keras, opened


def load_pretrained(name: str = DEFAULT) -> Any:
    """Return the Keras model of trained weights, in float32.

    `keras_depthseg/networks/weights/README.md` says what they were trained on, what they
    are good for, and their licences.

    Args:
        name: `"small"`, which comes with the package.

    Raises:
        UserError: there are no weights of that name, or their file is missing or damaged.

    Example:

    >>> model = keras_depthseg.load_pretrained("small")
    >>> model.predict({"bg": bg, "fg_bg": fg_bg})["mask"].shape
    (1, 224, 224, 1)
    """
    return load_network(pretrained_path(name))


def load_network(path: str | Path) -> Any:
    """Return the Keras model of a file.

    Args:
        path: a `.keras` file of a model that takes `bg` and `fg_bg` and gives `mask` and
            perhaps `depth`, as `DSResNet` does.

    Raises:
        UserError: if the file cannot be opened, or the model is another one.
    """
    model: Any = opened(str(path), load_keras)
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
