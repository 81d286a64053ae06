"""The clock in the pipeline: what it counts, and that it changes nothing else."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import tensorflow as tf

from keras_depthseg.backend import untuned
from keras_depthseg.training.input_clock import InputClock

COUNT = 10


def _slow(seconds, calls=1):
    """Elements that each take a time to make, of a consumer's thread or others."""

    def make(i):
        time.sleep(seconds)
        return np.float32(i)

    return tf.data.Dataset.range(COUNT).map(
        lambda i: tf.ensure_shape(tf.numpy_function(make, [i], tf.float32, False), []),
        num_parallel_calls=calls,
    )


# `enable_op_determinism` cannot be taken back within a process.
DETERMINISTIC = """
import tensorflow as tf

tf.config.experimental.enable_op_determinism()
tf.random.set_seed(0)

import threading

from keras_depthseg.training.input_clock import InputClock

# Both calls must be under way at once: each waits for the other.
barrier = threading.Barrier(2)

def meet(i):
    barrier.wait(60)
    return i

clock = InputClock()
dataset = clock.watch(
    tf.data.Dataset.range(8).map(
        lambda i: tf.numpy_function(meet, [i], tf.int64, stateful=False),
        num_parallel_calls=2,
    )
)
assert list(dataset.as_numpy_iterator()) == list(range(8))
assert clock.seconds > 0
"""


class InputClockTest(tf.test.TestCase):
    def _wait(self, dataset, consumer_seconds):
        """Seconds waited for an element."""
        clock = InputClock()
        seen = []
        for element in clock.watch(dataset):
            seen.append(int(element))
            time.sleep(consumer_seconds)
        self.assertEqual(seen, list(range(COUNT)))
        return clock.seconds / COUNT

    def test_slow_producer(self):
        for calls in (1, 2):
            wait = self._wait(_slow(0.05 * calls, calls).prefetch(2), 0.0)
            self.assertGreater(wait, 0.02)

    def test_slow_consumer(self):
        # Tuning would read ahead behind the clock, which would take the reader for the
        # consumer.
        for dataset in (_slow(0.02), _slow(0.02).prefetch(2), _slow(0.04, 2).prefetch(2)):
            self.assertLess(self._wait(dataset, 0.1), 0.025)
            self.assertLess(self._wait(dataset.with_options(untuned()), 0.1), 0.025)

    def test_needs_no_thread_of_the_producer(self):
        # On all cores calls are under way, until the first element has arrived.
        arrived = threading.Event()

        def make(i):
            return i == 0 or arrived.wait(30)

        dataset = tf.data.Dataset.range(2 * os.cpu_count()).map(
            lambda i: tf.numpy_function(make, [i], tf.bool, stateful=False),
            num_parallel_calls=os.cpu_count(),
        )
        for was_in_time in InputClock().watch(dataset):
            arrived.set()
            self.assertTrue(was_in_time)

    def test_is_the_same_data_set_otherwise(self):
        batch = (
            {"bg": np.arange(12, dtype=np.uint8).reshape(6, 2)},
            {"depth": np.linspace(0, 1, 6, dtype="float32"), "mask": np.ones(6)},
        )
        dataset = tf.data.Dataset.from_tensor_slices(batch).batch(4)
        options = tf.data.Options()
        options.deterministic = True
        watched = InputClock().watch(dataset.with_options(options))
        self.assertEqual(watched.element_spec, dataset.element_spec)
        self.assertLen(watched, 2)
        self.assertIs(watched.options().deterministic, True)
        self.assertIs(watched.options().autotune.enabled, False)
        for part, expected in ((watched, dataset), (watched.skip(1), dataset.skip(1))):
            for element, other in zip(part, expected, strict=True):
                tf.nest.map_structure(self.assertAllEqual, element, other)

    def test_deterministic_operations(self):
        subprocess.run([sys.executable, "-c", DETERMINISTIC], check=True, timeout=300)
