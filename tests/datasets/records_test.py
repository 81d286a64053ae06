import numpy as np
import tensorflow as tf

from keras_depthseg.datasets import records
from keras_depthseg.datasets.splits import assign_split, held_out
from keras_depthseg.datasets.statistics import ImageStatistics


class ImageStatisticsTest(tf.test.TestCase):
    def test_equals_numpy_over_all_pixels(self):
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 256, (5, 7, 3), np.uint8) for _ in range(3)]
        statistics = ImageStatistics()
        for image in images:
            statistics.update(image)
        pixels = np.concatenate([image.reshape(-1, 3) for image in images]) / 255
        self.assertAllClose(statistics.result()["mean"], pixels.mean(axis=0), atol=1e-9)
        self.assertAllClose(statistics.result()["std"], pixels.std(axis=0), atol=1e-9)

    def test_a_green_screen_has_a_usable_deviation(self):
        statistics = ImageStatistics()
        statistics.update(np.full((8, 8, 3), (12, 177, 64), np.uint8))
        self.assertAllClose(statistics.result()["std"], [1 / 255] * 3)


class SplitTest(tf.test.TestCase):
    def test_held_out_is_seeded_and_leaves_something(self):
        ids = [f"bg{i:03d}" for i in range(20)]
        chosen = held_out(ids, 0.1, seed=0)
        self.assertLen(chosen, 2)
        self.assertEqual(chosen, held_out(ids[::-1], 0.1, seed=0))
        self.assertNotEqual(chosen, held_out(ids, 0.1, seed=1))
        self.assertLen(held_out(ids[:2], 0.99, seed=0), 1)
        self.assertEmpty(held_out(ids[:1], 0.5, seed=0))

    def test_splits_by_identity(self):
        unseen = {"unseen_bg": frozenset(["b1"]), "unseen_fg": frozenset(["f1"])}

        def split(bg_id, fg_id):
            return assign_split(bg_id, fg_id, **unseen, val_fraction=0.3, seed=0)

        self.assertEqual(split("b1", "f1"), "unseen_both")
        self.assertEqual(split("b1", "f2"), "unseen_bg")
        self.assertEqual(split("b2", "f1"), "unseen_fg")
        seen = {split(f"b{i}", f"f{j}") for i in range(2, 9) for j in range(2, 9)}
        self.assertEqual(seen, {"train", "val"})

    def test_depth_metadata_refuses_contradictions(self):
        with self.assertRaisesRegex(ValueError, "needs a scale"):
            records.DepthMetadata(unit="metre")
        with self.assertRaisesRegex(ValueError, "unit must be"):
            records.DepthMetadata(unit="inch")
