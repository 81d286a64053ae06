"""Training through growing resolutions as one `fit`, and pictures along the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_depthseg.schedule import Phase


class ResolutionScheduler(keras.callbacks.Callback):
    """Trains a model through phases, rebuilding the pipeline for each.

    To the user it is one `fit`: one history with a row an epoch and the `resolution` in
    it, one set of callbacks whose state (patience, best value, epoch number, open files)
    runs across phases, `on_train_begin` and `on_train_end` once.

    >>> scheduler = ResolutionScheduler(
    ...     parse_schedule("96:3,160:5,224:3"),
    ...     train=lambda phase: make_pipeline(
    ...         data, "train", resolution=phase.resolution,
    ...         batch_size=phase.batch_size, shuffle=True),
    ... )
    >>> history = scheduler.fit(model, callbacks=[keras.callbacks.ReduceLROnPlateau()])

    Args:
        phases: the phases in order.
        train: gives a phase's training data, of known length.
        validation: gives a phase's validation data, if any.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        train: Callable[[Phase], Any],
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
    ) -> keras.callbacks.History:
        """Trains `model`, which must be compiled.

        Args:
            model: any model that takes what `train` gives.
            callbacks: as for `keras.Model.fit`.
            verbose: as for `keras.Model.fit`.

        Returns:
            The history of the whole run.
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
            self._fit_phases(model, callback_list, verbose)
        finally:
            self._is_fitting = False
        return model.history

    def _fit_phases(self, model, callback_list, verbose) -> None:
        start = 0
        # What an interrupted run has left there is not for this one.
        model._initial_epoch = None
        for number, phase in enumerate(self.phases, start=1):
            self._phase = phase
            callback_list.is_last_phase = number == len(self.phases)
            train = self._train(phase)
            callback_list.set_params(
                {"verbose": verbose, "epochs": self.epochs, "steps": len(train)}
            )
            _forget_earlier_start(model, start)
            model.fit(
                train,
                validation_data=self._validation and self._validation(phase),
                initial_epoch=start,
                epochs=start + phase.epochs,
                callbacks=callback_list,
                verbose=verbose,
                shuffle=False,  # The pipeline does that.
            )
            start += phase.epochs
            if model.stop_training:
                break

    def on_train_begin(self, logs=None):
        if not self._is_fitting:
            raise ValueError(
                "ResolutionScheduler calls fit itself, once a phase. Received: "
                "model.fit(callbacks=[scheduler]). Use scheduler.fit(model)."
            )

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["resolution"] = self._phase.resolution


class _OneRun(keras.callbacks.CallbackList):
    """Lets `on_train_begin` through at the first phase, `on_train_end` at the last.

    `fit` takes a ready `CallbackList` as it is. Between phases the callbacks hear
    nothing, so they keep their state: `ReduceLROnPlateau` and `EarlyStopping` would
    start afresh, and `BackupAndRestore` would delete its backup.
    """

    def __init__(self, *args, **kwargs):
        self.is_last_phase = False
        self._has_begun = False
        super().__init__(*args, **kwargs)

    def on_train_begin(self, logs=None):
        if not self._has_begun:
            self._has_begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        if self.is_last_phase or self.model.stop_training:
            super().on_train_end(logs)


def _forget_earlier_start(model: keras.Model, start: int) -> None:
    # `BackupAndRestore` notes the epoch to go on from in this attribute, and `fit`
    # prefers it to `initial_epoch` for ever after: a later phase would begin with the
    # epochs of an earlier one.
    if (getattr(model, "_initial_epoch", None) or 0) <= start:
        model._initial_epoch = None


class PredictionPictures(keras.callbacks.Callback):
    """After every epoch, predicts the same samples and hands them on as a picture.

    Args:
        samples: gives `(inputs, labels)`, one batch of arrays, at a resolution; asked
            once for each.
        draw: makes a picture, (H, W, 3) uint8, of inputs, labels and predictions.
        publish: takes the epoch, from 0, and the picture.
        resolution: gives the resolution of the moment.
    """

    def __init__(
        self,
        samples: Callable[[int], tuple[dict, dict]],
        draw: Callable[[dict, dict, dict], np.ndarray],
        publish: Callable[[int, np.ndarray], None],
        resolution: Callable[[], int],
    ):
        super().__init__()
        self._samples = samples
        self._draw = draw
        self._publish = publish
        self._resolution = resolution
        self._at_resolution: dict[int, tuple[dict, dict]] = {}

    def on_epoch_end(self, epoch, logs=None):
        resolution = self._resolution()
        if resolution not in self._at_resolution:
            self._at_resolution[resolution] = self._samples(resolution)
        inputs, labels = self._at_resolution[resolution]
        predictions = self.model.predict_on_batch(inputs)
        self._publish(epoch, self._draw(inputs, labels, predictions))
