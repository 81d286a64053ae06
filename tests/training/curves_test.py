"""Curves of a run: the plotted lines against the values, as SVG and as PNG."""

import math
import re
import tempfile
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.training.curves import curves_svg, save_curves
from tests.support.run_history import HISTORY


class SVGTest(tf.test.TestCase, parameterized.TestCase):
    """Compares plotted points with values: a straight line maps one to the other."""

    def _plots(self, history):
        svg = curves_svg(history)
        root = xml.etree.ElementTree.fromstring(
            f'<all xmlns="http://www.w3.org/2000/svg">{svg}</all>'
        )
        return {plot.get("aria-label").removesuffix(" by epoch"): plot for plot in root}

    def _points(self, plot, name):
        """(N, 2) coordinates of a curve."""
        for path in plot.iter("{http://www.w3.org/2000/svg}path"):
            style = path.get("style", "")
            if "fill: none" in style and f"--{name}" in style and path.get("clip-path"):
                numbers = re.findall(r"-?\d+(?:\.\d+)?", path.get("d"))
                return np.array(numbers, dtype=np.float64).reshape(-1, 2)
        return None

    def _texts(self, plot):
        return [x.text for x in plot.iter("{http://www.w3.org/2000/svg}text")]

    def _assert_straight(self, x, y, sign):
        slope, offset = np.polyfit(x, y, 1)
        self.assertEqual(np.sign(slope), sign)
        self.assertAllClose(np.polyval((slope, offset), x), y, rtol=0, atol=1e-3)

    def test_curves_are_the_values(self):
        plots = self._plots(HISTORY)
        self.assertEqual(
            list(plots),
            [
                *("loss", "mask hard IoU", "mask soft IoU", "depth RMSE"),
                *("learning rate", "seconds a step"),
            ],
        )
        for title, name, form in (
            ("loss", "loss", np.asarray),
            ("mask hard IoU", "mask_hard_iou", np.asarray),
            ("learning rate", "learning_rate", np.log),
            ("seconds a step", "step_seconds", np.asarray),
        ):
            points = self._points(plots[title], "train")
            self._assert_straight(np.arange(5), points[:, 0], 1)
            # Down is positive in a picture.
            self._assert_straight(form(HISTORY[name]), points[:, 1], -1)

    def test_validation_has_gaps_and_the_same_axes(self):
        plot = self._plots(HISTORY)["loss"]
        train, val = (self._points(plot, name) for name in ("train", "val"))
        self.assertAllClose(val[:, 0], train[[0, 1, 4], 0], atol=1e-3)
        self._assert_straight(
            np.concatenate([HISTORY["loss"], [1.75, 1.5, 0.625]]),
            np.concatenate([train[:, 1], val[:, 1]]),
            -1,
        )
        self.assertContainsSubset(["train", "val"], self._texts(plot))
        self.assertIsNone(self._points(self._plots(HISTORY)["depth RMSE"], "val"))

    def test_phases(self):
        plot = self._plots(HISTORY)["loss"]
        self.assertContainsSubset(["64 px", "96 px"], self._texts(plot))
        columns = self._points(plot, "train")[:, 0]
        shades = [
            path
            for path in plot.iter("{http://www.w3.org/2000/svg}path")
            if "fill: var(--line" in path.get("style", "")
        ]
        self.assertLen(shades, 1)
        edges = re.findall(r"[ML] (\S+)", shades[0].get("d"))
        left = (columns[2] + columns[3]) / 2
        right = columns[4] + (columns[4] - columns[3]) / 2
        self.assertAllClose(min(map(float, edges)), left, atol=1e-3)
        self.assertAllClose(max(map(float, edges)), right, atol=1e-3)

    @parameterized.parameters(
        ({},),
        ({"loss": [math.nan, math.inf, None]},),
    )
    def test_nothing_to_draw(self, history):
        self.assertEqual(curves_svg(history), "")

    @parameterized.parameters(
        ({"loss": [0.0, 0.0], "learning_rate": [0.0, 0.0]},),
        ({"loss": [1.0, math.inf, -math.inf, 1e30], "val_loss": [math.nan] * 4},),
        ({"learning_rate": [1e-3, None, 0.0]},),
        ({"val_loss": [2.0, 1.0], "resolution": [None, 64]},),
        ({"epoch": [4, None], "loss": [2.0, 1.0]},),
    )
    def test_odd_histories_are_drawn(self, history):
        plots = self._plots(history)
        self.assertNotEmpty(plots)
        for plot in plots.values():
            self.assertNotIn("nan", " ".join(x.get("d", "") for x in plot.iter()))

    def test_axes_have_numbers(self):
        plots = self._plots({"loss": [1.0], "resolution": [64]})
        self.assertEqual(self._texts(plots["loss"])[0], "1")
        for rates in ([1e-3, 7e-4], [2e-3, 2e-3], [1e-1, 1e-6]):
            plots = self._plots({"learning_rate": rates})
            texts = self._texts(plots["learning rate"])
            numbers = [x for x in texts if re.fullmatch(r"0\.\d+|\de−\d+", x)]
            self.assertGreaterEqual(len(numbers), 2, texts)


class PNGTest(tf.test.TestCase):
    def _shape(self, history):
        path = Path(self.enter_context(tempfile.TemporaryDirectory())) / "curves.png"
        save_curves(path, history)
        with Image.open(path) as image:
            self.assertEqual(image.format, "PNG")
            colours = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
        self.assertGreater(len(colours), 20)
        return image.size

    def test_a_plot_for_each_quantity(self):
        width, height = self._shape({"loss": [1.0], "resolution": [96]})
        self.assertEqual(self._shape(HISTORY), (4 * width, height))
