"""Training through growing resolutions as one `fit`."""

# Keras does not type `Callback.model`: pyright infers that it may be None.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_depthseg.backend import build_metrics, forget_traces
from keras_depthseg.schedule import Phase


class ResolutionScheduler(keras.callbacks.Callback):
    """Trains a model through phases, with a pipeline of its own for each epoch.

    To the user it is one `fit`: one history with a row an epoch, one set of callbacks
    whose state (patience, best value, epoch number, open files) runs across phases,
    `on_train_begin` and `on_train_end` once. The logs of an epoch get `phase` (from 0),
    `resolution` and `learning_rate`.

    >>> scheduler = ResolutionScheduler(
    ...     parse_schedule("96:3,160:5,224:3"),
    ...     train=lambda phase, epoch, step: make_pipeline(
    ...         data, "train", resolution=phase.resolution,
    ...         batch_size=phase.batch_size, shuffle=True, epoch=epoch, skip=step),
    ... )
    >>> history = scheduler.fit(model, callbacks=[keras.callbacks.ReduceLROnPlateau()])

    The data of an epoch follow from the epoch's number alone, so that a training can
    resume within it, to the bit: give `fit` the epoch and step, and restore the model in
    `on_train_begin`. `keras.callbacks.BackupAndRestore` is not supported.

    Args:
        phases: the phases in order.
        train: returns an epoch's training data, of known length, from a step on: called
            with the phase, the epoch and the step, the latter two from 0.
        validation: returns a phase's validation data, if any.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        train: Callable[[Phase, int, int], Any],
        validation: Callable[[Phase], Any] | None = None,
    ):
        super().__init__()
        if not phases:
            raise ValueError("phases must hold at least one phase. Received: none.")
        self.phases = tuple(phases)
        self._is_fitting = False
        self._train = train
        self._validation = validation
        self._number = 0

    @property
    def phase(self) -> Phase:
        """The phase that is being trained."""
        return self.phases[self._number]

    @property
    def epochs(self) -> int:
        """Number of epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def fit(
        self,
        model: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: str | int = "auto",
        *,
        first_epoch: int = 0,
        first_step: int = 0,
    ) -> keras.callbacks.History:
        """Train `model`, which must be compiled.

        Args:
            model: any model that takes the batches of `train`.
            callbacks: as for `keras.Model.fit`.
            verbose: as for `keras.Model.fit`.
            first_epoch: the epoch to begin with, from 0.
            first_step: the step of that epoch to begin with, from 0.

        Returns:
            The history of the epochs trained here.

        Raises:
            ValueError: if `BackupAndRestore` is among the callbacks.
        """
        if any(isinstance(c, keras.callbacks.BackupAndRestore) for c in callbacks):
            raise ValueError(
                "callbacks must not hold BackupAndRestore, which resumes only at the "
                "beginning of a `fit`. Received: one. Use first_epoch and first_step."
            )
        callback_list = _OneRun(
            # First, so that the others find the resolution in the logs.
            [self, *callbacks],
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
        )
        self._is_fitting = True
        try:
            self._fit_epochs(model, callback_list, verbose, first_epoch, first_step)
        finally:
            self._is_fitting = False
        return model.history

    def _fit_epochs(self, model, callback_list, verbose, first_epoch, step) -> None:
        # Phases may be equal, so they are identified by their numbers.
        of_epoch = [n for n, phase in enumerate(self.phases) for _ in range(phase.epochs)]
        number = validation = None
        for epoch in range(first_epoch, len(of_epoch)):
            if of_epoch[epoch] != number:
                number = self._number = of_epoch[epoch]
                validation = self._validation and self._validation(self.phase)
                # A resumed run has seen the resolution of the last phase only; any other
                # run must round as it does.
                forget_traces(model)
            train = self._train(self.phase, epoch, step)
            if epoch == first_epoch:
                build_metrics(model, next(iter(train)))
            callback_list.first_step = step
            callback_list.is_last_epoch = epoch == len(of_epoch) - 1
            callback_list.set_params(
                {"verbose": verbose, "epochs": self.epochs, "steps": step + len(train)}
            )
            model.fit(
                train,
                validation_data=validation,
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=callback_list,
                verbose=verbose,
                shuffle=False,  # The pipeline shuffles.
            )
            if model.stop_training:
                break
            step = 0

    def on_train_begin(self, logs=None):
        if not self._is_fitting:
            raise ValueError(
                "ResolutionScheduler calls fit itself, once an epoch. Received: "
                "model.fit(callbacks=[scheduler]). Use scheduler.fit(model)."
            )

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["phase"] = self._number
            logs["resolution"] = self.phase.resolution
            rate = self.model.optimizer.learning_rate
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(rate))


class _OneRun(keras.callbacks.CallbackList):
    """Passes `on_train_begin` on at the first epoch, `on_train_end` at the last.

    `fit` uses a ready `CallbackList` as it is. Without those two calls between epochs the
    callbacks keep their state, which `ReduceLROnPlateau` and `EarlyStopping` would reset.
    """

    def __init__(self, *args, **kwargs):
        self.first_step = 0
        self.is_last_epoch = False
        self._has_begun = False
        super().__init__(*args, **kwargs)

    def on_train_begin(self, logs=None):
        if not self._has_begun:
            self._has_begun = True
            super().on_train_begin(logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.first_step, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self.first_step, logs)

    def on_train_end(self, logs=None):
        if self.is_last_epoch or self.model.stop_training:
            super().on_train_end(logs)
