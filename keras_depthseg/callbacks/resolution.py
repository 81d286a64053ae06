"""Training through growing resolutions as one `fit`, and what may end or slow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_depthseg.schedule import Phase


class ResolutionScheduler(keras.callbacks.Callback):
    """Trains a model through phases, building the pipeline of each epoch.

    To the user it is one `fit`: one history with a row an epoch, `resolution` and
    `learning_rate` in it, one set of callbacks whose state (patience, best value, epoch
    number, open files) runs across phases, `on_train_begin` and `on_train_end` once.

    >>> scheduler = ResolutionScheduler(
    ...     parse_schedule("96:3,160:5,224:3"),
    ...     train=lambda phase, epoch, step: make_pipeline(
    ...         data, "train", resolution=phase.resolution,
    ...         batch_size=phase.batch_size, shuffle=True, epoch=epoch, skip=step),
    ... )
    >>> history = scheduler.fit(model, callbacks=[keras.callbacks.ReduceLROnPlateau()])

    Each epoch has data of its own, whose order follows from the epoch's number alone: so
    a training can go on in the middle of it as if nothing had happened.

    Args:
        phases: the phases in order.
        train: gives an epoch's training data, of known length, from a step on: called
            with the phase, the epoch and the step, the latter two from 0.
        validation: gives a phase's validation data, if any.
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
        self._phase = self.phases[0]

    @property
    def phase(self) -> Phase:
        """The phase that is being trained."""
        return self._phase

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
        """Trains `model`, which must be compiled.

        Args:
            model: any model that takes what `train` gives.
            callbacks: as for `keras.Model.fit`.
            verbose: as for `keras.Model.fit`.
            first_epoch: the epoch to begin with, from 0.
            first_step: the step of that epoch to begin with, from 0.

        Returns:
            The history of the epochs trained here.
        """
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
        # What an interrupted run has left there is not for this one.
        model._initial_epoch = None
        # Phases may be equal: told apart by their numbers.
        of_epoch = [n for n, phase in enumerate(self.phases) for _ in range(phase.epochs)]
        number = None
        for epoch in range(first_epoch, len(of_epoch)):
            if of_epoch[epoch] != number:
                number = of_epoch[epoch]
                self._phase = self.phases[number]
                validation = self._validation and self._validation(self._phase)
                # Traced afresh for each phase: a function that has seen two resolutions
                # is made for any, and rounds otherwise than one that has seen one. A
                # resumed run has seen the last one only.
                model.train_function = model.test_function = None
                model.predict_function = None  # Callbacks may predict.
            train = self._train(self._phase, epoch, step)
            if epoch == first_epoch:
                _build_metrics(model, train)
            callback_list.first_step = step
            callback_list.is_last_epoch = epoch == len(of_epoch) - 1
            callback_list.set_params(
                {"verbose": verbose, "epochs": self.epochs, "steps": step + len(train)}
            )
            _forget_earlier_start(model, epoch)
            model.fit(
                train,
                validation_data=validation,
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=callback_list,
                verbose=verbose,
                shuffle=False,  # The pipeline does that.
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
            logs["resolution"] = self._phase.resolution
            rate = self.model.optimizer.learning_rate
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(rate))


class _OneRun(keras.callbacks.CallbackList):
    """Lets `on_train_begin` through at the first epoch, `on_train_end` at the last.

    `fit` takes a ready `CallbackList` as it is. Between its calls the callbacks hear
    nothing, so they keep their state: `ReduceLROnPlateau` and `EarlyStopping` would
    start afresh, and `BackupAndRestore` would delete its backup.
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


def _build_metrics(model: keras.Model, batches) -> None:
    # Keras makes the variables of metrics in the first step, or on JAX before it. In the
    # middle of an epoch they must be there earlier, to hold what the steps before have
    # added up. Nothing is computed: on JAX, calling the model took 19 s.
    model._symbolic_build(data_batch=next(iter(batches)))


def _forget_earlier_start(model: keras.Model, start: int) -> None:
    # `BackupAndRestore` notes the epoch to go on from in this attribute, and `fit`
    # prefers it to `initial_epoch` for ever after: a later epoch would be trained as an
    # earlier one.
    if (getattr(model, "_initial_epoch", None) or 0) <= start:
        model._initial_epoch = None
