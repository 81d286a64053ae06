"""Samples are divided evenly into shards."""

import hypothesis
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets.building.shards import parts, shard_count


class PartsTest(parameterized.TestCase):
    @parameterized.parameters(*((0, 1), (256, 1), (257, 2), (65536, 256), (10**9, 256)))
    def test_shard_count(self, samples, shards):
        self.assertEqual(shard_count(samples), shards)

    @hypothesis.given(st.integers(0, 5000), st.integers(1, 300))
    def test_parts(self, items, count):
        found = parts(range(items), count)
        self.assertLen(found, count)
        self.assertEqual([item for part in found for item in part], list(range(items)))
        lengths = [len(part) for part in found]
        self.assertLessEqual(max(lengths) - min(lengths), 1)
