"""Random changes; those of colour against albumentations itself."""

import albucore
import albumentations
import cv2
import numpy as np
import tensorflow as tf
from albumentations.augmentations.pixel import functional

from keras_depthseg.augment.capture import Capture
from keras_depthseg.augment.changes import (
    AUGMENTATIONS,
    LIMITS,
    PROBABILITIES,
    CaptureChange,
    check_augmentation,
    make_augmentation,
)
from keras_depthseg.augment.colours import contrast_tables, hsv_tables
from keras_depthseg.errors import UserError
from tests.support.tiny_data import colour


def _batch(count, side=16):
    """One picture, `count` times."""
    return np.repeat(colour(0, (side, side))[None], count, axis=0)


def _arguments(images):
    """Pictures as both halves of pairs, with labels that tell columns apart."""
    pairs = np.stack([images[::2], images[1::2]])
    side = images.shape[1]
    labels = np.empty((*pairs.shape[:-1], 1), np.float32)
    labels[:] = np.linspace(0, 1, side, dtype=np.float32)[:, None]
    boxes = np.tile(np.float32([0.1, 0.2, 0.5, 0.9]), (pairs.shape[1], 1))
    return pairs, labels, boxes


def _changed(images, seed, augment="original"):
    pairs, labels, boxes = _arguments(images)
    make_augmentation(augment, 16)(pairs, labels, boxes, seed)
    return pairs.reshape(images.shape)


class OriginalTest(tf.test.TestCase):
    def test_arithmetic_equals_albumentations(self):
        image = colour(1, (16, 16))
        rng = np.random.default_rng(0)
        shifts = rng.uniform([-20, -30, -20, 0.8], [20, 30, 20, 1.2], (60, 4))
        tables = hsv_tables(*shifts[:, :3].T)
        for (hue, saturation, value, _), table in zip(shifts, tables, strict=True):
            hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table)
            self.assertAllEqual(
                cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB),
                functional.shift_hsv(image, hue, saturation, value),
            )
        factors = shifts[:, 3]
        for factor, table in zip(factors, contrast_tables(factors), strict=True):
            self.assertAllEqual(
                table[image], albucore.multiply_add(image, float(factor), 0.0)
            )

    def test_limits_are_the_defaults_of_albumentations(self):
        hsv = albumentations.HueSaturationValue()
        contrast = albumentations.RandomBrightnessContrast(brightness_limit=0)
        limits = (hsv.hue_shift_limit, hsv.sat_shift_limit, hsv.val_shift_limit)
        self.assertEqual(LIMITS, (*limits, contrast.contrast_limit))
        self.assertEqual(PROBABILITIES, (hsv.p, contrast.p))

    def test_draws_stay_within_the_limits(self):
        # Of a grey, hue and saturation change nothing: what is left is value (128 + -20
        # to 20), then contrast (times 0.8 to 1.2).
        grey = np.full((4000, 1, 1, 3), 128, np.uint8)
        levels = _changed(grey, seed=0)[:, 0, 0, 0].astype(int)
        self.assertBetween(levels.min(), int(0.8 * 108), int(0.8 * 112))
        self.assertBetween(levels.max(), int(1.2 * 144), int(1.2 * 148))
        # A red loses or gains saturation, value and hue.
        red = np.full((4000, 1, 1, 3), (200, 60, 60), np.uint8)
        hues = cv2.cvtColor(_changed(red, seed=1)[:, 0], cv2.COLOR_RGB2HSV)[:, 0, 0]
        signed = np.where(hues > 90, hues.astype(int) - 180, hues)
        self.assertBetween(signed.min(), -22, -17)
        self.assertBetween(signed.max(), 17, 22)

    def test_one_in_four_stays_as_it_is(self):
        batch = _batch(2400, side=4)
        unchanged = (_changed(batch, seed=1) == batch).all(axis=(1, 2, 3)).mean()
        self.assertBetween(unchanged, 0.20, 0.31)

    def test_names(self):
        self.assertEqual(AUGMENTATIONS[:3], ("none", "original", "shared"))
        self.assertEqual(AUGMENTATIONS[3:], ("tripod", "handheld", "phone", "aligned"))
        self.assertIsNone(make_augmentation("none", 16))
        for refuse in (check_augmentation, lambda name: make_augmentation(name, 16)):
            with self.assertRaisesRegex(
                UserError, "received 'cutout'.*none, original, shared, tripod, .*yaml"
            ):
                refuse("cutout")
        check_augmentation("missing/file.YAML")


class SharedTest(tf.test.TestCase):
    def test_both_pictures_of_a_sample_change_alike(self):
        bg, fg_bg = np.split(_changed(_batch(80), 0, "shared"), 2)
        self.assertAllEqual(bg, fg_bg)
        self.assertGreater(len({image.tobytes() for image in bg}), 20)

    def test_half_is_mirrored_with_its_labels_and_box(self):
        grey = np.zeros((400, 8, 8, 3), np.uint8)
        # Black and white stay so, whatever the colours do, but for the half of the time
        # in which value is shifted: columns are told apart all the same.
        grey[:, :, 4:] = 255
        images, labels, boxes = _arguments(grey)
        make_augmentation("shared", 16)(images, labels, boxes, 0)
        means = images.astype(float).mean(axis=(0, 2, 4))
        mirrored = means[:, 0] > means[:, -1]
        self.assertBetween(mirrored.mean(), 0.4, 0.6)
        expected = np.tile(_arguments(grey)[1][0, :1], (len(mirrored), 1, 1, 1))
        expected[mirrored] = expected[mirrored, :, ::-1]
        self.assertAllEqual(labels, [expected, expected])
        self.assertAllClose(
            boxes[mirrored], np.tile([0.1, 0.1, 0.5, 0.8], (mirrored.sum(), 1))
        )
        self.assertAllClose(
            boxes[~mirrored], np.tile([0.1, 0.2, 0.5, 0.9], ((~mirrored).sum(), 1))
        )

    def test_the_box_of_an_empty_pair_stays_empty(self):
        images, labels, boxes = _arguments(np.zeros((40, 8, 8, 3), np.uint8))
        labels[:], boxes[:] = 0, 0
        make_augmentation("shared", 16)(images, labels, boxes, 0)
        self.assertAllEqual(boxes, np.zeros((20, 4)))


class CaptureTest(tf.test.TestCase):
    def test_a_preset_is_shared_and_then_capture(self):
        batches = {}
        for name in ("shared", "handheld"):
            batches[name] = _arguments(_batch(40))
            make_augmentation(name, 16)(*batches[name], seed=3)
        capture = Capture.preset("handheld")
        CaptureChange(capture)(*batches["shared"], seed=3)
        for expected, received in zip(*batches.values(), strict=True):
            self.assertAllEqual(received, expected)

    def test_pixels_of_224_are_as_long_as_they_are_told(self):
        batches = []
        for strength, pixel in ((1, 2.0), (2, 1.0)):
            batches.append(_arguments(_batch(4)))
            change = CaptureChange(Capture.fixed({"shift": strength}), pixel)
            change(*batches[-1], seed=0)
        self.assertAllEqual(batches[0][0], batches[1][0])
