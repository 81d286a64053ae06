"""Layers: colours that do not bleed, mirrored and fitted."""

import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.composites.layer import Layer
from tests.support.compositions import soft_disc


class LayerTest(tf.test.TestCase):
    def test_transparent_colours_do_not_bleed(self):
        rgba = np.zeros((40, 40, 4), np.uint8)
        rgba[..., :3] = (255, 0, 255)
        rgba[10:30, 10:30] = (0, 200, 0, 255)
        for side in (17, 40, 77):
            layer = Layer.of(rgba).resized(side, side)
            self.assertEqual((layer.height, layer.width), (side, side))
            self.assertEqual(int(layer.colour[..., 0].max()), 0)
            self.assertEqual(int(layer.colour[..., 2].max()), 0)
            opaque = layer.alpha == 255
            self.assertAllEqual(layer.colour[opaque][:, 1], [200] * opaque.sum())

    def test_flipped(self):
        rgba = soft_disc(9, 12)
        layer, flipped = Layer.of(rgba), Layer.of(rgba).flipped()
        self.assertAllEqual(flipped.alpha, layer.alpha[:, ::-1])
        self.assertAllEqual(flipped.colour, layer.colour[:, ::-1])

    def test_fitted(self):
        layer = Layer.of(soft_disc(20, 60))
        for size, expected in {
            (10, 99): (10, 30),
            (40, 30): (10, 30),
            (1, 1): (1, 1),
            (20, 60): (20, 60),
        }.items():
            fitted = layer.fitted(*size)
            self.assertEqual((fitted.height, fitted.width), expected)
            self.assertEqual(fitted.colour.shape, (*expected, 3))
