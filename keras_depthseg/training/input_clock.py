"""How long a training waits for its input, measured inside the pipeline.

A training step takes its batch within a TensorFlow graph, where no callback can look: to
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
        """The same elements in the same order, their number known as before.

        The wait for each adds to `seconds`. What stands behind this stage and reads ahead
        of the consumer (`prefetch`, a parallel `map`) would be taken for the consumer.

        Args:
            dataset: any data set. Its options stay, but for tf.data's tuning, which is
                switched off (see `untuned`): it would read ahead behind this stage.
        """
        # Zip asks its parts one after the other: the time first, then the element.
        #
        # NumPy functions that claim to be stateless, and neither `tf.timestamp` nor a
        # variable: under `enable_op_determinism` the first raises, and any stateful
        # operation makes tf.data work without `prefetch` and parallel calls.
        starts = tf.data.Dataset.counter().map(
            lambda i: tf.numpy_function(self._now, [i], tf.float64, stateful=False)
        )
        timed = tf.data.Dataset.zip(starts, dataset).map(
            # What is not handed on would not be computed.
            lambda start, element: (
                element,
                tf.numpy_function(self._add, [start], tf.float64, stateful=False),
            )
        )
        options = untuned()
        options.experimental_optimization.map_fusion = False
        # A thread for the clock. In the pool shared with the training it would wait till
        # one of the calls that decode has ended, and the consumer with it.
        options.threading.private_threadpool_size = (os.cpu_count() or 1) + 1
        return timed.map(lambda element, _: element).with_options(options)

    def _now(self, _) -> np.float64:
        return np.float64(time.perf_counter())

    def _add(self, start: np.float64) -> np.float64:
        self._seconds += time.perf_counter() - start
        return np.float64(self._seconds)
