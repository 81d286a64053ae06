"""What the page shows, its sliders, and the files to download."""

import dataclasses
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import trimesh
from PIL import Image

from keras_depthseg.demo import results
from keras_depthseg.demo.adjusting import adjusted
from keras_depthseg.demo.points import MOST_POINTS, points_of, write_points
from keras_depthseg.inference.photographs import Photograph
from keras_depthseg.inference.predictor import Prediction


def prediction(height, width, depth=0.5, confidence=1.0):
    """Return a prediction of a red square on grey."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    mask = np.zeros((height, width), np.float32)
    rows, columns = (slice(side // 4, side // 2) for side in (height, width))
    mask[rows, columns] = 1
    bg = pixels.copy()
    pixels[rows, columns] = 200, 0, 0
    depths = np.full((height, width), depth, np.float32)
    return Prediction(Photograph(pixels, "it"), bg, mask, depths, confidence, None)


class AdjustedTest(tf.test.TestCase):
    def test_the_threshold_becomes_a_half(self):
        mask = np.array([[0.0, 0.2, 0.5, 0.8, 1.0]], np.float32)
        for threshold in (0.2, 0.5, 0.8):
            moved = adjusted(mask, threshold, 0)
            np.testing.assert_allclose(moved[mask == np.float32(threshold)], 0.5, 1e-5)
            self.assertAllEqual(moved[0, [0, -1]], [0, 1])
            self.assertAllGreater(np.diff(moved), 0)

    def test_a_feather_keeps_the_area(self):
        mask = prediction(100, 100).mask
        soft = adjusted(mask, 0.5, 4)
        self.assertNear(soft.sum(), mask.sum(), 0.5)
        self.assertBetween(soft[25, 37], 0.4, 0.6)


class PointsTest(tf.test.TestCase):
    def test_places_and_colours(self):
        places, colours = points_of(prediction(91, 121))
        self.assertEqual(places.shape, (91 * 121, 3))
        corner, middle = places[0], places[45 * 121 + 60]
        self.assertAllClose(middle, [0, 0, -0.5])
        # 60 degrees across the longer side.
        self.assertNear(corner[0] / corner[2], np.tan(np.pi / 6), 0.01)
        self.assertGreater(corner[1], 0)
        self.assertAllEqual(colours[25 * 121 + 35], [200, 0, 0])

    def test_colours_of_the_file_are_linear_light(self):
        path = Path(self.enter_context(tempfile.TemporaryDirectory()), "points.glb")
        write_points(path, prediction(91, 121))
        (cloud,) = trimesh.load_scene(path).geometry.values()
        # The red of the foreground, 200 of 255 in sRGB.
        red = max(cloud.visual.vertex_colors[:, 0] / 255)
        self.assertAllClose(red, 0.578, atol=1 / 255)

    def test_large_photographs_have_fewer(self):
        places, _ = points_of(prediction(1000, 1500))
        self.assertBetween(len(places), MOST_POINTS // 2, MOST_POINTS)

    def test_without_depth(self):
        with self.assertRaisesRegex(ValueError, "no depth"):
            points_of(dataclasses.replace(prediction(8, 8), depth=None))


class ResultsTest(tf.test.TestCase):
    def test_what_is_shown_is_reduced_and_of_one_size(self):
        reduced = results.reduced(prediction(1500, 2000))
        shown = results.show(reduced, "blur")
        for picture in shown:
            self.assertEqual(picture.shape[:2], (750, results.SHOWN_SIDE))
        self.assertEqual(shown.cutout.shape[2], 4)
        self.assertAllEqual(shown.replaced[300, 400], [200, 0, 0])

    def test_a_feather_is_of_what_is_shown(self):
        large = prediction(1500, 2000)
        adjustments = results.Adjustments(0.5, 3.0, "white")
        full = results.with_adjustments(large, adjustments)
        small = results.with_adjustments(results.reduced(large), adjustments)
        self.assertAllClose(results.reduced(full).mask, small.mask, atol=0.05)

    def test_words_warn_of_another_plate(self):
        self.assertIn("6.2 % of the photograph", results.words(prediction(80, 80)))
        text = results.words(prediction(80, 80, confidence=0.2))
        self.assertIn("does not seem to belong", text)

    def test_the_archive_opens(self):
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        path = results.write_zip(folder, prediction(60, 80), "#00b140")
        self.assertEqual([file.name for file in folder.iterdir()], ["it.zip"])
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        kinds = ("mask", "cutout", "depth", "depth_colour", "overlay", "replaced")
        for kind in kinds:
            (file,) = folder.glob(f"it_{kind}.*")
            with Image.open(file) as image:
                self.assertEqual(image.size, (80, 60))
        cloud = trimesh.load(folder / "it_points.glb")
        (points,) = cloud.geometry.values()
        self.assertLen(points.vertices, 60 * 80)


if __name__ == "__main__":
    tf.test.main()
