"""A moving average of the weights, which is validated and saved in their place."""

# Keras does not type `Callback.model`: pyright infers that it may be None.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from keras_depthseg.backend import synchronise

# Batches between two updates, each of which counts for all of them: an update takes
# about 15 ms, a step of the small network 170.
_EVERY = 8


class WeightAverage(keras.callbacks.Callback):
    """Keeps a moving average of the weights, which takes their place between epochs.

    `average += (1 - decay**k) (weights - average)` after every k steps of the optimizer,
    with `(1 + n) / (10 + n)` for the decay while that is smaller, n the number of the
    step, so that the first weights soon stop counting. Moving statistics of batch
    normalisation are averaged as well.

    From the validation of an epoch to the beginning of the next, and after the training,
    the model holds the average. Put this callback before callbacks that read weights.

    Keras's optimizers can average too (`use_ema`), but only trainable weights, and every
    `fit` ends by overwriting the weights with the average.

    Source: Polyak and Juditsky 1992, https://doi.org/10.1137/0330046; decay as in
    `tf.train.ExponentialMovingAverage`.

    Args:
        decay: per step of the optimizer, in [0, 1).
    """

    def __init__(self, decay: float):
        super().__init__()
        self._decay = decay
        self._shows_average = False

    def on_train_begin(self, logs=None):
        synchronise(self.model)
        # The average, or the weights while the model holds the average.
        self._other = [ops.copy(variable.value) for variable in self._averaged()]
        self._shows_average = False
        self._steps = self._optimizer_steps()

    def on_epoch_begin(self, epoch, logs=None):
        if self._shows_average:
            self._swap()

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % _EVERY == 0:
            self._update()

    def on_test_begin(self, logs=None):
        self._show_average()

    def on_epoch_end(self, epoch, logs=None):
        self._show_average()

    def state(self) -> dict[str, np.ndarray]:
        """Return what the model does not hold: the average, or the weights."""
        arrays = {
            f"{number:04d}": np.asarray(ops.convert_to_numpy(value))
            for number, value in enumerate(self._other)
        }
        return {
            **arrays,
            "shows_average": np.asarray(self._shows_average),
            "steps": np.asarray(self._steps, np.int64),
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state; call it after `on_train_begin`, which resets the average."""
        self._other = [
            ops.convert_to_tensor(state[f"{number:04d}"])
            for number in range(len(self._other))
        ]
        self._shows_average = bool(state["shows_average"])
        self._steps = int(state["steps"])

    def _averaged(self) -> list[keras.Variable]:
        return [v for v in self.model.variables if keras.backend.is_float_dtype(v.dtype)]

    def _optimizer_steps(self) -> int:
        # Without the steps that loss scaling skipped; one for several batches whose
        # gradients are accumulated.
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _update(self) -> None:
        synchronise(self.model)
        steps = self._optimizer_steps()
        decay = min(self._decay, (1 + steps) / (10 + steps))
        share = 1.0 - decay ** (steps - self._steps)
        self._steps = steps
        if share:
            self._other = [
                average + share * (variable.value - average)
                for average, variable in zip(self._other, self._averaged(), strict=True)
            ]

    def _show_average(self) -> None:
        if not self._shows_average:
            self._update()
            self._swap()

    def _swap(self) -> None:
        synchronise(self.model)
        held = [ops.copy(variable.value) for variable in self._averaged()]
        for variable, value in zip(self._averaged(), self._other, strict=True):
            variable.assign(value)
        self._other = held
        self._shows_average = not self._shows_average
