"""Tests of the rendered rooms: their depth, their cutouts, their records."""

import math
import tempfile

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_depthseg.datasets.rooms import (
    assembly,
    cutouts,
    geometry,
    plan,
    render,
    rooms_dataset_builder,
    scene,
    textures,
)
from keras_depthseg.datasets.rooms.geometry import Camera, Surface
from keras_depthseg.datasets.rooms.lighting import Lamp, Lighting
from keras_depthseg.datasets.rooms.placement import Placement
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.datasets.statistics import ImageStatistics

HEIGHT, PITCH, FIELD_OF_VIEW, SIZE = 1.5, -20.0, 60.0, 96
WALL_Z = 6.0


def plain_room(pieces=None):
    """A floor at y = 0 and a wall at z = 6, seen from 1.5 m, 20 degrees down."""
    material = textures.concrete(np.random.default_rng(0))
    things = pieces or assembly.Furnishing()
    surfaces = [
        Surface((-20, 0, -5), (40, 0, 0), (0, 0, 11), material, (1.0, 1.0)),
        Surface((-20, 0, WALL_Z), (40, 0, 0), (0, 20, 0), material, (1.0, 1.0)),
        *things.surfaces,
    ]
    camera = Camera.look((0, HEIGHT, 0), 0.0, PITCH, FIELD_OF_VIEW, SIZE)
    lamp = Lamp(np.array([1.5, 2.8, 1.0]), np.ones(3), 3.0)
    bounds = np.array([[-20.0, 20.0], [0.0, 20.0], [-5.0, WALL_Z]])
    light = Lighting((lamp,), np.full(3, 0.3), bounds)
    return scene.render_room(
        surfaces, camera, light, solids=things.solids, supports=things.supports
    )


def column_angles():
    """The angle of each row's pixel centre below the horizon, radians."""
    focal = 0.5 * SIZE / math.tan(math.radians(FIELD_OF_VIEW) / 2)
    offset = (np.arange(SIZE) + 0.5 - SIZE / 2) / focal
    return math.radians(-PITCH) + np.arctan(offset)


def board(height=1.8, width=0.8):
    """An opaque red cutout."""
    rgba = np.zeros((90, 40, 4), np.uint8)
    rgba[..., 0] = rgba[..., 3] = 255
    return cutouts.RoomCutout(
        rgba, width, height, np.zeros((90, 40), np.float32), "board"
    )


def at_place(room, place, shadow=True):
    """The board at a given place."""
    shown = render.show(room, board(), place)
    rng, points = np.random.default_rng(0), room.camera.world_points(room.depth)
    return render.lay_over(room, board(), place, shown, rng, points, shadow)


class GeometryTest(tf.test.TestCase):
    def test_depth_of_floor_and_wall(self):
        # Trigonometry in the vertical plane through the camera, no matrices.
        room = plain_room()
        angle = column_angles()
        away = angle - math.radians(-PITCH)
        floor = HEIGHT / np.sin(np.maximum(angle, 1e-3)) * np.cos(away)
        wall = WALL_Z / np.cos(angle) * np.cos(away)
        expected = np.where(angle > 0, np.minimum(floor, wall), wall)
        for column in (SIZE // 2 - 1, SIZE // 2):
            # The two middle columns lie half a pixel off the plane: the same z depth.
            self.assertAllClose(room.depth[:, column], expected, rtol=2e-5)

    def test_world_points_invert_project(self):
        camera = Camera.look((1.0, 1.2, 0.4), 31.0, -17.0, 70.0, 32, roll=2.0)
        depth = np.random.default_rng(0).uniform(1, 9, (32, 32)).astype(np.float32)
        points = camera.world_points(depth).reshape(3, -1).T
        pixels, z = camera.project(points)
        xs, ys = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5)
        self.assertAllClose(pixels, np.stack([xs.ravel(), ys.ravel()], 1), atol=1e-3)
        self.assertAllClose(z, depth.ravel(), rtol=1e-5)

    def test_rooms_are_closed_and_in_range(self):
        for index in range(4):
            room = scene.make_room(5, index, 64)
            self.assertEqual(room.bg.shape, (64, 64, 3))
            self.assertEqual(room.bg.dtype, np.uint8)
            self.assertEqual(room.depth.dtype, np.float32)
            self.assertGreater(float(room.depth.min()), geometry.NEAR)
            self.assertLessEqual(float(room.depth.max()), geometry.FAR)
            self.assertGreater(float(room.bg.std()), 8.0)
            # Only windows show what is far away.
            self.assertLess(float((room.depth == geometry.FAR).mean()), 0.5)


