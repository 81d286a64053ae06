"""Shadows, measured by the light that is lost on a grey."""

import numpy as np
import tensorflow as tf

from tests.support.captures import captured

SIDE = 128
GREY = np.full((SIDE, SIDE, 3), 128, np.uint8)
MASK = np.zeros((SIDE, SIDE), np.float32)
MASK[30:90, 40:80] = 1


def _lost(name, strength, mask=MASK, count=24):
    """Return the per cent of light lost, (2, count, H, W, 3)."""
    images, labels, _ = captured({name: strength}, GREY, mask=mask, count=count)
    expected = np.zeros((2, count, SIDE, SIDE), np.float32)
    expected[0] = mask
    np.testing.assert_array_equal(labels, expected)
    return 100 * (1 - images / 128)


class ShadowTest(tf.test.TestCase):
    def test_cast_and_contact_shadows_fall_around_the_foreground_in_fg_bg(self):
        for name in ("cast_shadow", "contact_shadow"):
            for strength in (20, 60):
                lost = _lost(name, strength)
                self.assertEqual(np.abs(lost[0]).max(), 0)
                self.assertEqual(np.abs(lost[1][:, MASK > 0]).max(), 0)
                core = lost[1].mean(axis=-1).max(axis=(1, 2))
                self.assertLess(core.max(), strength + 1)
                self.assertGreater(np.median(core), 0.8 * strength)
                if name == "contact_shadow":
                    self.assertAllClose(core, np.full(24, strength), atol=1)
                    self.assertEqual(np.abs(lost[1][:, :60]).max(), 0)

    def test_the_cast_shadow_begins_at_the_foot(self):
        lost = _lost("cast_shadow", 60)[1].mean(axis=-1)
        # Below the foot where it falls towards the camera, else beside the foreground.
        below = lost[:, 96:].max(axis=(1, 2)) > 20
        self.assertBetween(below.mean(), 0.2, 0.8)
        self.assertLess(lost[below, :60].max(), 5)

    def test_no_foreground_no_shadow_of_it(self):
        for name in ("cast_shadow", "contact_shadow"):
            self.assertEqual(np.abs(_lost(name, 60, mask=0 * MASK)).max(), 0)

    def test_things_outside_darken_one_image_and_its_foreground(self):
        lost = _lost("outside_shadow", 50, count=60)
        core = lost.mean(axis=-1).max(axis=(2, 3))
        dark = core > 1
        self.assertAllEqual(dark.sum(axis=0), np.ones(60))
        self.assertBetween(dark[0].mean(), 0.3, 0.7)
        self.assertLess(core.max(), 51)
        self.assertGreater(np.median(core[dark]), 49)
        area = (lost[dark].mean(axis=-1) > 25).mean(axis=(1, 2))
        self.assertBetween(area.mean(), 0.2, 0.6)
        foreground = lost[1][:, MASK > 0].mean(axis=-1).max(axis=1)
        self.assertGreater(np.mean(foreground[dark[1]] > 10), 0.5)

    def test_red_is_lost_more_than_blue(self):
        lost = _lost("outside_shadow", 50).max(axis=(0, 2, 3))
        red, _, blue = lost.mean(axis=0)
        self.assertGreater(red, blue + 5)

    def test_no_level_becomes_brighter(self):
        ramp = np.repeat(np.tile(np.arange(128) * 2, (SIDE, 1))[..., None], 3, axis=2)
        for strength in (5, 60):
            images, _, _ = captured({"outside_shadow": strength}, ramp, count=20)
            self.assertLessEqual((images - ramp).max(), 0)
