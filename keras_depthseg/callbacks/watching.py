"""The speed of a training, its limit, and pictures of its predictions."""

# Keras does not type `Callback.model`: pyright infers that it may be None.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import numpy as np


class StepTimes(keras.callbacks.Callback):
    """Adds the speed of an epoch's training steps to its logs.

    `step_seconds`: mean time of a step, including the wait for its input. `input_wait`:
    the share of that wait, in [0, 1]. `images_per_second`: at that speed.

    The first step of an epoch does not count, unless it is the only one: it may include
    tracing, and the pipeline is still empty.

    Args:
        waited: returns the time waited for training input so far, in seconds.
        batch_size: returns the current number of images of a step; a smaller last batch
            counts as a whole one.
    """

    def __init__(self, waited: Callable[[], float], batch_size: Callable[[], int]):
        super().__init__()
        self._waited = waited
        self._batch_size = batch_size

    def on_epoch_begin(self, epoch, logs=None):
        # A row for each call of the training function: steps, seconds, seconds waited.
        self._calls: list[tuple[int, float, float]] = []

    def on_train_batch_begin(self, batch, logs=None):
        self._begun = batch, time.perf_counter(), self._waited()

    def on_train_batch_end(self, batch, logs=None):
        first, start, waited = self._begun
        # Several steps where the model is compiled with steps_per_execution.
        self._calls.append(
            (batch + 1 - first, time.perf_counter() - start, self._waited() - waited)
        )

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or not self._calls:
            return
        steps, seconds, waited = np.sum(self._calls[1:] or self._calls, axis=0)
        logs["step_seconds"] = round(float(seconds / steps), 5)
        logs["images_per_second"] = round(float(self._batch_size() * steps / seconds), 2)
        logs["input_wait"] = round(float(np.clip(waited / seconds, 0.0, 1.0)), 4)


class PredictionPictures(keras.callbacks.Callback):
    """Draws predictions of the same samples after an epoch.

    The last epoch is always drawn; other epochs only while pictures take at most
    `max_share` of the training time so far.

    Args:
        samples: returns `(inputs, labels)`, one batch of arrays, at a resolution; called
            once for each resolution.
        draw: draws inputs, labels and predictions as one image, (H, W, 3) uint8.
        publish: called with the epoch, from 0, and the image.
        resolution: returns the current resolution.
        is_last: returns whether an epoch, from 0, is the last of the run. An epoch at
            whose end `model.stop_training` is set counts as the last, too.
        max_share: of the training time, in [0, 1].
        first_seconds: expected time of the first picture.
    """

    def __init__(
        self,
        samples: Callable[[int], tuple[dict, dict]],
        draw: Callable[[dict, dict, dict], np.ndarray],
        publish: Callable[[int, np.ndarray], None],
        resolution: Callable[[], int],
        is_last: Callable[[int], bool],
        max_share: float = 0.03,
        # Nearly all of it is tracing, on a slow core.
        first_seconds: float = 3.0,
    ):
        super().__init__()
        self._samples = samples
        self._draw = draw
        self._publish = publish
        self._resolution = resolution
        self._is_last = is_last
        self._max_share = max_share
        self._first_seconds = first_seconds
        self._at_resolution: dict[int, tuple[dict, dict]] = {}

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()
        self._costs: list[float] = []  # Seconds, of each picture so far.

    def on_epoch_end(self, epoch, logs=None):
        resolution = self._resolution()
        start = time.perf_counter()
        if not (
            self._is_last(epoch)
            or self.model.stop_training
            or self._is_affordable(resolution, start)
        ):
            return
        if resolution not in self._at_resolution:
            self._at_resolution[resolution] = self._samples(resolution)
        inputs, labels = self._at_resolution[resolution]
        # Tracing, once a resolution, takes seconds; without a trace every picture would
        # take ten times as long.
        predictions = self.model.predict_on_batch(inputs)
        self._publish(epoch, self._draw(inputs, labels, predictions))
        self._costs.append(time.perf_counter() - start)

    def _is_affordable(self, resolution: int, now: float) -> bool:
        # The first picture of a phase traces the model, and may read the samples.
        is_new = (
            resolution not in self._at_resolution or self.model.predict_function is None
        )
        choose = max if is_new else min
        expected = choose(self._costs, default=self._first_seconds)
        training = now - self._start - sum(self._costs)
        return sum(self._costs) + expected <= self._max_share * training
