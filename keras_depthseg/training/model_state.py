"""The state of a model in training as arrays: saves and restores it."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from keras_depthseg.backend import synchronise


def snapshot(model: keras.Model) -> dict[str, np.ndarray]:
    """Return copies of all variables that a training step changes.

    Weights and moving statistics; the optimizer's step, learning rate, moments,
    accumulated gradients, averages and loss scale; the metrics' sums so far.

    Returns:
        Arrays by name: `model/`, `optimizer/` or `metrics/` and a number.
    """
    synchronise(model)
    return {
        name: np.array(keras.ops.convert_to_numpy(variable))
        for name, variable in _variables(model).items()
    }


def restore(model: keras.Model, state: Mapping[str, np.ndarray]) -> None:
    """Restore the arrays of `snapshot`, bit for bit.

    Metrics that Keras builds only in the first step are left out: they start from zero.

    Raises:
        ValueError: if the state is of another model or optimizer.
    """
    synchronise(model)
    variables = _variables(model)
    required = {name for name in variables if not name.startswith("metrics/")}
    known = {name for name in state if not name.startswith("metrics/")}
    wrong = sorted(required ^ known) or sorted(
        name
        for name, variable in variables.items()
        if name in state
        and (tuple(variable.shape), variable.dtype)
        != (state[name].shape, str(state[name].dtype))
    )
    if wrong:
        raise ValueError(
            "this is the state of another model or optimizer. Received: "
            f"{len(known)} arrays, expected {len(required)}; the first that differs is "
            f"{wrong[0]!r}."
        )
    for name, variable in variables.items():
        if name in state:
            variable.assign(state[name])


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    groups = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
    # Numbered, since paths hold names that Keras counts up within a process.
    return {
        f"{group}/{number:04d}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }
