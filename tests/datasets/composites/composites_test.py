"""Composites: the plan, pasting, hiding, standing, shadows, and the records of them."""

import dataclasses
import importlib.util
import io
import math
import multiprocessing
import os
import signal
import tempfile
import threading
from pathlib import Path
from unittest import mock

import cv2
import hypothesis
import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from hypothesis import strategies as st
from PIL import Image

from keras_depthseg.datasets import opening, records
from keras_depthseg.datasets.building import clean_builder
from keras_depthseg.datasets.compose import make_config
from keras_depthseg.datasets.composites import (
    ground,
    maker,
    paste,
    placing,
)
from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.composites.plan import Plan
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.composites.settings import CompositeSettings
from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.datasets.teacher import teacher
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import encode
from keras_depthseg.pipeline import make_pipeline
from tests.support.tiny_data import colour, encoded

SIZE = 48
HEIGHT = 14
STEP = 0.001


@st.composite
def plans(draw):
    backgrounds, cutouts = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    plan = Plan(
        *(backgrounds, cutouts, draw(st.integers(1, 4)), draw(st.booleans())),
        seed=draw(st.integers(0, 5)),
    )
    count = draw(st.none() | st.integers(1, plan.total))
    return dataclasses.replace(plan, count=count)


def names(count, groups=None):
    return [f"g{index if groups is None else index % groups}" for index in range(count)]


