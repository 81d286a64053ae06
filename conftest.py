"""Shared by all tests; at the root, so that tests import the package and `tests`."""

import hypothesis

# Before TensorFlow, which the tests import first: switches oneDNN on where it is faster.
import keras_depthseg  # noqa: F401

# Wall-clock limits fail on a busy machine, and a random failure helps nobody.
hypothesis.settings.register_profile(
    "repeatable",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,
    database=None,
    max_examples=25,
)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items):
    # A leftover of TensorFlow 1 in tf.test.TestCase, reported as a skipped test.
    items[:] = [item for item in items if item.name != "test_session"]
