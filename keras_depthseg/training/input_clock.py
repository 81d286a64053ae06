"""Measures how long training waits for its input, inside the pipeline.

A training step fetches its batch within a TensorFlow graph, which no callback can see: to
Keras, waiting for input is part of the step.
"""

from __future__ import annotations

import os
import time

import numpy as np
import tensorflow as tf

from keras_depthseg.backend import untuned


class InputClock:
    """Adds up how long the consumer of data sets waited for their elements.

    >>> clock = InputClock()
    >>> model.fit(clock.watch(make_pipeline(data, "train")))
    >>> clock.seconds
    0.83
    """

    def __init__(self):
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Time waited for all watched data sets so far, in seconds."""
        return self._seconds

    def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same data set, whose waits are added to `seconds`.

        Must be the last stage: a later stage that reads ahead (`prefetch`, a parallel
        `map`) would count as the consumer.

        Args:
            dataset: any data set. Its options stay, but for tf.data's tuning, which is
                switched off (see `untuned`): tuning would read ahead after this stage.
        """
        # Zip reads its parts in order: the time first, then the element.
        #
        # NumPy functions declared stateless, not `tf.timestamp` or a variable: under
        # `enable_op_determinism` the first raises, and any stateful operation makes
        # tf.data drop `prefetch` and parallel calls.
        starts = tf.data.Dataset.counter().map(
            lambda i: tf.numpy_function(self._now, [i], tf.float64, stateful=False)
        )
        timed = tf.data.Dataset.zip(starts, dataset).map(
            # A result that is not returned would not be computed.
            lambda start, element: (
                element,
                tf.numpy_function(self._add, [start], tf.float64, stateful=False),
            )
        )
        options = untuned()
        options.experimental_optimization.map_fusion = False
        # A thread for the clock. In the pool shared with training it would wait until a
        # decoding call has ended, and so would the consumer.
        options.threading.private_threadpool_size = (os.cpu_count() or 1) + 1
        return timed.map(lambda element, _: element).with_options(options)

    def _now(self, _) -> np.float64:
        return np.float64(time.perf_counter())

    def _add(self, start: np.float64) -> np.float64:
        self._seconds += time.perf_counter() - start
        return np.float64(self._seconds)
