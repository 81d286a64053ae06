"""Prediction grids and curves: shapes, contents, and files that are PNGs."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg import figures

SIDE = 32


def _samples(count=3):
    random = np.random.default_rng(0)
    inputs = {
        name: random.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
        for name in ("bg", "fg_bg")
    }
    labels, predictions = (
        {
            name: random.uniform(size=(count, SIDE, SIDE, 1)).astype("float32")
            for name in ("mask", "depth")
        }
        for _ in range(2)
    )
    return inputs, labels, predictions


def _cell(grid, row, column):
    side = SIDE + 2
    cell = grid[row * side : (row + 1) * side, column * side : (column + 1) * side]
    return cell[1:-1, 1:-1]


class PredictionGridTest(tf.test.TestCase):
    def test_a_row_a_sample(self):
        inputs, labels, predictions = _samples()
        grid = figures.prediction_grid(inputs, labels, predictions)
        self.assertEqual(grid.dtype, np.uint8)
        self.assertEqual(grid.shape, (3 * (SIDE + 2), 8 * (SIDE + 2), 3))
        for row in range(3):
            for column, name in enumerate(("bg", "fg_bg")):
                self.assertAllEqual(_cell(grid, row, column), inputs[name][row])
            for column, maps in ((2, labels), (3, predictions)):
                expected = np.round(maps["mask"][row] * 255).repeat(3, -1)
                self.assertAllEqual(_cell(grid, row, column), expected)

    def test_depth_has_one_scale_a_row(self):
        inputs, labels, _ = _samples(2)
        depth = np.linspace(0.2, 0.4, SIDE**2, dtype="float32").reshape(1, SIDE, SIDE, 1)
        labels["depth"] = np.concatenate([depth, 2 * depth])
        predictions = {**labels, "depth": labels["depth"][::-1]}
        grid = figures.prediction_grid(inputs, labels, predictions)
        # Scaled by its own truth, every row's truth looks the same …
        self.assertAllClose(
            _cell(grid, 0, 5).astype(int), _cell(grid, 1, 5).astype(int), atol=2
        )
        # … and a prediction of twice the depth is beyond its end.
        self.assertLen(np.unique(_cell(grid, 0, 6).reshape(-1, 3), axis=0), 1)
        self.assertGreater(_cell(grid, 0, 5)[0, 0].sum(), _cell(grid, 0, 5)[-1, -1].sum())

    def test_depth_error(self):
        inputs, labels, predictions = _samples(1)
        depth = np.linspace(0.2, 0.6, SIDE**2, dtype="float32").reshape(1, SIDE, SIDE, 1)
        labels["depth"] = depth
        # An eighth of the range, 0.4, is half the way to full colour.
        for error, channel, low, high in ((0.05, 0, 124, 134), (-0.2, 2, 255, 255)):
            predictions["depth"] = depth + np.float32(error)
            cell = _cell(figures.prediction_grid(inputs, labels, predictions), 0, 7)
            self.assertAllInRange(cell[..., channel].astype(int), low, high)
            self.assertLess(cell[..., 2 - channel].max(), low)

    def test_mask_error(self):
        inputs, labels, predictions = _samples(1)
        grid = figures.prediction_grid(inputs, labels, predictions)
        error = (predictions["mask"] - labels["mask"])[0, ..., 0]
        red, green, blue = np.moveaxis(_cell(grid, 0, 4).astype(int), -1, 0)
        # Red where too much is foreground, blue where too little, by amount.
        self.assertAllClose(red[error > 0], 255 * error[error > 0], atol=0.51)
        self.assertAllClose(blue[error < 0], -255 * error[error < 0], atol=0.51)
        large = np.abs(error) > 0.01
        self.assertAllEqual((red > blue)[large], (error > 0)[large])
        right = np.abs(error) < 1e-3
        self.assertAllEqual((red + green + blue)[right], np.zeros(right.sum()))

    def test_unknown_depth(self):
        inputs, labels, predictions = _samples(2)
        labels["depth"][0, :5] = 0.0
        labels["depth"][1] = 0.0
        grid = figures.prediction_grid(inputs, labels, predictions)
        for column in (5, 7):
            self.assertAllEqual(np.unique(_cell(grid, 0, column)[:5]), [128])
            self.assertGreater(np.ptp(_cell(grid, 0, column)[5:]), 100)
            self.assertAllEqual(np.unique(_cell(grid, 1, column)), [128])
        # Zeros do not set the scale: with others in their place it is the same.
        labels["depth"][0, :5] = labels["depth"][0, 5:10]
        other = figures.prediction_grid(inputs, labels, predictions)
        self.assertAllClose(
            _cell(grid, 0, 5)[5:].astype(int), _cell(other, 0, 5)[5:].astype(int), atol=8
        )

    def test_without_labels(self):
        inputs, _, predictions = _samples()
        grid = figures.prediction_grid(inputs, None, predictions)
        self.assertEqual(grid.shape, (3 * (SIDE + 2), 4 * (SIDE + 2), 3))
        expected = np.round(predictions["mask"][0] * 255).repeat(3, -1)
        self.assertAllEqual(_cell(grid, 0, 2), expected)

    def test_predictions_of_a_diverged_model(self):
        inputs, labels, predictions = _samples(1)
        nothing = {name: np.full_like(x, np.nan) for name, x in predictions.items()}
        grid = figures.prediction_grid(inputs, labels, nothing)
        for column in (3, 6):
            self.assertAllEqual(np.unique(_cell(grid, 0, column)), [0])
        for column in (4, 7):
            self.assertAllEqual(np.unique(_cell(grid, 0, column)), [128])


class PredictionFigureTest(tf.test.TestCase):
    def test_is_a_picture_of_the_samples(self):
        path = Path(self.enter_context(tempfile.TemporaryDirectory())) / "figure.png"
        figures.save_prediction_figure(path, *_samples())
        with Image.open(path) as image:
            self.assertEqual(image.format, "PNG")
            pixels = np.asarray(image.convert("RGB"))
        self.assertGreater(pixels.shape[0], 3 * SIDE)
        self.assertGreater(pixels.shape[1], 8 * SIDE)
        self.assertGreater(np.unique(pixels.reshape(-1, 3), axis=0).shape[0], 20)
