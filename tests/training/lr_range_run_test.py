"""The picture of range tests: what is drawn, and axes that can be read."""

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


class LRRangeFigureTest(tf.test.TestCase):
    def _drawn(self, curves):
        """The figure, and the pixels of the PNG."""
        path = Path(self.enter_context(tempfile.TemporaryDirectory())) / "lr.png"
        with mock.patch.object(
            lr_range_run, "save_figure", wraps=lr_range_run.save_figure
        ) as save:
            lr_range_run.save_lr_range_curves(path, curves)
        with Image.open(path) as image:
            self.assertEqual(image.format, "PNG")
            return save.call_args.args[0], np.asarray(image.convert("RGB"))

    def test_a_panel_a_curve(self):
        one, one_pixels = self._drawn([_curve()])
        five, five_pixels = self._drawn(
            [_curve(end) for end in (5.0, 1.0, 10.0, 2.0, 3.0)]
        )
        self.assertLen(one.axes, 1)
        self.assertEqual(
            [axes.get_title() for axes in five.axes],
            [f"1e-7:{end}:400" for end in (5, 1, 10, 2, 3)],
        )
        self.assertNear(five_pixels.shape[0], 2 * one_pixels.shape[0], 4)
        self.assertNear(five_pixels.shape[1], 3 * one_pixels.shape[1], 4)
        self.assertGreater(np.unique(one_pixels.reshape(-1, 3), axis=0).shape[0], 20)

    def test_values_in_the_legend(self):
        curve = _curve()
        figure, _ = self._drawn([curve])
        texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        self.assertEqual(
            texts,
            [
                "smoothed loss",
                f"lowest 1 at {curve.lowest_at:.2g}",
                f"suggestion {curve.suggestion:.2g}",
            ],
        )

    def test_axes(self):
        for last in (1e12, np.inf, np.nan):
            figure, _ = self._drawn([_curve(last=last)])
            axes = figure.axes[0]
            self.assertEqual(axes.get_xscale(), "log")
            bottom, top = axes.get_ylim()
            self.assertBetween(bottom, 0.8, 1.0)
            self.assertBetween(top, 2.0, 2.5)

    def test_constant_loss(self):
        curve = LRRangeCurve(
            LRRange(1e-3, 1.0, 10),
            np.geomspace(1e-3, 1.0, 10),
            np.full(10, 0.7),
            np.full(10, 0.7),
            diverged=False,
        )
        figure, _ = self._drawn([curve])
        bottom, top = figure.axes[0].get_ylim()
        self.assertLess(bottom, 0.7)
        self.assertGreater(top, 0.7)


if __name__ == "__main__":
    tf.test.main()