class DeterminismTest(tf.test.TestCase):
    def test_same_integers_same_pictures_in_any_order(self):
        def sample(index):
            room = scene.make_room(7, index, 48)
            cutout = cutouts.make_cutout(7, index, 48)
            return render.make_composite(room, cutout, 7, index)

        first = [sample(index) for index in (0, 1, 2)]
        again = {index: sample(index) for index in (2, 0, 1)}
        for index, one in enumerate(first):
            for field in ("bg", "fg_bg", "mask", "depth", "box"):
                value = getattr(again[index], field)
                self.assertTrue(np.array_equal(getattr(one, field), value), field)


class CompositeTest(tf.test.TestCase):
    def test_nearer_box_hides_cutout_everywhere(self):
        pieces = assembly.Furnishing()
        material = textures.wood(np.random.default_rng(1))
        pieces.box(assembly.Pose(0, 2.0), (-1.2, 0, 0), (2.4, 0.9, 0.4), material)
        room = plain_room(pieces)
        empty = plain_room()
        place = Placement(np.array([0.0, 0.0, 3.5]))
        one = at_place(room, place, shadow=False)
        free = at_place(empty, place)
        # Away from the box's outline, where a pixel is part box and part cutout.
        box = room.depth < empty.depth - 0.05
        inner = np.ones_like(box)
        for rows in (-1, 0, 1):
            for columns in (-1, 0, 1):
                inner &= np.roll(box, (rows, columns), (0, 1))
        hidden = inner & (free.mask == 255)
        self.assertGreater(int(hidden.sum()), 50)
        self.assertAllEqual(one.mask[hidden], np.zeros(hidden.sum()))
        self.assertAllEqual(one.fg_bg[hidden], room.bg[hidden])
        self.assertAllEqual(one.depth[hidden], room.depth[hidden])
        seen = (one.mask == 255) & ~box
        self.assertGreater(int(seen.sum()), 50)
        self.assertTrue((one.fg_bg[seen][:, 0] > one.fg_bg[seen][:, 1] + 40).all())
        self.assertTrue((one.depth[seen] < room.depth[seen]).all())

    def test_depth_of_cutout(self):
        room = plain_room()
        one = at_place(room, Placement(np.array([0.0, 0.0, 3.0])))
        # An upright plane 3 m away, by trigonometry on the middle column.
        angle = column_angles()
        expected = 3.0 / np.cos(angle) * np.cos(angle - math.radians(-PITCH))
        column = SIZE // 2
        solid = one.mask[:, column] == 255
        self.assertGreater(int(solid.sum()), 20)
        self.assertAllClose(one.depth[solid, column], expected[solid], rtol=1e-4)
        # It is 1.8 m high: from its foot to its top, as projected by hand.
        focal = 0.5 * SIZE / math.tan(math.radians(FIELD_OF_VIEW) / 2)
        tilt = math.radians(-PITCH)
        foot = math.atan(HEIGHT / 3.0) - tilt
        top = math.atan((HEIGHT - 1.8) / 3.0) - tilt
        rows = SIZE / 2 + focal * np.tan([top, foot])
        self.assertAllClose(one.box[[0, 2]] * SIZE, rows, atol=1.0)

    def test_unchanged_where_no_mask_and_no_shadow(self):
        shadows = 0
        for index in range(8):
            room = scene.make_room(3, index, 64)
            one = render.make_composite(room, cutouts.make_cutout(3, index, 64), 3, index)
            rows, columns = np.nonzero(one.mask)
            edges = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
            self.assertAllClose(one.box, np.array(edges) / 64)
            self.assertBetween(float(one.mask.mean() / 255), 0.0099, 0.451)
            clear = (one.mask == 0) & (one.shadow == 0)
            self.assertGreater(int(clear.sum()), 100)
            self.assertAllEqual(one.fg_bg[clear], one.bg[clear])
            self.assertAllEqual(one.depth[one.mask < 128], room.depth[one.mask < 128])
            dark = (one.mask == 0) & (one.shadow > 0.15)
            if dark.any():
                shadows += 1
                change = one.bg[dark].astype(int) - one.fg_bg[dark]
                self.assertGreater(float(change.mean()), 0.0)
        self.assertGreater(shadows, 3)

    def test_always_finds_a_place(self):
        # A wall right before the camera leaves no floor to stand on.
        material = textures.plaster(np.random.default_rng(0))
        wall = Surface((-5, -5, 0.4), (10, 0, 0), (0, 10, 0), material)
        camera = Camera.look((0, 1.5, 0), 0.0, 0.0, 60.0, 48)
        bounds = np.array([[-5.0, 5.0], [0.0, 3.0], [0.0, 0.4]])
        light = Lighting((), np.ones(3), bounds)
        room = scene.render_room([wall], camera, light)
        for index in range(4):
            one = render.make_composite(room, cutouts.make_cutout(1, index, 48), 1, index)
            self.assertBetween(float(one.mask.mean() / 255), 0.0099, 0.451)
            self.assertTrue((one.depth[one.mask >= 128] < 0.4).all())


