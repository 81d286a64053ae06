"""Random places: where cutouts come to lie or stand, at which depth, with shadows."""

from unittest import mock

import cv2
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.datasets import records
from keras_depthseg.datasets.composites import paste, placing
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.scene import Scene
from tests.support.compositions import (
    HEIGHT,
    SIZE,
    room_depth,
    scene,
    soft_disc,
    some_boxes,
)
from tests.support.tiny_data import colour


class PlacingTest(tf.test.TestCase, parameterized.TestCase):
    def _made(self, plate, layer, placement, shadow=0.0, seed=0, height=HEIGHT):
        """The composite, and the layer and the place of it."""
        pasted = []

        def note(scene, picture, place, taken=None):
            pasted.append((picture, place))
            return paste.paste(scene, picture, place, taken)

        with mock.patch.object(placing, "paste", note):
            made = placing.make_composite(
                *(plate, layer, height, placement, shadow, np.random.default_rng(seed))
            )
        return made, *pasted[-1]

    def test_anywhere_is_everywhere_and_inside(self):
        plate, layer = scene(), Layer.of(soft_disc(HEIGHT, 10))
        made = [self._made(plate, layer, "anywhere", seed=seed)[0] for seed in range(400)]
        boxes = np.array([composite.box for composite in made])
        self.assertAllEqual(boxes[:, 2] - boxes[:, 0], [HEIGHT] * 400)
        self.assertAllEqual(boxes[:, 3] - boxes[:, 1], [10] * 400)
        for places, most in ((boxes[:, 0], SIZE - HEIGHT), (boxes[:, 1], SIZE - 10)):
            self.assertEqual((places.min(), places.max()), (0, most))
            counts = np.histogram(places, 5, (0, most + 1))[0]
            self.assertAllInRange(counts, 50, 110)

    def test_anywhere_is_before_what_is_usual_there(self):
        rng = np.random.default_rng(0)
        depth = cv2.resize(rng.uniform(0.2, 1, (5, 5)).astype(np.float32), (SIZE, SIZE))
        depth[rng.random(depth.shape) < 0.1] = 0
        plate, layer = scene(depth), Layer.of(soft_disc(HEIGHT, 10))
        parts = []
        for seed in range(50):
            made, _, place = self._made(plate, layer, "anywhere", seed=seed)
            its = made.mask >= 128
            self.assertAllEqual(made.depth[its], [np.float32(place.depth)] * its.sum())
            self.assertGreaterEqual(made.seen, placing.LEAST_SEEN)
            rows = np.s_[place.top : place.top + HEIGHT, place.left : place.left + 10]
            parts.append(place.depth / np.median(plate.surfaces[rows]))
        self.assertAllInRange(parts, 0.299, 0.951)
        self.assertGreater(np.ptp(parts), 0.5)

    def test_standing(self):
        depth, _ = room_depth(20, 64, 0, 50, some_boxes(3), 0.01, 3)
        plate = scene(depth, 64)
        pixels = {tuple(pixel) for pixel in plate.ground.tolist()}
        layer = Layer.of(soft_disc(2 * HEIGHT, 16))
        products, inside = [], 0
        for seed in range(80):
            made, picture, place = self._made(plate, layer, "standing", seed=seed)
            foot = place.top + picture.height - 1, place.left + picture.width // 2
            self.assertIn(foot, pixels)
            self.assertEqual(place.depth, depth[foot])
            self.assertGreaterEqual(made.seen, placing.LEAST_SEEN)
            self.assertBetween(picture.height, 6, 61)
            if 7 < picture.height < 60:
                products.append(picture.height * place.depth)
            inside += made.seen == 1.0
        usual = np.median([depth[pixel] for pixel in pixels])
        # Half a pixel of 8.
        self.assertAllClose(products, [HEIGHT * usual] * len(products), rtol=0.07)
        self.assertGreater(len(products), 40)
        self.assertBetween(inside, 20, 79)

    @parameterized.product(
        shape=((28, 3), (4, 96), (1, 1)),
        of=("no_ground", "floor", "holes", "near", None),
        placement=("anywhere", "standing"),
    )
    def test_always_finds_a_place(self, shape, of, placement):
        size = 48
        depth = {
            "no_ground": np.full((size, size), 0.4),
            "floor": room_depth(15, size)[0],
            "holes": np.where(np.arange(size**2).reshape(size, size) % 97, 0, 0.3),
            "near": np.full((size, size), records.NEAREST_DEPTH),
            None: None,
        }[of]
        if depth is None and placement == "standing":
            return
        depth = None if depth is None else depth.astype(np.float32)
        plate, layer = scene(depth, size), Layer.of(soft_disc(*shape))
        if placement == "anywhere":
            layer = layer.fitted(HEIGHT, size)
        for seed in range(3):
            made, *_ = self._made(plate, layer, placement, shadow=0.5, seed=seed)
            self.assertGreater(int(made.mask.max()), 0)
            top, left, bottom, right = made.box
            self.assertTrue(0 <= top < bottom <= size and 0 <= left < right <= size)
            if depth is not None and (made.mask >= 128).any():
                least = float(made.depth[made.mask >= 128].min())
                self.assertGreaterEqual(least, np.float32(records.NEAREST_DEPTH))

    def test_a_screen_right_before_the_camera(self):
        # Nothing is seen behind it: the last resort is before it.
        depth = room_depth(20, 64)[0]
        plate = scene(depth, 64)
        with mock.patch.object(Scene, "surfaces", np.full_like(depth, 0.01)):
            layer = Layer.of(soft_disc(2 * HEIGHT, 16))
            made, picture, place = self._made(plate, layer, "standing")
        self.assertAllClose(place.depth, 0.01)
        self.assertEqual((made.seen, picture.height), (1.0, HEIGHT))

    @parameterized.parameters(("standing", True), ("anywhere", True), ("anywhere", False))
    def test_shadows(self, placement, known):
        # A wall of 6 m behind, and a box 1 m before the wall.
        boxes = [((-1, 0.5, 4.0), (1, 1.5, 4.5))]
        depth, _ = room_depth(15, 64, 0, 50, boxes)
        bright = np.maximum(colour(0, (64, 64)), 100)
        plate = Scene.of(bright, depth if known else None, lossless=True)
        layer = Layer.of(soft_disc(2 * HEIGHT, 20))
        if placement == "anywhere":
            layer = layer.fitted(HEIGHT, 64)
        dark = 0
        for seed in range(40):
            lit, _, place = self._made(plate, layer, placement, 0.0, seed)
            made, _, again = self._made(plate, layer, placement, 1.0, seed)
            if place != again:
                continue  # drawn again as too little was seen
            self.assertAllEqual(made.mask, lit.mask)
            before, after = lit.fg_bg.astype(int), made.fg_bg.astype(int)
            self.assertAllInRange(before - after, 0, 255)
            # The least light is 0.4; half a level is rounding.
            clear = made.mask == 0
            self.assertAllInRange(after[clear] / before[clear], 0.394, 1)
            full = made.mask == 255
            self.assertAllEqual(after[full], before[full])
            if known:
                self.assertAllEqual(made.depth, lit.depth)
                far = np.abs(depth - place.depth) > 0.25 * place.depth
                # A soft edge of one pixel.
                far = cv2.erode(far.astype(np.uint8), np.ones((3, 3))) > 0
                self.assertAllEqual(after[far & clear], before[far & clear])
            dark += int((after < 0.9 * before).any(-1).sum() > 8)
        # Before what is behind them, few shadows fall on anything.
        self.assertGreater(dark, 5 if placement == "anywhere" and known else 15)

    def test_share_of_shadows(self):
        plate, layer = scene(), Layer.of(soft_disc(HEIGHT, 10))
        shadows = 0
        for seed in range(200):
            made, *_ = self._made(plate, layer, "anywhere", 0.3, seed)
            clear = made.mask == 0
            shadows += bool((made.fg_bg[clear] != plate.bg[clear]).any())
        self.assertBetween(shadows, 40, 80)
