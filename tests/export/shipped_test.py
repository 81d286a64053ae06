"""The shipped weights, exported in each format and precision."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.export.export import export
from keras_depthseg.export.options import PRECISIONS, SUFFIXES, ExportOptions
from keras_depthseg.inference.network import open_network
from keras_depthseg.networks.loading import load_pretrained

pytestmark = pytest.mark.long

EVERY = [
    (format, precision)
    for format, precisions in PRECISIONS.items()
    for precision in precisions
]


class ShippedTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*EVERY)
    def test_small(self, format, precision):
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        path = folder / f"small{SUFFIXES[format]}"
        exported = export(
            ExportOptions("small", format, path, precision=precision, samples=8)
        )
        parity = exported.parity
        keras_iou, iou = parity.scores["mask_hard_iou"]
        self.assertGreater(keras_iou, 0.9)
        self.assertNear(iou, keras_iou, 0.01)
        if precision != "int8":
            limit = {"float32": 1e-4, "float16": 2e-2}[precision]
            self.assertLess(max(parity.largest.values()), limit)
        # Opened anew, on a pair that the export did not see.
        images = np.random.default_rng(0).integers(0, 256, (2, 1, 96, 160, 3))
        bg, fg_bg = images.astype("float32")
        network = open_network(path)
        found = network.predict(fg_bg, network.features(bg))
        expected = load_pretrained("small").predict_on_batch({"bg": bg, "fg_bg": fg_bg})
        difference = np.abs(found["mask"] - expected["mask"][..., 0]).mean()
        self.assertLess(difference, 0.05 if precision == "int8" else 1e-2)


if __name__ == "__main__":
    tf.test.main()
