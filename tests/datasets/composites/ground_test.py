"""Finding the floor of drawn rooms, and no floor in walls and tables."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.datasets.composites import ground
from tests.support.compositions import room_depth, some_boxes


class GroundTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(pitch=(8, 30), roll=(-8, 8), field_of_view=(45, 60))
    def test_is_found(self, pitch, roll, field_of_view):
        for seed in range(3):
            depth, floor = room_depth(
                *(pitch, 64, roll, field_of_view, some_boxes(seed), 0.01, seed)
            )
            found = ground.find_ground(depth)
            known = depth > 0
            self.assertEmpty(np.argwhere(found & ~known))
            union = ((found | floor) & known).sum()
            self.assertGreater(float((found & floor).sum() / union), 0.8)

    def test_size_and_unit_do_not_matter(self):
        for size in (32, 100, 224):
            depth, floor = room_depth(20, size, 0, 50, some_boxes(0), 0.01, 0)
            for factor in (0.01, 1, 100):
                found = ground.find_ground(depth * np.float32(factor))
                known = depth > 0
                union = ((found | floor) & known).sum()
                self.assertGreater(float((found & floor).sum() / union), 0.85)

    @parameterized.parameters(0.0, 0.01)
    def test_a_wall_is_none(self, noise):
        for seed in range(10):
            rng = np.random.default_rng(seed)
            for size in (48, 128):
                wall = 0.3 * (1 + noise * rng.standard_normal((size, size)))
                self.assertFalse(ground.find_ground(wall.astype(np.float32)).any())

    @parameterized.parameters(
        (25, 1.2, 2.5, 0.8), (20, 0.4, 1.8, 0), (20, 0.5, 2.2, 0), (30, 0.4, 1.8, 0)
    )
    def test_a_table_is_none(self, pitch, near, far, found_floor):
        # 15, 48, 55 and 67 % of the picture; where that is much, no ground is found.
        table = [((-2.5, 0.7, near), (2.5, 0.75, far))]
        depth, floor = room_depth(pitch, 64, 0, 50, table, 0.01, 0)
        found = ground.find_ground(depth)
        self.assertGreaterEqual(float(found[floor & (depth > 0)].mean()), found_floor)
        self.assertLess(float(found[~floor].mean()), 0.05)

    def test_nothing_known(self):
        self.assertFalse(ground.find_ground(np.zeros((48, 48), np.float32)).any())
        some = np.zeros((48, 48), np.float32)
        some[40, ::4] = 0.5
        self.assertFalse(ground.find_ground(some).any())
