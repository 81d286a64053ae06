"""Plates of rooms from a camera moved by centimetres, against a projection of points."""

import tempfile
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from keras_depthseg.datasets import locate
from keras_depthseg.datasets.rooms import (
    cutouts,
    render,
    rooms_dataset_builder,
    scene,
)
from keras_depthseg.datasets.rooms.geometry import Camera, Surface
from keras_depthseg.datasets.rooms.lighting import Lamp, Lighting
from keras_depthseg.errors import UserError

SIZE, FOCAL = 160, 160 / 2 / np.tan(np.radians(30))


def two_walls(metres):
    """A wall at 6 m, before its left half another at 1.5 m; the plate's camera stands
    `metres` to the right."""
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(256, size=(16, 16, 3), dtype=np.uint8), (128, 128))
    surfaces = [
        Surface((left, -10, z), (20, 0, 0), (0, 20, 0), picture, (tile, tile))
        for left, z, tile in ((-10, 6.0, 4.0), (-20, 1.5, 1.0))
    ]
    camera = Camera.look((0, 1.5, 0), 0.0, 0.0, 60.0, SIZE)
    moved = Camera.look((metres, 1.5, 0), 0.0, 0.0, 60.0, SIZE)
    bounds = np.array([[-20.0, 20.0], [-10.0, 20.0], [-1.0, 7.0]])
    lamp = Lamp(np.array([0.5, 2.5, 0.5]), np.ones(3), 3.0)
    light = Lighting((lamp,), np.full(3, 0.3), bounds)
    other = np.random.default_rng(2)
    return scene.render_room(surfaces, camera, light, rng=rng, moved=(moved, other))


class ParallaxTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(0.02, 0.1)
    def test_moves_by_focal_length_over_depth(self, metres):
        room = two_walls(metres)
        still, plate = (
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
            for image in (room.bg, room.plate)
        )
        for columns, depth in ((np.s_[8:64], 1.5), (np.s_[96:152], 6.0)):
            part = np.s_[20:140, columns]
            expected = -FOCAL * metres / depth
            # The plate's part is found in the still picture, from a start beside it.
            start = np.float32([[1, 0, round(-expected)], [0, 1, 0]])
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-6)
            _, found = cv2.findTransformECC(
                plate[part].copy(), still[part].copy(), start,
                cv2.MOTION_TRANSLATION, criteria,
            )  # fmt: skip
            self.assertAllClose(room.depth[part], np.full((120, 56), depth))
            self.assertAllClose(found[:, 2], [-expected, 0.0], rtol=0.03, atol=0.1)

    def test_by_exactly_so_many_centimetres_and_nothing_else(self):
        for index in range(6):
            still = scene.make_room(3, index, 48)
            self.assertIs(still.plate, still.bg)
            moved = scene.make_room(3, index, 48, parallax=4.0)
            for name in ("bg", "depth", "fine_inverse"):
                self.assertAllEqual(getattr(moved, name), getattr(still, name))
            gap = np.abs(moved.plate.astype(int) - moved.bg).mean()
            self.assertGreater(gap, 0.3)
            # The same lamps, exposure and tint.
            self.assertAllClose(
                moved.plate.mean((0, 1)), moved.bg.mean((0, 1)), rtol=0.05, atol=2
            )
            camera, _ = scene.moved_camera(3, index, still.camera, 4.0)
            way = np.linalg.norm(camera.position - still.camera.position)
            self.assertAllClose(way, 0.04)
            self.assertAllEqual(camera.axes, still.camera.axes)
            cutout = cutouts.make_cutout(3, index, 48)
            made, expected = (
                render.make_composite(room, cutout, 3, index) for room in (moved, still)
            )
            for name in ("fg_bg", "mask", "depth", "box"):
                self.assertAllEqual(getattr(made, name), getattr(expected, name))
            self.assertAllEqual(made.bg, moved.plate)
            self.assertAllEqual(expected.bg, still.bg)

    def test_data_by_name(self):
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        with self.assertRaisesRegex(UserError, "parallax=11; accepted: 0 to 10"):
            locate.locate_records("rooms:60,parallax=11", folder)
        for data in (
            "rooms,parallax=",
            "rooms:60,parallax=-1",
            "pets_in_rooms,parallax=1",
        ):
            with self.assertRaisesRegex(UserError, r"\[,parallax=CM\]"):
                locate.check_data(data)
        locate.check_data("rooms,parallax=2")
        with self.assertRaisesRegex(ValueError, "Received: parallax=-1"):
            rooms_dataset_builder.RoomsConfig(name="bad", parallax=-1)
        path = rooms_dataset_builder.build(folder, num_samples=60, size=32, parallax=2.5)
        self.assertIn("60x32px_seed0_parallax2.5cm", str(path))
        still = rooms_dataset_builder.build(folder, num_samples=60, size=32)
        self.assertIn("60x32px_seed0", still.parts)
        both = [
            {
                sample["sample_id"]: sample
                for sample in tfds.as_numpy(
                    tfds.builder_from_directory(folder).as_dataset(split="val")
                )
            }
            for folder in (path, still)
        ]
        self.assertEqual(both[0].keys(), both[1].keys())
        for name, sample in both[0].items():
            self.assertAllEqual(sample["fg_bg"], both[1][name]["fg_bg"])
            self.assertNotAllEqual(sample["bg"], both[1][name]["bg"])
