"""What a camera adds, measured on the pictures it was added to."""

import cv2
import numpy as np
import tensorflow as tf

from keras_depthseg.augment.capture import (
    EXPOSURE,
    MOVE,
    NOISE,
    TURN,
    WHITE_BALANCE,
    simulate_capture,
)
from tests.support.tiny_data import colour


def _pairs(picture, count):
    """The same picture as `bg` and `fg_bg`, `count` times."""
    return np.repeat(picture[None], 2 * count, axis=0).reshape(2, count, *picture.shape)


def _changed(picture, count, seed=0):
    images = _pairs(picture, count)
    simulate_capture(images, np.random.default_rng(seed))
    return images


def _texture(side):
    rng = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(rng.normal(size=(side, side, 3)), (0, 0), 1.5)
    return np.clip(128 + 200 * blurred, 0, 255).astype(np.uint8)


class CaptureTest(tf.test.TestCase):
    def test_one_pair_in_four_stays_as_it_is(self):
        picture = colour(0, (16, 16))
        images = _changed(picture, 800)
        self.assertBetween((images == picture).all(axis=(0, 2, 3, 4)).mean(), 0.2, 0.3)

    def test_exposure_and_white_balance_of_bg_only(self):
        images = _changed(np.full((16, 16, 3), 128, np.uint8), 800).astype(float)
        bg, fg_bg = images.mean(axis=(2, 3)) / 128
        self.assertAllClose(fg_bg, np.ones_like(fg_bg), atol=0.01)
        exposure = bg.mean(axis=1)
        self.assertBetween(exposure.min(), 1 - 1.3 * EXPOSURE, 1 - 0.9 * EXPOSURE)
        self.assertBetween(exposure.max(), 1 + 0.9 * EXPOSURE, 1 + 1.3 * EXPOSURE)
        balance = bg / exposure[:, None]
        spread = np.ptp(balance, axis=1).max()
        self.assertBetween(spread, WHITE_BALANCE, 2.1 * WHITE_BALANCE)

    def test_each_picture_has_noise_of_its_own(self):
        images = _changed(np.full((64, 64, 3), 100, np.uint8), 200).astype(float)
        noise = images - images.mean(axis=(2, 3), keepdims=True)
        deviations = noise.std(axis=(2, 3, 4))
        self.assertBetween(deviations.max(), 0.9 * NOISE, 1.05 * NOISE)
        bg, fg_bg = noise.reshape(2, 200, -1)
        noisy = deviations.min(axis=0) > 1
        correlations = (bg * fg_bg).mean(axis=1)[noisy] / deviations.prod(axis=0)[noisy]
        self.assertLess(np.abs(correlations).max(), 0.05)
        self.assertGreater(len(np.unique(deviations)), 200)

    def test_bg_moves_and_turns_and_fg_bg_does_not(self):
        # Seen by OpenCV's phase correlation, at the centre for the shift, and right of
        # it less left of it for the angle.
        side = 256
        picture = _texture(side)
        images = _changed(picture, 60)[..., 1].astype(np.float64)
        reference = picture[..., 1].astype(np.float64)
        window = cv2.createHanningWindow((96, 96), cv2.CV_64F)

        def shift(image, left):
            parts = [x[80:176, left : left + 96].copy() for x in (reference, image)]
            return cv2.phaseCorrelate(*parts, window)[0]

        moves = np.array([shift(bg, 80) for bg in images[0]]) / side
        self.assertBetween(np.abs(moves).max(), 0.9 * MOVE, 1.05 * MOVE)
        self.assertGreater(moves.max(), 0.8 * MOVE)
        self.assertLess(moves.min(), -0.8 * MOVE)
        rises = [shift(bg, 160)[1] - shift(bg, 0)[1] for bg in images[0]]
        turns = np.rad2deg(np.arctan(np.array(rises) / 160))
        self.assertBetween(np.abs(turns).max(), 0.8 * TURN, 1.3 * TURN)
        still = np.array([shift(fg_bg, 80) for fg_bg in images[1]])
        self.assertLess(np.abs(still).max(), 0.3)
