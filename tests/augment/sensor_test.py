"""Blur, noise and compression, measured on what they were applied to."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.support.captures import captured, centres, covariances, dots
from tests.support.tiny_data import colour

SIDE = 160
INNER = (np.abs(centres(SIDE) - SIDE / 2) < SIDE / 2 - 20).all(axis=1)


def _spread(strengths, count=9):
    """Return by how much the covariance of dots grew in the images that changed."""
    picture = dots(SIDE)
    images, _, _ = captured(strengths, picture, count=count)
    changed = (images != picture).any(axis=(2, 3, 4))
    before = covariances(picture)[INNER].mean(axis=0)
    after = [covariances(image)[INNER].mean(axis=0) for image in images[changed]]
    return np.array(after) - before, changed


class BlurTest(tf.test.TestCase):
    def test_defocus_has_the_variance_of_a_disc(self):
        for radius in (1, 2, 4):
            growth, _ = _spread({"defocus": radius})
            expected = np.tile(np.eye(2) * radius**2 / 4, (len(growth), 1, 1))
            # Rounding to whole levels cuts off the tails.
            self.assertAllClose(growth, expected, atol=0.06 + 0.03 * radius**2 / 4)

    def test_motion_blur_has_the_variance_of_a_line(self):
        growth, _ = _spread({"motion_blur": 6})
        across, along = np.linalg.eigvalsh(growth).T
        # Up to 1/4 more by interpolation.
        self.assertAllInRange(along, 36 / 12 - 0.1, 36 / 12 + 0.3)
        self.assertAllInRange(across, -0.1, 0.3)

    def test_bg_or_fg_bg_or_both(self):
        for name in ("defocus", "motion_blur"):
            _, changed = _spread({name: 2}, count=30)
            kinds = {tuple(pair) for pair in changed.T}
            self.assertEqual(kinds, {(True, False), (False, True), (True, True)})


class NoiseTest(tf.test.TestCase):
    def test_deviation_grows_with_the_root_of_brightness(self):
        for level, strength in ((128, 3), (128, 10), (64, 10), (200, 10)):
            grey = np.full((128, 128, 3), level, np.uint8)
            images, _, _ = captured({"noise": strength}, grey, count=4)
            expected = strength * np.sqrt(0.1 + 0.9 * level / 127.5)
            received = images.std(axis=(2, 3, 4))
            self.assertAllClose(received, np.full((2, 4), expected), rtol=0.05)
            self.assertAllClose(images.mean(), level, atol=0.1)

    def test_independent_in_both_images_and_sometimes_grained(self):
        grey = np.full((64, 64, 3), 128, np.uint8)
        images, _, _ = captured({"noise": 8}, grey, count=30)
        noise = (images - images.mean(axis=(2, 3), keepdims=True)) / images.std()
        self.assertLess(np.abs((noise[0] * noise[1]).mean(axis=(1, 2, 3))).max(), 0.06)
        neighbours = (noise[..., 1:, :] * noise[..., :-1, :]).mean(axis=(2, 3, 4))
        grained = neighbours > 0.1
        self.assertAllEqual(grained[0], grained[1])
        self.assertBetween(grained[0].mean(), 0.2, 0.8)


class CompressTest(tf.test.TestCase):
    def test_equals_another_encoder(self):
        picture = colour(0, (96, 96))
        images, _, _ = captured({"jpeg": 40}, picture, count=12)
        self.assertAllEqual(images[0], images[1])

        def distance(image, quality, subsampling):
            file = io.BytesIO()
            Image.fromarray(picture).save(
                file, "JPEG", quality=quality, subsampling=subsampling
            )
            return np.abs(image - np.asarray(Image.open(file), int)).mean()

        kinds = set()
        for image in images[0]:
            same = [distance(image, 40, subsampling) for subsampling in (0, 2)]
            kinds.add(int(np.argmin(same)))
            self.assertLess(min(same), 0.2)
            others = [distance(image, q, s) for q in (30, 50) for s in (0, 2)]
            self.assertGreater(min(others), 5 * min(same))
        self.assertEqual(kinds, {0, 1})