class PlanTest(tf.test.TestCase):
    def test_splits_hold_identities_apart(self):
        for count, seed in ((60, 0), (60, 1), (61, 2), (75, 3), (300, 4)):
            entries = plan.planned_samples(count, seed)
            self.assertLen({entry.sample_id for entry in entries}, count)
            groups = plan.splits(entries, seed)
            self.assertEqual(tuple(groups), SPLITS)
            self.assertEqual(sum(map(len, groups.values())), count)
            seen = groups["train"] + groups["val"]
            rooms, fronts = {e.bg_id for e in seen}, {e.fg_id for e in seen}
            for name in ("unseen_bg", "unseen_both"):
                self.assertTrue(rooms.isdisjoint(e.bg_id for e in groups[name]), name)
            for name in ("unseen_fg", "unseen_both"):
                self.assertTrue(fronts.isdisjoint(e.fg_id for e in groups[name]), name)

    def test_few_samples(self):
        for count in (1, 2, 11):
            groups = plan.splits(plan.planned_samples(count, 0), 0)
            self.assertIn("train", groups)
            self.assertEqual(sum(map(len, groups.values())), count)


def build(folder, **options):
    config = rooms_dataset_builder.RoomsConfig(name="tiny", **options)
    builder = rooms_dataset_builder.Builder(config=config, data_dir=folder)
    builder.download_and_prepare()
    return builder


class BuilderTest(tf.test.TestCase):
    def test_round_trip(self):
        with tempfile.TemporaryDirectory() as folder:
            path = build(folder, num_samples=60, size=32, seed=4).data_path
            builder = tfds.builder_from_directory(path)
            self.assertEqual(set(builder.info.splits), set(SPLITS))
            self.assertEqual(builder.info.metadata["depth"]["unit"], "metre")
            scale = builder.info.metadata["depth"]["scale"]
            entries = {entry.sample_id: entry for entry in plan.planned_samples(60, 4)}
            statistics = ImageStatistics()
            for name in SPLITS:
                for sample in tfds.as_numpy(builder.as_dataset(split=name)):
                    entry = entries.pop(sample["sample_id"].decode())
                    self.assertEqual(sample["bg_id"].decode(), entry.bg_id)
                    self.assertEqual(sample["fg_id"].decode(), entry.fg_id)
                    if name == "train":
                        statistics.update(sample["bg"])
                    if entry.index % 4:
                        continue  # drawing all of them again takes long
                    made = render.make_composite(
                        scene.make_room(4, entry.room, 32),
                        cutouts.make_cutout(4, entry.cutout, 32),
                        4,
                        entry.index,
                    )
                    self.assertEqual(sample["depth"].dtype, np.uint16)
                    metres = sample["depth"][..., 0].astype(np.float64) / 65535 * scale
                    self.assertAllClose(metres, made.depth, rtol=0, atol=scale / 65535)
                    self.assertAllEqual(sample["mask"][..., 0], made.mask)
                    self.assertAllClose(sample["box"], made.box)
                    gap = np.abs(sample["bg"].astype(int) - made.bg).mean()
                    self.assertLess(float(gap), 6.0)
            self.assertEmpty(entries)
            stored = builder.info.metadata["statistics"]["bg"]
            # TensorFlow's default JPEG decoder is 1.3 levels of 255 low in red and blue.
            self.assertAllClose(stored["mean"], statistics.result()["mean"], atol=8e-3)

    def test_bad_arguments(self):
        for options in ({"num_samples": 0}, {"size": 0}, {"size": -8}, {"seed": -1}):
            name, value = next(iter(options.items()))
            with self.assertRaisesRegex(ValueError, f"Received: {name}={value}"):
                rooms_dataset_builder.RoomsConfig(name="bad", **options)
