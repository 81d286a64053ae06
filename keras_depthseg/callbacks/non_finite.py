"""The end of a training at a loss or gradient that is not finite."""

# Keras does not type `Callback.model`: pyright infers that it may be None.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

from __future__ import annotations

import math

import keras

from keras_depthseg.backend import holds_state_apart
from keras_depthseg.optimizers import non_finite_steps


class NonFiniteError(ArithmeticError):
    """A loss or a gradient was infinite or not a number.

    Attributes:
        what: `"loss"` or `"gradient"`.
        epoch, step: where, from 0.
    """

    def __init__(self, what: str, epoch: int, step: int):
        super().__init__(f"the {what} of epoch {epoch}, step {step} is not finite")
        self.what = what
        self.epoch = epoch
        self.step = step


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends a training at the first loss or gradient that is not finite.

    Gradients are checked with the optimizers of `optimizers.py`; on JAX, which updates
    the optimizer's variables after an epoch only, at the end of the epoch.

    Raises:
        NonFiniteError: from the hooks of `fit`.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._last = batch
        # The mean of the epoch so far: not finite from the first such step on.
        if not math.isfinite((logs or {})["loss"]):
            raise NonFiniteError("loss", self._epoch, batch)
        if not holds_state_apart(self.model):
            self._check_gradients()

    def on_epoch_end(self, epoch, logs=None):
        self._check_gradients()

    def _check_gradients(self):
        if non_finite_steps(self.model.optimizer):
            raise NonFiniteError("gradient", self._epoch, self._last)
