import re

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import DSResNet, losses
from tests.support import reference


def _images(height=32, width=32):
    shape = (2, height, width, 3)
    return {name: np.zeros(shape, "float32") for name in ("bg", "fg_bg")}


def _targets(height, width):
    shape = (2, height, width, 1)
    return {name: np.zeros(shape, "float32") for name in ("depth", "mask")}


class ErrorsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = DSResNet(width=1)

    def _assert_refused(self, inputs, message):
        for run in (self.model, self.model.predict, self.model.predict_on_batch):
            with self.assertRaisesRegex(ValueError, message):
                run(inputs)

    def test_sides(self):
        images = _images(48, 64)
        self._assert_refused(images, r"multiples of 32\. Received: 48x64\. .* to 64x64\.")
        self._assert_refused(_images(64, 20), r"Received: 64x20\. .* to 64x32\.")

    def test_channels(self):
        images = _images()
        images["fg_bg"] = images["fg_bg"][..., :1]
        self._assert_refused(images, r"'fg_bg' must be a batch of RGB.*, 32, 1\)")
        self._assert_refused(
            {name: image[0] for name, image in _images().items()},
            r"'bg' must be a batch of RGB images.*\(32, 32, 3\)",
        )

    def test_names(self):
        images = _images()
        for inputs, received in (
            ({"bg": images["bg"]}, r"Received: a dict with \['bg'\]"),
            ({**images, "x": images["bg"]}, r"Received: .*'fg_bg', 'x'\]"),
            (images["bg"], "takes a dict|[Pp]ass inputs as a dict"),
        ):
            with self.assertRaisesRegex(ValueError, received):
                self.model.predict(inputs)
            with self.assertRaisesRegex(ValueError, received):
                self.model.predict_on_batch(inputs)
            # Here Keras may be the first to notice, and says which one it misses.
            with self.assertRaisesRegex(ValueError, "fg_bg"):
                self.model(inputs)

    def test_shapes_that_differ(self):
        images = _images(32, 64)
        images["bg"] = images["bg"][:, :, :32]
        self._assert_refused(
            images, re.escape("one shape. Received: (2, 32, 32, 3) and (2, 32, 64, 3)")
        )

    def test_sides_in_fit(self):
        model = DSResNet(width=1)
        model.compile("sgd", run_eagerly=True, **losses.combination("rmse_bce"))
        with self.assertRaisesRegex(ValueError, "multiples of 32. Received: 48x32"):
            model.fit(_images(48, 32), _targets(48, 32), verbose=0)

    @parameterized.parameters(0, -1, 1.5, "16")
    def test_unknown_width(self, width):
        with self.assertRaisesRegex(ValueError, f"positive integer.*{width!r}"):
            DSResNet(width=width)

    def test_unknown_keyword(self):
        with self.assertRaisesRegex(ValueError, r"Received: \['widht'\]"):
            DSResNet(widht=8)

    def test_statistics(self):
        good = reference.NO_NORMALISATION
        for statistics in (
            {"bg": good["bg"]},
            {**good, "bg": {"mean": (0.0, 0.0), "std": (1.0, 1.0, 1.0)}},
            {**good, "bg": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 0.0, 1.0)}},
            {**good, "bg": {"mean": "abc", "std": (1.0, 1.0, 1.0)}},
        ):
            with self.assertRaisesRegex(ValueError, "statistics must be"):
                DSResNet(width=1, statistics=statistics)
