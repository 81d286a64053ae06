"""Captures as a whole; each effect has tests of its own."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_depthseg.augment.camera import MOVEMENTS
from keras_depthseg.augment.capture import EFFECTS, Capture, parse_capture
from keras_depthseg.augment.names import PRESETS
from keras_depthseg.errors import UserError
from tests.support.captures import captured
from tests.support.tiny_cues import empty_pairs, guess_the_plate
from tests.support.tiny_data import colour

SIDE = 48
PICTURE = cv2.resize(colour(0, (4, 4)), (SIDE, SIDE))
MASK = np.zeros((SIDE, SIDE), np.float32)
MASK[10:40, 15:30] = 1
DEPTH = np.where(MASK > 0, 0.3, np.linspace(0.9, 0.5, SIDE)[:, None])


def _captured(strengths, **options):
    return captured(strengths, PICTURE, mask=MASK, depth=DEPTH, **options)


class CaptureTest(tf.test.TestCase):
    def test_every_effect_changes_and_its_zero_does_not(self):
        clean, labels, _ = _captured({})
        for name, effect in EFFECTS.items():
            images, received, _ = _captured({name: effect.none}, seed=1)
            self.assertAllEqual(images, clean)
            self.assertAllEqual(received, labels)
            images, _, _ = _captured({name: effect.strengths[-1]}, seed=1)
            self.assertGreater(np.abs(images - clean).max(), 5, name)

    def test_sweeps_are_weakest_first(self):
        for name, effect in EFFECTS.items():
            images = [_captured({name: s}, seed=2)[0] for s in effect.strengths]
            clean = _captured({})[0]
            changes = [np.abs(image - clean).mean() for image in images]
            self.assertAllEqual(np.argsort(changes), np.arange(len(changes)), name)

    def test_same_seed_same_bytes(self):
        for preset in PRESETS:
            first, same, other = (
                _captured({}, capture=Capture.preset(preset), seed=seed, count=6)
                for seed in (1, 1, 2)
            )
            for a, b in zip(first, same, strict=True):
                self.assertAllEqual(a, b)
            self.assertNotAllEqual(first[0], other[0])

    def test_draws_of_an_effect_depend_on_nothing_else(self):
        # After a shift of the same seed, the noise is that of the noise alone.
        grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
        alone, _, _ = captured({"noise": 8}, grey, seed=4)
        both, _, _ = captured({"noise": 8, "shift": 3}, grey, seed=4)
        self.assertAllEqual(alone, both)
        capture = Capture.preset("phone")
        first = _captured({}, capture=capture, seed=5, count=1)[0]
        several = _captured({}, capture=capture, seed=5, count=4)[0]
        self.assertAllEqual(first[:, 0], several[:, 0])

    def test_a_preset_leaves_some_pairs_alone(self):
        for preset in PRESETS:
            images, labels, _ = _captured({}, capture=Capture.preset(preset), count=500)
            still = (images == PICTURE).all(axis=(0, 2, 3, 4))
            self.assertBetween(still.mean(), 0.33, 0.47)
            self.assertAllEqual(labels[0][still], np.tile(MASK, (still.sum(), 1, 1)))

    def test_an_evaluation_leaves_none_alone(self):
        for preset in PRESETS:
            images, _, _ = _captured({}, capture=parse_capture(preset), count=200)
            still = (images == PICTURE).all(axis=(0, 2, 3, 4))
            self.assertLess(still.mean(), 0.03)

    def test_shadows_of_a_preset_fall_to_both_sides(self):
        # Draws of an effect must not follow from whether it happens.
        shadow = {"cast_shadow": 60}
        capture = Capture({"cast_shadow": 0.4}, shadow, drawn=False, clean=0.4)
        white = np.full((SIDE, SIDE, 3), 255, np.uint8)
        images, _, _ = captured({}, white, mask=MASK, capture=capture, count=400)
        dark = 255 - images[1].mean(axis=-1)
        left, right = dark[..., :15].sum((1, 2)), dark[..., 30:].sum((1, 2))
        fell = (left + right) > 0
        self.assertGreater(fell.sum(), 50)
        share = np.mean(left[fell] > right[fell])
        self.assertBetween(share, 0.35, 0.65)

    def test_a_phone_differs_more_than_a_tripod(self):
        changes = []
        for preset in ("tripod", "handheld", "phone"):
            images, _, _ = _captured({}, capture=Capture.preset(preset), count=200)
            changes.append(np.abs(images[0] - images[1]).mean())
        self.assertAllEqual(np.argsort(changes), [0, 1, 2])

    def test_an_aligned_plate_has_moved_between_a_tripod_and_a_hand(self):
        moved = []
        for preset in ("tripod", "aligned", "handheld"):
            _, labels, _ = _captured({}, capture=Capture.preset(preset), count=400)
            moved.append(np.abs(labels[0] - MASK).mean())
        self.assertAllEqual(np.argsort(moved), [0, 1, 2])

    def test_images_need_not_be_square(self):
        for name, effect in EFFECTS.items():
            images, labels, _ = captured(
                {name: effect.strengths[1]},
                PICTURE[:32],
                mask=MASK[:32],
                depth=DEPTH[:32],
            )
            self.assertEqual(images.shape[2:4], (32, SIDE))


class ParseTest(tf.test.TestCase):
    def test_presets_and_strengths(self):
        by_name = _captured({}, capture=parse_capture(" tripod "), seed=3, count=4)
        self.assertAllEqual(
            by_name[0],
            _captured({}, capture=Capture.preset("tripod"), seed=3, count=4)[0],
        )
        by_text = _captured({}, capture=parse_capture("shift=2, jpeg=40"), seed=3)
        self.assertAllEqual(by_text[0], _captured({"shift": 2, "jpeg": 40}, seed=3)[0])

    def test_refusals(self):
        for text, message in (
            (
                "studio",
                "received 'studio'; accepted are tripod, handheld, phone, aligned, and",
            ),
            ("shift", "received 'shift'; accepted are"),
            ("shift=far", "strengths such as shift=2,jpeg=40"),
            ("", "received ''"),
            ("tilt=2", "received the effect 'tilt'; accepted are cast_shadow, .*jpeg"),
            ("shift=-1", r"received shift=-1; accepted is 0 to 64 \(px of 224\)"),
            ("jpeg=0", r"received jpeg=0; accepted is 1 to 100 \(JPEG quality\)"),
            ("shift=nan", "received shift=nan; accepted is 0 to 64"),
            ("shift=1,shift=2", "shift comes twice"),
        ):
            with self.assertRaisesRegex(UserError, message):
                parse_capture(text)
        with self.assertRaisesRegex(UserError, "received 'studio'"):
            Capture.preset("studio")


class CueTest(tf.test.TestCase):
    """A small network, trained to say which of two empty images is the plate, guesses.

    Within three standard deviations of a coin on 1,000 pairs that it did not see.
    """

    def test_a_preset_does_not_give_the_plate_away(self):
        pairs = empty_pairs(2500)
        Capture.preset("handheld")(*pairs, np.random.default_rng(0))
        self.assertBetween(guess_the_plate(pairs[0], held_out=1000), 0.45, 0.55)

    @pytest.mark.long
    def test_movements_do_not_give_it_away_without_noise_to_hide_them(self):
        movements = dict.fromkeys(MOVEMENTS, 1)
        images, labels, boxes = empty_pairs(2500)
        aligned = images.copy()
        Capture.fixed(movements)(images, labels, boxes, np.random.default_rng(0))
        self.assertBetween(guess_the_plate(images, held_out=1000), 0.45, 0.55)
        # But for a plate that alone was resampled it has an eye.
        images[1] = aligned[1]
        self.assertGreater(guess_the_plate(images, held_out=1000), 0.8)