class PlanTest(tf.test.TestCase, parameterized.TestCase):
    @hypothesis.given(plans())
    def test_each_number_is_another_combination(self, plan):
        entries = [plan.entry(number) for number in range(plan.total)]
        found = {(e.bg, e.fg, int(e.sample_id.rpartition("_")[2])) for e in entries}
        expected = {
            (bg, fg, place + 1)
            for bg in range(plan.backgrounds)
            for fg in range(plan.cutouts)
            for place in range(plan.places)
        }
        self.assertEqual(found, expected)
        self.assertLen(entries, len(expected))
        self.assertLen({entry.sample_id for entry in entries}, len(expected))
        for number, entry in enumerate(entries):
            self.assertEqual(entry.number, number)
            # Every second place, from the second on.
            place = int(entry.sample_id.rpartition("_")[2])
            self.assertEqual(entry.flip, plan.flip and place % 2 == 0)

    @parameterized.parameters(
        (100, 100, 20, True, 0, "bg001_fg001_01"),
        (100, 100, 20, True, 100 * 100 * 40 - 1, "bg100_fg100_40"),
        (2, 3, 1, False, 5, "bg002_fg003_01"),
        (1000, 12345, 60, True, 0, "bg0001_fg00001_001"),
        (1000, 12345, 60, True, 1000 * 12345 * 120 - 1, "bg1000_fg12345_120"),
    )
    def test_ids(self, backgrounds, cutouts, placements, flip, number, expected):
        entry = Plan(backgrounds, cutouts, placements, flip).entry(number)
        self.assertEqual(entry.sample_id, expected)
        sample = tables.MapRow(1, entry.bg_id, entry.sample_id, "m", "d")
        self.assertEqual((sample.bg_id, sample.fg_id), (entry.bg_id, entry.fg_id))
        self.assertEqual(expected.split("_")[:2], [entry.bg_id, entry.fg_id])

    @hypothesis.given(
        plans(),
        st.integers(1, 7),
        st.integers(1, 7),
        st.sampled_from([0, 0.1, 0.5, 0.99]),
        st.sampled_from([0, 0.1, 0.5, 0.99]),
        st.booleans(),
    )
    def test_splits(self, plan, bgs, fgs, val_fraction, unseen_fraction, by_identity):
        bg_groups, fg_groups = names(plan.backgrounds, bgs), names(plan.cutouts, fgs)
        splits = plan.splits(
            *(bg_groups, fg_groups),
            val_fraction=val_fraction,
            unseen_fraction=unseen_fraction,
            by_identity=by_identity,
        )
        # Every sample once.
        everything = np.concatenate(list(splits.values()))
        self.assertEqual(sorted(everything.tolist()), plan.numbers().tolist())
        self.assertLen(set(everything.tolist()), plan.count or plan.total)
        self.assertContainsSubset(splits, SPLITS)
        if not by_identity:
            self.assertContainsSubset(splits, ("train", "val"))
            return
        members = {
            split: [plan.entry(number) for number in numbers]
            for split, numbers in splits.items()
        }
        backgrounds = {s: {bg_groups[e.bg] for e in es} for s, es in members.items()}
        cutouts = {s: {fg_groups[e.fg] for e in es} for s, es in members.items()}
        pairs = {
            split: {(bg_groups[e.bg], fg_groups[e.fg]) for e in entries}
            for split, entries in members.items()
        }
        empty = set()
        for seen in ("train", "val"):
            for split in ("unseen_bg", "unseen_both"):
                common = backgrounds.get(seen, empty) & backgrounds.get(split, empty)
                self.assertEmpty(common)
            for split in ("unseen_fg", "unseen_both"):
                self.assertEmpty(cutouts.get(seen, empty) & cutouts.get(split, empty))
        self.assertEmpty(pairs.get("train", empty) & pairs.get("val", empty))
        if plan.count is None:
            self.assertIn("train", splits)
            both = len(set(bg_groups)) > 1 and unseen_fraction > 0
            self.assertEqual("unseen_bg" in splits, both)

    @parameterized.parameters(*range(20))
    def test_few_pictures_have_every_split(self, seed):
        plan = Plan(2, 3, 4, seed=seed)
        splits = plan.splits(names(2), names(3), val_fraction=0.1, unseen_fraction=0.1)
        # One of two backgrounds, one of three cutouts and one of two pairs are held out.
        sizes = {split: len(numbers) // plan.places for split, numbers in splits.items()}
        expected = {"train": 1, "val": 1, "unseen_bg": 2, "unseen_fg": 1}
        self.assertEqual(sizes, {**expected, "unseen_both": 1})

    @parameterized.parameters(*range(20))
    def test_one_place_is_all_for_training(self, seed):
        plan = Plan(5, 5, 4, seed=seed)
        splits = plan.splits(
            names(5, 1), names(5, 1), val_fraction=0.1, unseen_fraction=0.1
        )
        self.assertEqual(list(splits), ["train"])

    @parameterized.parameters(*range(20))
    def test_a_large_group_is_not_held_out(self, seed):
        # 90 of 100 backgrounds are of one place.
        groups = ["kitchen"] * 90 + names(10)
        plan = Plan(100, 20, 2, seed=seed)
        splits = plan.splits(groups, names(20), val_fraction=0.1, unseen_fraction=0.1)
        unseen = {plan.entry(n).bg for n in splits["unseen_bg"]}
        self.assertEqual(unseen, set(range(90, 100)))

    def test_fractions_are_of_pictures_and_samples(self):
        plan = Plan(100, 50, 4)
        splits = plan.splits(names(100), names(50), val_fraction=0.2, unseen_fraction=0.1)
        sizes = {split: len(numbers) // plan.places for split, numbers in splits.items()}
        expected = {"train": 90 * 45 * 0.8, "val": 90 * 45 * 0.2, "unseen_bg": 10 * 45}
        self.assertEqual(sizes, {**expected, "unseen_fg": 90 * 5, "unseen_both": 50})

    @parameterized.parameters((100, 0.1, 10), (5, 0.1, 1), (1, 0.9, 0), (7, 0, 0))
    def test_random_split(self, count, fraction, expected):
        plan = Plan(3, 4, 10, count=count)
        splits = plan.splits(
            *(names(3), names(4)),
            val_fraction=fraction,
            unseen_fraction=0.5,
            by_identity=False,
        )
        self.assertLen(splits.get("val", ()), expected)
        self.assertLen(splits["train"], count - expected)

    def test_seeds(self):
        def splits(seed, count=300):
            return Plan(10, 10, 5, count=count, seed=seed).splits(
                names(10), names(10), val_fraction=0.2, unseen_fraction=0.2
            )

        one, again, other = splits(0), splits(0), splits(1)
        for split in SPLITS:
            self.assertEqual(one[split].tolist(), again[split].tolist())
            self.assertNotEqual(one[split].tolist(), other[split].tolist())
            # Shuffled, and not in the order of backgrounds.
            self.assertNotEqual(one[split].tolist(), sorted(one[split].tolist()))
        self.assertNotEqual(
            Plan(10, 10, 5, count=9, seed=0).numbers().tolist(),
            Plan(10, 10, 5, count=9, seed=1).numbers().tolist(),
        )

    def test_count_draws_uniformly(self):
        times = np.zeros(600)
        for seed in range(400):
            numbers = Plan(5, 6, 10, count=60, seed=seed).numbers()
            self.assertLen(np.unique(numbers), 60)
            times[numbers] += 1
        # Binomial: 40 +- 6 times each; of 600, five deviations happen once in 3,000.
        self.assertAllInRange(times, 10, 70)
        by_bg = times.reshape(5, -1).sum(1)
        self.assertAllClose(by_bg, np.full(5, 400 * 12), rtol=0.05)

    def test_many_pictures_take_little_memory(self):
        # 6 billion combinations.
        plan = Plan(10_000, 30_000, 10, count=1000)
        splits = plan.splits(
            names(10_000), names(30_000), val_fraction=0.1, unseen_fraction=0.1
        )
        self.assertEqual(sum(map(len, splits.values())), 1000)


def soft_disc(height, width, seed=0):
    """(h, w, 4) RGBA: an ellipse with a soft edge that reaches every side; what is
    transparent has a loud colour."""
    y, x = np.mgrid[:height, :width] + 0.5
    radius = np.hypot(2 * y / height - 1, 2 * x / width - 1)
    alpha = np.clip((1.15 - radius) * 2.5, 0, 1)
    rgba = np.dstack([colour(seed, (height, width)), np.round(alpha * 255)])
    rgba[alpha == 0, :3] = (255, 0, 255)
    return rgba.astype(np.uint8)


def over(bg, rgba, top, left):
    """`colour alpha + bg (1 - alpha)` in floats, and alpha, pixel by pixel."""
    picture, mask = bg.astype(float), np.zeros(bg.shape[:2], np.uint8)
    for row in range(rgba.shape[0]):
        for column in range(rgba.shape[1]):
            y, x = row + top, column + left
            if 0 <= y < bg.shape[0] and 0 <= x < bg.shape[1]:
                alpha = rgba[row, column, 3] / 255
                picture[y, x] = rgba[row, column, :3] * alpha + bg[y, x] * (1 - alpha)
                mask[y, x] = rgba[row, column, 3]
    return picture, mask


def scene(depth=None, size=SIZE, seed=1):
    return Scene.of(colour(seed, (size, size)), depth, lossless=True)


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


class PasteTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        *((5, 7), (0, 0), (SIZE - 14, SIZE - 11), (-6, 3), (40, -5), (-7, -4), (44, 44))
    )
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

    @parameterized.parameters((SIZE, 0), (0, -11), (-14, 5), (500, 500))
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

    def test_before_a_surface_it_hides_that(self):
        plate = scene(np.full((SIZE, SIZE), 0.5, np.float32))
        rgba = soft_disc(14, 20)
        made = paste.paste(plate, Layer.of(rgba), paste.Place(8, 12, 0.3))
        self.assertAllEqual(made.mask, over(plate.bg, rgba, 8, 12)[1])
        self.assertEqual(made.seen, 1.0)

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


class SceneTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(True, False)
    def test_what_is_stored_is_what_is_composed(self, lossless):
        picture = cv2.resize(colour(0, (6, 6)), (SIZE, SIZE))
        made = Scene.of(picture, None, lossless)
        stored = np.asarray(Image.open(io.BytesIO(made.encoded)))
        if lossless:
            self.assertAllEqual(stored, picture)
        self.assertAllClose(stored, made.bg, rtol=0, atol=1)
        statistics = made.statistics.result()
        self.assertAllClose(statistics["mean"], made.bg.mean((0, 1)) / 255)
        self.assertAllClose(statistics["std"], made.bg.std((0, 1)) / 255)

    def test_holes_take_the_nearest_known_depth(self):
        rng = np.random.default_rng(0)
        depth = rng.uniform(0.1, 1, (SIZE, SIZE)).astype(np.float32)
        depth[rng.random(depth.shape) < 0.8] = 0
        filled = scene(depth).surfaces
        known = np.argwhere(depth > 0)
        for row, column in np.ndindex(depth.shape):
            distances = np.hypot(*(known - (row, column)).T)
            # OpenCV's distance is 2 % off.
            nearest = known[distances <= 1.03 * distances.min()]
            self.assertIn(filled[row, column], depth[tuple(nearest.T)])

    def test_nothing_to_fill(self):
        depth = np.full((SIZE, SIZE), 0.5, np.float32)
        self.assertIs(scene(depth).surfaces, depth)


class EncodeTest(tf.test.TestCase):
    def test_lossless(self):
        picture, mask = colour(0, (SIZE, SIZE)), soft_disc(SIZE, SIZE)[..., 3]
        for data, expected in (
            (encode.encode_colour(picture, lossless=True), picture),
            (encode.encode_mask(mask), mask),
        ):
            self.assertAllEqual(np.asarray(Image.open(io.BytesIO(data))), expected)

    def test_jpeg_keeps_colours_at_full_resolution(self):
        picture = np.zeros((SIZE, SIZE, 3), np.uint8)
        picture[:, : SIZE // 2 + 1] = (255, 0, 0)
        image = Image.open(io.BytesIO(encode.encode_colour(picture)))
        self.assertEqual(image.format, "JPEG")
        # Half resolution is 60 levels off at this edge.
        self.assertAllClose(np.asarray(image), picture, rtol=0, atol=12)

    def test_depth(self):
        depth = np.array([[0, records.NEAREST_DEPTH, 0.5, 1, 1.5, -1]], np.float32)
        stored = np.asarray(Image.open(io.BytesIO(encode.encode_depth(depth))))
        self.assertAllEqual(stored, [[0, 13, 32768, 65535, 65535, 0]])


def make_room(
    pitch, size=64, roll=0.0, field_of_view=50.0, boxes=(), noise=0.0, seed=None
):
    """Depth of a room, 10 m full scale, and where its floor is seen.

    A pinhole camera 1.5 m above the floor looks `pitch` degrees down; boxes are two
    corners each, x to the right, y down, z away, in metres from the camera.
    """
    focal = size / 2 / math.tan(math.radians(field_of_view) / 2)
    v, u = np.mgrid[:size, :size] + 0.5 - size / 2
    rays = np.stack([u / focal, v / focal, np.ones_like(u)], axis=-1)
    p, r = math.radians(pitch), math.radians(roll)
    rolled = [[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]]
    tilted = [[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]]
    rays = rays @ (np.array(tilted) @ np.array(rolled)).T
    surfaces = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis, at in ((1, 1.5), (1, -1.1), (2, 6.0), (0, 4.0), (0, -4.0)):
            distance = at / rays[..., axis]
            surfaces.append(np.where(distance > 0, distance, np.inf))
        for corners in boxes:
            ends = np.stack([np.array(corner, float) / rays for corner in corners])
            first, last = ends.min(0).max(-1), ends.max(0).min(-1)
            surfaces.append(np.where((first < last) & (first > 0), first, np.inf))
    depth = np.min(surfaces, axis=0)
    floor = np.argmin(surfaces, axis=0) == 0
    if seed is not None:
        rng = np.random.default_rng(seed)
        depth *= 1 + noise * rng.standard_normal(depth.shape)
        for row, column in rng.integers(0, size - size // 10, (6, 2)):
            depth[row : row + size // 10, column : column + size // 10] = 0
        depth[rng.random(depth.shape) < 0.02] = 0
    return (depth / 10).astype(np.float32), floor


def some_boxes(seed):
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(3):
        x, z = rng.uniform(-1.5, 1.5), rng.uniform(2.5, 5)
        wide, deep, tall = rng.uniform(0.3, 0.9, 3)
        boxes.append(((x, 1.5 - tall, z), (x + wide, 1.5, z + deep)))
    return boxes


class GroundTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        pitch=(8, 10, 20, 30), roll=(-8, 0, 8), field_of_view=(45, 50, 60)
    )
    def test_is_found(self, pitch, roll, field_of_view):
        for seed in range(3):
            depth, floor = make_room(
                *(pitch, 64, roll, field_of_view, some_boxes(seed), 0.01, seed)
            )
            found = ground.find_ground(depth)
            known = depth > 0
            self.assertEmpty(np.argwhere(found & ~known))
            union = ((found | floor) & known).sum()
            self.assertGreater(float((found & floor).sum() / union), 0.8)

    def test_a_level_camera(self):
        # The floor is a sixth of the picture.
        for seed in range(8):
            depth, floor = make_room(0, 64, 0, 50, some_boxes(seed), 0.01, seed)
            found = ground.find_ground(depth)
            union = ((found | floor) & (depth > 0)).sum()
            self.assertGreater(float((found & floor).sum() / union), 0.7)

    def test_size_and_unit_do_not_matter(self):
        for size in (32, 100, 224):
            depth, floor = make_room(20, size, 0, 50, some_boxes(0), 0.01, 0)
            for factor in (0.01, 1, 100):
                found = ground.find_ground(depth * np.float32(factor))
                known = depth > 0
                union = ((found | floor) & known).sum()
                self.assertGreater(float((found & floor).sum() / union), 0.85)

    @parameterized.parameters(0.0, 0.01)
    def test_a_wall_is_none(self, noise):
        for seed in range(30):
            rng = np.random.default_rng(seed)
            for size in (48, 128):
                wall = 0.3 * (1 + noise * rng.standard_normal((size, size)))
                self.assertFalse(ground.find_ground(wall.astype(np.float32)).any())

    @parameterized.parameters(
        (25, 1.2, 2.5, 0.8), (20, 0.4, 1.8, 0), (20, 0.5, 2.2, 0), (30, 0.4, 1.8, 0)
    )
    def test_a_table_is_none(self, pitch, near, far, found_floor):
        # 15, 48, 55 and 67 % of the picture; where that is much, no ground is found.
        table = [((-2.5, 0.7, near), (2.5, 0.75, far))]
        depth, floor = make_room(pitch, 64, 0, 50, table, 0.01, 0)
        found = ground.find_ground(depth)
        self.assertGreaterEqual(float(found[floor & (depth > 0)].mean()), found_floor)
        self.assertLess(float(found[~floor].mean()), 0.05)

    def test_nothing_known(self):
        self.assertFalse(ground.find_ground(np.zeros((48, 48), np.float32)).any())
        some = np.zeros((48, 48), np.float32)
        some[40, ::4] = 0.5
        self.assertFalse(ground.find_ground(some).any())


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
        boxes = np.array(
            [
                self._made(plate, layer, "anywhere", seed=seed)[0].box
                for seed in range(400)
            ]
        )
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
        depth, _ = make_room(20, 64, 0, 50, some_boxes(3), 0.01, 3)
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

    def test_standing_spreads_over_the_distances(self):
        depth, floor = make_room(20, 64)
        plate, layer = scene(depth, 64), Layer.of(soft_disc(2 * HEIGHT, 16))
        depths = [
            self._made(plate, layer, "standing", seed=seed)[2].depth for seed in range(99)
        ]
        low, high = depth[floor].min(), depth[floor].max()
        self.assertAllInRange(np.histogram(depths, 3, (low, high))[0], 15, 60)

    @parameterized.product(
        shape=((28, 3), (28, 96), (4, 96), (28, 28), (1, 1)),
        of=("no_ground", "floor", "holes", "near", None),
        placement=("anywhere", "standing"),
    )
    def test_always_finds_a_place(self, shape, of, placement):
        size = 48
        depth = {
            "no_ground": np.full((size, size), 0.4, np.float32),
            "floor": make_room(15, size)[0],
            "holes": np.where(np.arange(size * size) % 97, 0, 0.3)
            .astype(np.float32)
            .reshape(size, size),
            "near": np.full((size, size), records.NEAREST_DEPTH, np.float32),
            None: None,
        }[of]
        if depth is None and placement == "standing":
            return
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
        depth = make_room(20, 64)[0]
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
        depth, _ = make_room(15, 64, 0, 50, boxes)
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

    def test_the_darkest_shadow(self):
        # In the middle of a wide one nothing of the lamp is left but its strength.
        opaque = np.full((60, 60, 4), 255, np.uint8)
        most = [
            float(
                paste.cast_shadow(
                    *(scene(), Layer.of(opaque), paste.Place(-20, -6)),
                    np.random.default_rng(seed),
                ).max()
            )
            for seed in range(100)
        ]
        self.assertAllInRange(most, 0.2, 0.6001)
        self.assertGreater(max(most), 0.55)

    def test_share_of_shadows(self):
        plate, layer = scene(), Layer.of(soft_disc(HEIGHT, 10))
        shadows = 0
        for seed in range(200):
            made, *_ = self._made(plate, layer, "anywhere", 0.3, seed)
            clear = made.mask == 0
            shadows += bool((made.fg_bg[clear] != plate.bg[clear]).any())
        self.assertBetween(shadows, 40, 80)


def write_pictures(root, backgrounds=6, cutouts=6, size=SIZE, height=HEIGHT):
    """Backgrounds, their depth in millimetres, cutouts with a transparent border."""
    root = Path(root)
    for name in ("bg", "depth", "fg"):
        (root / name).mkdir(parents=True)
    for index in range(backgrounds):
        rng = np.random.default_rng(index)
        plate = cv2.resize(colour(100 + index, (6, 6)), (size, size))
        (root / f"bg/{index:02}.png").write_bytes(encoded(plate, "png"))
        levels = rng.integers(1000, 9000, (4, 4)).astype(np.uint16)
        levels = cv2.resize(levels, (size, size), interpolation=cv2.INTER_NEAREST)
        levels[rng.random(levels.shape) < 0.05] = 0
        (root / f"depth/{index:02}.png").write_bytes(encoded(levels, "png"))
    for index in range(cutouts):
        rgba = soft_disc(height, 8 + 2 * index, seed=index)
        border = np.zeros((height + 8, rgba.shape[1] + 8, 4), np.uint8)
        border[..., :3] = (255, 0, 255)
        border[4:-4, 4:-4] = rgba
        (root / f"fg/{index:02}.png").write_bytes(encoded(border, "png"))
    return root


def compose_config(root, **options):
    """The configuration of the pictures of `write_pictures`; nothing may be left out."""
    defaults = {"size": SIZE, "fg_height": HEIGHT, "lossless": True, "placements": 2}
    options = ComposeOptions(
        bg=str(root / "bg"), fg=root / "fg", **{**defaults, **options}
    )
    refused = []
    config = make_config(options, refused.append)
    if refused:
        raise AssertionError(refused)
    return config


def build(config, data_dir, beam=None):
    builder = Builder(config=config, data_dir=data_dir)
    with clean_builder.quiet():
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(beam_options=beam)
        )
    return Path(builder.data_path)


def build_and_die(config, data_dir, labels):
    """Builds, and kills its own process after so many pictures are labelled."""
    left = iter(range(labels))
    lock = threading.Lock()
    label = teacher.Teacher.label

    def counted(self, images):
        with lock:
            for _ in images:
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
        return label(self, images)

    with mock.patch.object(teacher.Teacher, "label", counted):
        build(config, data_dir)


def run_process(call, *args):
    """Calls in another process, with another hash seed, that has imported everything
    already; returns its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.original_layout_test"])
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    with mock.patch.dict(os.environ, PYTHONHASHSEED=other):
        process = context.Process(target=call, args=args)
        process.start()
    process.join()
    return process.exitcode


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def samples(path):
    """All samples, with the name of their split."""
    builder = tfds.builder_from_directory(path)
    return [
        {**sample, "split": split}
        for split in builder.info.splits
        for sample in tfds.as_numpy(builder.as_dataset(split=split))
    ]


class CompositesTestCase(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pictures = write_pictures(
            Path(cls.enter_context(tempfile.TemporaryDirectory())) / "pictures"
        )
        cls.depth = f"{cls.pictures}/depth,step={STEP}"

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))

    def config(self, **options):
        return compose_config(self.pictures, **options)


class RecordsTest(CompositesTestCase):
    def test_masks_and_pictures_equal_numpy(self):
        path = build(self.config(flip=True), self.folder)
        metadata = tfds.builder_from_directory(path).info.metadata
        found = {}
        for sample in samples(path):
            name = sample["sample_id"].decode()
            self.assertNotIn(name, found)
            found[name] = sample
            bg_id, fg_id, place = name.split("_")
            self.assertEqual(sample["bg_id"].decode(), bg_id)
            self.assertEqual(sample["fg_id"].decode(), fg_id)
            plate = Image.open(self.pictures / "bg" / metadata["sources"][bg_id]["file"])
            self.assertAllEqual(sample["bg"], np.asarray(plate))
            file = self.pictures / "fg" / metadata["sources"][fg_id]["file"]
            rgba = np.asarray(Image.open(file))[4:-4, 4:-4]
            if int(place) % 2 == 0:
                rgba = rgba[:, ::-1]
            top, left, bottom, right = np.round(sample["box"] * SIZE).astype(int)
            self.assertAllClose(sample["box"] * SIZE, [top, left, bottom, right])
            self.assertEqual((bottom - top, right - left), rgba.shape[:2])
            picture, mask = over(sample["bg"], rgba, top, left)
            self.assertAllEqual(sample["mask"][..., 0], mask)
            self.assertAllClose(sample["fg_bg"], picture, rtol=0, atol=1)
            clear = mask == 0
            self.assertAllEqual(sample["fg_bg"][clear], sample["bg"][clear])
        self.assertEqual(
            sorted(found),
            [
                f"bg{bg:03}_fg{fg:03}_{place:02}"
                for bg in range(1, 7)
                for fg in range(1, 7)
                for place in range(1, 5)
            ],
        )
        boxes = {tuple(sample["box"]) for sample in found.values()}
        self.assertGreater(len(boxes), 120, "each place has its own random numbers")

    def test_depth_and_statistics(self):
        path = build(self.config(depth=self.depth), self.folder)
        opened = opening.open_records(path)
        self.assertEqual((opened.depth["unit"], opened.depth["scale"]), ("metre", 10.0))
        pixels = {"bg": [], "fg_bg": []}
        hidden = 0
        for sample in samples(path):
            index = int(sample["bg_id"][2:]) - 1
            levels = np.asarray(Image.open(self.pictures / f"depth/{index:02}.png"))
            expected = levels / 10_000 * 65535
            mask, depth = sample["mask"][..., 0], sample["depth"][..., 0]
            its = mask >= 128
            self.assertLen(set(depth[its].tolist()), 1)
            self.assertAllClose(depth[~its], expected[~its], rtol=0, atol=0.51)
            self.assertAllEqual(depth[~its] == 0, levels[~its] == 0)
            # Nothing known is seen behind what is nearer.
            known = its & (levels > 0)
            self.assertAllInRange(depth[known] / expected[known], 0, 1.025)
            rows, columns = np.nonzero(mask)
            edges = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
            self.assertAllClose(sample["box"] * SIZE, edges)
            hidden += bool(rows.max() + 1 - rows.min() < HEIGHT)
            if sample["split"] == "train":
                for field, found in pixels.items():
                    found.append(sample[field] / 255)
        self.assertGreater(hidden, 3)
        for field, found in pixels.items():
            statistics = opened.statistics[field]
            self.assertAllClose(statistics["mean"], np.mean(found, (0, 1, 2)), 0, 1e-4)
            self.assertAllClose(statistics["std"], np.std(found, (0, 1, 2)), 0, 1e-4)
        inputs, targets = next(iter(make_pipeline(opened, resolution=SIZE, batch_size=4)))
        shapes = {name: tuple(value.shape) for name, value in (inputs | targets).items()}
        self.assertEqual(shapes["fg_bg"], (4, SIZE, SIZE, 3))
        self.assertEqual(shapes["depth"], (4, SIZE, SIZE, 1))

    def test_splits_of_the_records(self):
        path = build(self.config(unseen_fraction=0.3, val_fraction=0.2), self.folder)
        ids = {split: set() for split in SPLITS}
        for sample in samples(path):
            ids[sample["split"]].add((sample["bg_id"], sample["fg_id"]))
        self.assertEqual(sum(map(len, ids.values())), 36)
        seen = ids["train"] | ids["val"]
        for column, split in enumerate(("unseen_bg", "unseen_fg")):
            kept_out = {pair[column] for pair in ids[split] | ids["unseen_both"]}
            self.assertLen(kept_out, 2)
            self.assertEmpty(kept_out & {pair[column] for pair in seen})

    def test_jpeg(self):
        path = build(self.config(lossless=False), self.folder)
        for sample in samples(path)[:20]:
            clear = cv2.dilate(sample["mask"], np.ones((17, 17))) == 0
            gap = sample["fg_bg"][clear].astype(int) - sample["bg"][clear]
            self.assertLess(np.abs(gap).mean(), 1.5)

    def test_without_training(self):
        config = self.config(count=1)
        for seed in range(100):
            config.recipe = dataclasses.replace(config.recipe, seed=seed)
            try:
                config.splits()
            except UserError as error:
                self.assertRegex(str(error), "6 backgrounds, 6 cutouts and 1 samples")
                with self.assertRaises(UserError):
                    build(config, self.folder)
                self.assertEmpty(list(self.folder.iterdir()))
                return
        self.fail("every single sample was for training")

    def test_without_a_configuration(self):
        with self.assertRaisesRegex(UserError, "0 backgrounds"):
            Builder(data_dir=self.folder).download_and_prepare()

    def test_settings_change_the_fingerprint(self):
        config = self.config()
        changes = [
            {"placements": 3},
            {"flip": not config.flip},
            {"count": 7},
            {"splitting": "random"},
            {"licences": {"bg": "mine"}},
            {"cutouts": config.cutouts[:-1]},
            {"backgrounds": config.backgrounds[::-1]},
            {"recipe": dataclasses.replace(config.recipe, seed=1)},
            {"recipe": dataclasses.replace(config.recipe, shadow=0.5)},
            {},
        ]
        prints = {dataclasses.replace(config, **c).fingerprint() for c in changes}
        self.assertLen(prints, len(changes))
        same = dataclasses.replace(config, workers=7)
        self.assertEqual(same.fingerprint(), config.fingerprint())

    def test_few_pictures_are_kept(self):
        config = self.config(depth=self.depth)
        made = maker.Maker.of(config)
        # Room for two scenes and two layers.
        with mock.patch.object(maker, "_CACHE_BYTES", 2 * 14 * SIZE**2):
            list(made.composites(config.plan.numbers()))
        self.assertEqual(made.scene.cache_info().maxsize, 2)
        self.assertEqual(made.scene.cache_info().currsize, 2)
        large = CompositeSettings(
            size=4096, fg_height=2000, depth="rooms", placement="standing"
        )
        made = dataclasses.replace(made, recipe=large)
        # 235 MB each.
        self.assertEqual(made.scene.cache_info().maxsize, 1)


class SameBytesTest(CompositesTestCase):
    def setUp(self):
        super().setUp()
        options = {"depth": self.depth, "placements": 10, "flip": True, "shadow": 0.5}
        self.made = self.config(**options, workers=1)
        build(self.made, self.folder / "expected")

    def _assert_same(self):
        found = contents(self.folder / "found")
        expected = contents(self.folder / "expected")
        self.assertGreater(len([name for name in found if "tfrecord" in name]), 5)
        self.assertEqual(found.keys(), expected.keys())
        for name, data in expected.items():
            self.assertEqual(data, found[name], name)

    @parameterized.parameters(2, 5)
    def test_workers(self, workers):
        build(dataclasses.replace(self.made, workers=workers), self.folder / "found")
        self._assert_same()

    def test_another_process_with_another_hash_seed(self):
        self.assertEqual(run_process(build, self.made, self.folder / "found"), 0)
        self._assert_same()

    def test_beam(self):
        from apache_beam.options.pipeline_options import PipelineOptions

        beam = PipelineOptions(["--runner=DirectRunner"])
        build(self.made, self.folder / "found", beam)
        self._assert_same()


class TeacherTest(CompositesTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        inputs = keras.Input((SIZE, SIZE, 3))
        layer = keras.layers.Conv2D(1, 1, use_bias=False)
        network = keras.Model(inputs, layer(inputs))
        layer.set_weights([np.array([0.5, 0.3, 0.1], "float32").reshape(1, 1, 3, 1)])
        path = cls.pictures / "net.keras"
        network.save(path)
        cls.depth = f"{path},input=0:1,larger=nearer,output=0:1"

    def _config(self, workers):
        return self.config(
            depth=self.depth, placements=10, val_fraction=0.5, workers=workers
        )

    def test_labels_are_of_the_stored_composites(self):
        path = build(self._config(2), self.folder)
        opened = opening.open_records(path)
        self.assertEqual(opened.depth["unit"], "relative")
        for sample in samples(path):
            grey = sample["fg_bg"].astype(float) / 255 @ [0.5, 0.3, 0.1]
            expected = np.maximum(1 - grey, records.NEAREST_DEPTH) * 65535
            self.assertAllClose(sample["depth"][..., 0], expected, rtol=0, atol=0.6)

    def test_workers(self):
        for workers in (1, 5):
            build(self._config(workers), self.folder / str(workers))
        one, five = (contents(self.folder / name) for name in "15")
        self.assertEqual(one, five)

    def test_threads_load_one_network(self):
        maker._load_teacher.cache_clear()
        with mock.patch.object(
            maker,
            "_load_teacher",
            side_effect=maker._load_teacher,
        ):
            build(self._config(5), self.folder)
        info = maker._load_teacher.cache_info()
        self.assertEqual(info.misses, 1)

    def test_a_killed_labelling_goes_on(self):
        config = self._config(1)
        build(config, self.folder / "expected")
        killed = run_process(build_and_die, config, self.folder / "found", 150)
        self.assertEqual(killed, -signal.SIGKILL)
        label = teacher.Teacher.label
        labelled = []

        def counted(network, images):
            labelled.append(len(images))
            return label(network, images)

        with mock.patch.object(teacher.Teacher, "label", counted):
            build(config, self.folder / "found")
        self.assertEqual(
            contents(self.folder / "expected"), contents(self.folder / "found")
        )
        shards = [
            length
            for split in tfds.builder_from_directory(
                self.folder / "found/composites/composites/1.0.0"
            ).info.splits.values()
            for length in split.shard_lengths
        ]
        self.assertLess(sum(labelled), sum(shards))


# TFDS's test case needs dill, which TFDS itself does not.
if importlib.util.find_spec("dill"):

    class BuilderTest(tfds.testing.DatasetBuilderTestCase):
        """TFDS's own checks, on pictures made here."""

        DATASET_CLASS = Builder

        @classmethod
        def setUpClass(cls):
            folder = tempfile.TemporaryDirectory()
            cls.addClassCleanup(folder.cleanup)
            root = write_pictures(Path(folder.name) / "pictures")
            cls.EXAMPLE_DIR = root
            config = compose_config(root, depth=f"{root}/depth,step={STEP}")
            cls.BUILDER_CONFIG_NAMES_TO_TEST = [config]
            cls.SPLITS = {split: len(ids) for split, ids in config.splits().items()}
            super().setUpClass()


if __name__ == "__main__":
    tf.test.main()
