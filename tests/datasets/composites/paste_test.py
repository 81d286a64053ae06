"""Pasting, against NumPy pixel by pixel: opacity, hiding, shadows."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.datasets.composites import paste
from keras_depthseg.datasets.composites.layer import Layer
from tests.support.compositions import SIZE, over, scene, soft_disc


class PasteTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*((5, 7), (SIZE - 14, SIZE - 11), (-7, -4), (44, 44)))
    def test_equals_numpy(self, top, left):
        plate = scene()
        rgba = soft_disc(14, 11)
        made = paste.paste(plate, Layer.of(rgba), paste.Place(top, left))
        picture, mask = over(plate.bg, rgba, top, left)
        self.assertAllEqual(made.mask, mask)
        self.assertAllClose(made.fg_bg, picture, rtol=0, atol=1.0)
        self.assertAllEqual(made.fg_bg[mask == 0], plate.bg[mask == 0])
        self.assertGreater(int(((mask > 0) & (mask < 255)).sum()), 5)
        rows, columns = np.nonzero(mask)
        box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        self.assertEqual(made.box, box)
        self.assertAllClose(made.seen, mask.sum() / rgba[..., 3].sum(dtype=float))
        self.assertIsNone(made.depth)

    @parameterized.parameters((SIZE, 0), (-14, 5))
    def test_wholly_outside(self, top, left):
        plate = scene(np.full((SIZE, SIZE), 0.5, np.float32))
        made = paste.paste(
            plate, Layer.of(soft_disc(14, 11)), paste.Place(top, left, 0.1)
        )
        self.assertAllEqual(made.fg_bg, plate.bg)
        self.assertEqual((made.box, made.seen, made.mask.max()), ((0, 0, 0, 0), 0, 0))
        self.assertAllEqual(made.depth, plate.depth)

    def test_nearer_surfaces_hide_it_everywhere(self):
        depth = np.full((SIZE, SIZE), 0.6, np.float32)
        depth[:, :20] = 0.2
        depth[10:14, 10:30] = 0
        plate = scene(depth)
        rgba = soft_disc(14, 20)
        place = paste.Place(8, 12, 0.4)
        made = paste.paste(plate, Layer.of(rgba), place)
        picture, mask = over(plate.bg, rgba, place.top, place.left)
        # By hand: the left part is nearer, its holes up to the middle too.
        hidden = np.zeros((SIZE, SIZE), bool)
        hidden[:, :20] = True
        self.assertGreater(int((hidden & (mask > 0)).sum()), 50)
        self.assertGreater(int((~hidden & (mask > 0)).sum()), 50)
        self.assertAllEqual(made.mask, np.where(hidden, 0, mask))
        self.assertAllEqual(made.fg_bg[hidden], plate.bg[hidden])
        self.assertAllClose(made.fg_bg[~hidden], picture[~hidden], rtol=0, atol=1.0)
        its = made.mask >= 128
        self.assertAllEqual(made.depth[its], np.full(its.sum(), np.float32(0.4)))
        # Also 0 where nothing is known.
        self.assertAllEqual(made.depth[~its], depth[~its])
        self.assertGreater(int((made.depth == 0).sum()), 10)
        self.assertBetween(made.seen, 0.4, 0.8)

    @parameterized.parameters((0.981, True), (0.979, False))
    def test_tolerance(self, part, seen):
        # It stands on what is a little nearer than itself.
        plate = scene(np.full((SIZE, SIZE), 0.5 * part, np.float32))
        made = paste.paste(plate, Layer.of(soft_disc(9, 9)), paste.Place(3, 3, 0.5))
        self.assertEqual(made.mask.any(), seen)

    def test_a_cutout_that_vanishes(self):
        nothing = Layer(np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3), np.uint8))
        made = paste.paste(scene(), nothing, paste.Place(3, 3))
        self.assertEqual((made.seen, made.box), (0, (0, 0, 0, 0)))
