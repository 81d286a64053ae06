"""Signals that ask a training to stop."""

import signal
import threading

import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.training.signals import asked_to_stop


class StoppingTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(signal.SIGINT, signal.SIGTERM)
    def test_first_is_noted_second_acts(self, number):
        def handler(*_):
            raise BrokenPipeError  # What stood there before.

        self.addCleanup(signal.signal, number, signal.signal(number, handler))
        with asked_to_stop() as should_stop:
            self.assertFalse(should_stop())
            # To this thread: another one, of TensorFlow, might get `os.kill`'s too late.
            signal.raise_signal(number)
            self.assertTrue(should_stop())
            with self.assertRaises(BrokenPipeError):
                signal.raise_signal(number)
        self.assertIs(signal.getsignal(number), handler)

    def test_in_another_thread_nothing_is_noted(self):
        seen = []

        def work():
            with asked_to_stop() as should_stop:
                seen.append(should_stop())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(seen, [False])
