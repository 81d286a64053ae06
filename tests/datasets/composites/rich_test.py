"""Rich composites: what differs is the mask, what is nearer hides, and all is seeded."""

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.datasets.composites import (
    camouflage,
    holes,
    pose,
    relight,
    rich,
    stack,
    thin,
    views,
)
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.paste import Place
from keras_depthseg.datasets.composites.scene import Scene
from tests.support.compositions import room_depth, scene, soft_disc
from tests.support.tiny_data import colour

SIZE = 96


def rng(seed):
    return np.random.default_rng(seed)


class StackTest(tf.test.TestCase):
    def pieces(self, plate, depths):
        places = [Place(10, 12, depths[0]), Place(20, 20, depths[1])]
        layers = [Layer.of(soft_disc(30, 24, seed)) for seed in range(2)]
        return [
            stack.Piece.of(plate, layer, place)
            for layer, place in zip(layers, places, strict=True)
        ]

    def test_union_equals_numpy(self):
        plate = scene()
        pieces = self.pieces(plate, (None, None))
        made = stack.stack(plate, pieces)
        picture, through = plate.bg.astype(float), np.ones(plate.bg.shape[:2])
        for seed, (top, left) in ((0, (10, 12)), (1, (20, 20))):
            rgba = soft_disc(30, 24, seed)[: 48 - top, : 48 - left].astype(float)
            alpha = rgba[..., 3:] / 255
            region = np.s_[top : top + rgba.shape[0], left : left + rgba.shape[1]]
            picture[region] = rgba[..., :3] * alpha + picture[region] * (1 - alpha)
            through[region] *= 1 - alpha[..., 0]
        opaque = np.round(255 * (1 - through))
        self.assertAllClose(made.mask, opaque, rtol=0, atol=1)
        self.assertAllClose(made.fg_bg, picture, rtol=0, atol=3)
        clear = made.mask == 0
        self.assertAllEqual(made.fg_bg[clear], plate.bg[clear])
        self.assertLess(clear.mean(), 0.9)

    def test_the_nearer_one_has_the_depth(self):
        depth = np.full((48, 48), 0.9, np.float32)
        depth[:, 30:] = 0.2
        plate = scene(depth)
        pieces = self.pieces(plate, (0.5, 0.3))
        made = stack.stack(plate, pieces)
        near = np.zeros((48, 48), bool)
        near[pieces[1].region] = pieces[1].alpha >= 128
        far = np.zeros((48, 48), bool)
        far[pieces[0].region] = pieces[0].alpha >= 128
        self.assertGreater((near & far).sum(), 100)
        self.assertAllClose(made.depth[near], np.full(near.sum(), 0.3))
        self.assertAllClose(made.depth[far & ~near], np.full((far & ~near).sum(), 0.5))
        self.assertAllEqual(made.depth[made.mask < 128], depth[made.mask < 128])
        # Behind the surface at 0.2 nothing of them is seen.
        self.assertAllEqual(made.mask[:, 30:], np.zeros((48, 18)))


class RichTest(tf.test.TestCase, parameterized.TestCase):
    def made(self, seed, depth=False, shadow=0.0):
        plate = Scene(colour(1, (SIZE, SIZE)))
        if depth:
            plate = Scene(plate.bg, depth=room_depth(20, SIZE, seed=1)[0])
        layers = [Layer.of(soft_disc(90, 50, number)) for number in range(5)]
        chosen = rich.choose(0, np.arange(5), rng(seed))
        layers = [layers[index] for index in chosen]
        return plate, rich.make_rich(plate, layers, shadow, rng([1, seed])), chosen

    @parameterized.parameters(False, True)
    def test_only_the_mask_differs(self, depth):
        heights = []
        for seed in range(60):
            plate, made, chosen = self.made(seed, depth)
            clear = made.mask == 0
            self.assertAllEqual(made.fg_bg[clear], plate.bg[clear])
            self.assertEqual(made.mask.any(), bool(chosen))
            top, left, bottom, right = made.box
            if chosen:
                rows, columns = np.nonzero(made.mask)
                expected = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
                self.assertEqual(made.box, expected)
                heights.append(bottom - top)
                opaque = made.mask >= 250
                gap = np.abs(made.fg_bg.astype(int) - plate.bg).sum(-1)
                if opaque.sum() > 200:
                    self.assertGreater((gap[opaque] > 0).mean(), 0.6)
            else:
                self.assertEqual((top, left, bottom, right), (0, 0, 0, 0))
            if depth:
                inside = made.mask >= 128
                self.assertAllEqual(made.depth[~inside], plate.depth[~inside])
                known = inside & (plate.depth > 0)
                self.assertLess(
                    float((made.depth - 1.03 * plate.depth)[known].max(initial=-1)), 0
                )
        self.assertLess(min(heights), 0.25 * SIZE)
        self.assertGreater(max(heights), 0.8 * SIZE)

    def test_same_numbers_same_bytes(self):
        for seed in range(5):
            one, other = (self.made(seed, True, 0.5)[1] for _ in range(2))
            self.assertEqual(one.fg_bg.tobytes(), other.fg_bg.tobytes())
            self.assertEqual(one.mask.tobytes(), other.mask.tobytes())
            self.assertEqual(one.depth.tobytes(), other.depth.tobytes())

    def test_nearer_cutouts_hide_farther_ones(self):
        several = 0
        for seed in range(80):
            with mock.patch.object(rich, "stack", side_effect=stack.stack) as stacked:
                _, made, _ = self.made(seed, depth=True)
            pieces = stacked.call_args.args[1]
            nearest = np.full((SIZE, SIZE), np.inf)
            for piece in pieces:
                opaque = piece.alpha >= 128
                inside = nearest[piece.region]
                inside[opaque] = np.minimum(inside[opaque], piece.depth)
            covered = np.isfinite(nearest)
            self.assertAllClose(made.depth[covered], nearest[covered])
            several += len(pieces) > 1
        self.assertGreater(several, 20)

    def test_shares(self):
        others = np.arange(3, 9)
        drawn = [rich.choose(2, others, rng([7, number])) for number in range(6000)]
        counts = np.bincount([len(chosen) for chosen in drawn], minlength=4) / 6000
        expected = [rich.EMPTY, *((1 - rich.EMPTY) * np.array(rich.NUMBERS))]
        self.assertAllClose(counts, expected, rtol=0, atol=0.02)
        self.assertAllClose(counts[0], rich.EMPTY, rtol=0, atol=0.008)
        self.assertEqual({chosen[0] for chosen in drawn if chosen}, {2})
        beside = {index for chosen in drawn for index in chosen[1:]}
        self.assertEqual(beside, set(others.tolist()))


