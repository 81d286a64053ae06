"""Differences of light, measured on greys."""

import numpy as np
import tensorflow as tf

from tests.support.captures import captured


def _grey(level, side=48):
    return np.full((side, side, 3), level, np.uint8)


def _means(strengths, level, count=24):
    images, _, _ = captured(strengths, _grey(level), count=count)
    return images.mean(axis=(2, 3))


class TonesTest(tf.test.TestCase):
    def _one_changed(self, means, level):
        """Return the means of the images that changed: either of each pair."""
        changed = (means != level).any(axis=-1)
        self.assertAllEqual(changed.sum(axis=0), np.ones(changed.shape[1]))
        self.assertBetween(changed[0].mean(), 0.2, 0.8)
        return means[changed]

    def test_exposure_is_a_gain_or_its_inverse(self):
        changed = self._one_changed(_means({"exposure": 25}, 120), 120) / 120
        self.assertAllClose(np.unique(changed), (0.8, 1.25), atol=0.005)

    def test_exposure_clips_at_white(self):
        self.assertEqual(_means({"exposure": 40}, 250).max(), 255)

    def test_white_balance_moves_red_and_blue_apart(self):
        red, green, blue = self._one_changed(_means({"white_balance": 20}, 120), 120).T
        red, green, blue = red / 120, green / 120, blue / 120
        self.assertAllClose(np.unique(red), (1 / 1.2, 1.2), atol=0.005)
        self.assertAllClose(red * blue, np.ones_like(red), atol=0.01)
        self.assertLess(np.abs(np.log(green)).max(), np.log(1.2) / 3 + 0.01)

    def test_gamma_is_an_exponent_or_its_inverse(self):
        changed = self._one_changed(_means({"gamma": 50}, 100), 100) / 255
        exponents = np.log(changed) / np.log(100 / 255)
        self.assertAllClose(np.unique(exponents), (1 / 1.5, 1.5), atol=0.01)


class FlickerTest(tf.test.TestCase):
    def test_amplitude_of_bands(self):
        images, _, _ = captured({"flicker": 10}, _grey(128, 96), count=12)
        self.assertEqual(np.ptp(images, axis=(3, 4)).max(), 0)
        rows = images[..., 0, 0] / 128
        self.assertAllClose(rows.max(axis=2), np.full((2, 12), 1.1), atol=0.006)
        self.assertAllClose(rows.min(axis=2), np.full((2, 12), 0.9), atol=0.006)
        # Each image at a phase of its own.
        self.assertGreater(np.abs(rows[0] - rows[1]).max(axis=1).min(), 0.01)
