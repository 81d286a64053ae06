"""Scenes: the stored background, and depth without holes."""

import io

import cv2
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets.composites.scene import Scene
from tests.support.compositions import SIZE, scene
from tests.support.tiny_data import colour


class SceneTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_what_is_stored_is_what_is_composed(self, lossless):
        picture = cv2.resize(colour(0, (6, 6)), (SIZE, SIZE))
        made = Scene.of(picture, None, lossless)
        stored = np.asarray(Image.open(io.BytesIO(made.encoded)))
        if lossless:
            self.assertAllEqual(stored, picture)
        self.assertAllClose(stored, made.bg, rtol=0, atol=1)
        statistics = made.statistics.result()
        self.assertAllClose(statistics["mean"], made.bg.mean((0, 1)) / 255)
        self.assertAllClose(statistics["std"], made.bg.std((0, 1)) / 255)

    def test_holes_take_the_nearest_known_depth(self):
        rng = np.random.default_rng(0)
        depth = rng.uniform(0.1, 1, (SIZE, SIZE)).astype(np.float32)
        depth[rng.random(depth.shape) < 0.8] = 0
        filled = scene(depth).surfaces
        known = np.argwhere(depth > 0)
        for row, column in np.ndindex(depth.shape):
            distances = np.hypot(*(known - (row, column)).T)
            # OpenCV's distance is 2 % off.
            nearest = known[distances <= 1.03 * distances.min()]
            self.assertIn(filled[row, column], depth[tuple(nearest.T)])

    def test_nothing_to_fill(self):
        depth = np.full((SIZE, SIZE), 0.5, np.float32)
        self.assertIs(scene(depth).surfaces, depth)

    def test_without_depth(self):
        plain = scene()
        self.assertEqual((len(plain.ground), len(plain.ground_depth)), (0, 0))
        with self.assertRaisesRegex(ValueError, "without depth"):
            _ = plain.surfaces
