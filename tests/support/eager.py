"""Functions that run without being traced."""

import warnings

import tensorflow as tf


def run_eagerly(test_case):
    """Trace no function in this test: that takes most of the time of a short training."""
    test_case.enter_context(warnings.catch_warnings())
    warnings.filterwarnings("ignore", "Even though the `tf.config", UserWarning)
    tf.config.run_functions_eagerly(True)
    test_case.addCleanup(tf.config.run_functions_eagerly, False)
