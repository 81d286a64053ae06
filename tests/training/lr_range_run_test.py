"""Range tests as a picture with readable axes, a table and a CSV file."""

import csv
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg.training import lr_range_run
from keras_depthseg.training.lr_range import LRRange, LRRangeCurve


def _curve(end=5.0, last=1e12):
    """Falls from 2 to 1 at a learning rate of 0.1, then explodes."""
    rates = np.geomspace(1e-7, end, 400)
    losses = np.interp(np.log10(rates), [-4, -1], [2.0, 1.0])
    stop = np.searchsorted(rates, 0.1) + 3
    losses = np.append(losses[: stop - 1], last)
    return LRRangeCurve(
        LRRange(1e-7, end, 400), rates[:stop], losses, losses.copy(), diverged=True
    )


class LRRangeFilesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))

    def _drawn(self, curves):
        """The figure, and the pixels of the PNG."""
        path = self.folder / "lr.png"
        with mock.patch.object(
            lr_range_run, "save_figure", wraps=lr_range_run.save_figure
        ) as save:
            lr_range_run.save_lr_range_curves(path, curves)
        with Image.open(path) as image:
            self.assertEqual(image.format, "PNG")
            return save.call_args.args[0], np.asarray(image.convert("RGB"))

    def test_a_panel_a_curve(self):
        curve = _curve()
        one, one_pixels = self._drawn([curve])
        ends = (5, 1, 10, 2, 3)
        five, five_pixels = self._drawn([_curve(float(end)) for end in ends])
        self.assertLen(one.axes, 1)
        self.assertEqual(
            [axes.get_title() for axes in five.axes], [f"1e-7:{end}:400" for end in ends]
        )
        self.assertNear(five_pixels.shape[0], 2 * one_pixels.shape[0], 4)
        self.assertNear(five_pixels.shape[1], 3 * one_pixels.shape[1], 4)
        texts = [text.get_text() for text in one.axes[0].get_legend().get_texts()]
        lowest = f"lowest 1 at {curve.lowest_at:.2g}"
        suggestion = f"suggestion {curve.suggestion:.2g}"
        self.assertEqual(texts, ["smoothed loss", lowest, suggestion])

    def test_axes(self):
        for last in (1e12, np.nan):
            axes = self._drawn([_curve(last=last)])[0].axes[0]
            self.assertEqual(axes.get_xscale(), "log")
            bottom, top = axes.get_ylim()
            self.assertBetween(bottom, 0.8, 1.0)
            self.assertBetween(top, 2.0, 2.5)
        levels, rates = np.full(10, 0.7), np.geomspace(1e-3, 1.0, 10)
        constant = LRRangeCurve(LRRange(1e-3, 1.0, 10), rates, levels, levels, False)
        bottom, top = self._drawn([constant])[0].axes[0].get_ylim()
        self.assertBetween(0.7, bottom, top)

    def test_table(self):
        curve = _curve()
        head, line = lr_range_run.lr_range_table([curve]).splitlines()
        self.assertStartsWith(head.split()[0], "start")
        self.assertEqual(
            line.split(),
            [
                *("1e-07", "5", "400", "1", f"{curve.lowest_at:.2e}"),
                f"{curve.suggestion:.2e}",
                *f"stopped at iteration {len(curve.losses)}".split(),
            ],
        )

    def test_csv(self):
        curves = [_curve(), _curve(1.0)]
        path = self.folder / "lr.csv"
        lr_range_run.write_lr_range_csv(path, curves)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for curve in curves:
            count = len(curve.losses)
            part, rows = rows[:count], rows[count:]
            # To the last bit.
            for column, values in (
                ("iteration", range(1, count + 1)),
                ("start", [curve.lr_range.start] * count),
                ("end", [curve.lr_range.end] * count),
                ("learning_rate", curve.learning_rates),
                ("loss", curve.losses),
                ("smoothed", curve.smoothed),
            ):
                self.assertEqual([float(row[column]) for row in part], list(values))
        self.assertEmpty(rows)