class PartsTest(tf.test.TestCase):
    def test_light_goes_up_and_down_and_falls_off(self):
        grey = np.full((40, 60, 3), 120, np.uint8)
        lit = [relight.relight(grey, rng(seed)).astype(float) for seed in range(80)]
        means = np.array([picture.mean() for picture in lit])
        self.assertBetween(means.min(), 60, 100)
        self.assertBetween(means.max(), 140, 200)
        ends = [np.ptp(picture[..., 0]) / picture[..., 0].mean() for picture in lit]
        self.assertGreater(max(ends), 0.4)
        self.assertLess(max(ends), 1.1)
        self.assertAllEqual(relight.relight(grey, rng(0), 0.0), grey)

    def test_holes(self):
        alpha = np.full((80, 50), 200, np.uint8)
        for seed in range(30):
            cut = holes.cut_holes(alpha, rng(seed))
            self.assertTrue((cut <= alpha).all())
            self.assertGreater(cut.mean(), 80)
        self.assertLess(cut.min(), 10)

    def test_thin_ones(self):
        for seed in range(40):
            layer = thin.make_thin(SIZE, rng(seed))
            self.assertLess((layer.alpha >= 128).mean() * layer.height, 60)
            self.assertGreater(layer.alpha.max(), 40)
            self.assertTrue((layer.colour <= layer.alpha[..., None]).all())
            self.assertGreater(max(layer.height, layer.width), 0.1 * SIZE)

    def test_disguise_takes_colours_of_the_background(self):
        plate = np.zeros((SIZE, SIZE, 3), np.uint8)
        plate[..., 1] = rng(0).integers(60, 200, (SIZE, SIZE))
        red = np.zeros((40, 30, 3), np.uint8)
        red[..., 0] = 250
        shares = []
        for seed in range(60):
            result = camouflage.disguise(red, plate, -5, 80, rng(seed))
            shares.append((result[..., 1] > 40).mean())
        self.assertGreater(np.mean(np.array(shares) == 1), 0.2)
        self.assertGreater(np.mean(np.array(shares) < 0.9), 0.3)
        self.assertGreater(min(shares), 0.02)

    def test_views_keep_depth_beside_colours(self):
        size = 64
        ramp = np.tile(np.arange(96, dtype=np.float32) + 1, (96, 1)) / 100
        whole = Scene(
            np.repeat((ramp * 200).astype(np.uint8)[..., None], 3, 2), depth=ramp
        )
        mirrored = 0
        for seed in range(40):
            view = views.random_view(whole, size, rng(seed))
            self.assertEqual(view.bg.shape, (size, size, 3))
            self.assertAllClose(view.bg[..., 0] / 200, view.depth, atol=0.015)
            self.assertAllEqual(view.surfaces, view.depth)
            mirrored += bool(view.depth[0, 0] > view.depth[0, -1])
            span = abs(float(view.depth[0, 0] - view.depth[0, -1])) * 100
            self.assertBetween(span, 62, 96)
        self.assertBetween(mirrored, 8, 32)

    def test_poses(self):
        layer = Layer.of(soft_disc(90, 40))
        posed = [pose.random_pose(layer, SIZE, rng(seed)).alpha for seed in range(300)]
        heights = np.array([(alpha >= 128).any(axis=1).sum() for alpha in posed])
        self.assertBetween(heights.min(), 0.12 * SIZE - 3, 0.15 * SIZE)
        self.assertBetween(heights.max(), 0.85 * SIZE, 0.97 * SIZE)
        middle = np.sqrt(pose.SMALLEST * pose.LARGEST) * SIZE
        self.assertAllClose(np.median(heights), middle, rtol=0.15)
