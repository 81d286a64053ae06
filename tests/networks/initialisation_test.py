"""Outputs of an untrained network that begins with the difference."""

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg import DSResNet
from keras_depthseg.model import INPUTS, ORIGINAL_STATISTICS
from keras_depthseg.networks.initialisation import start_as_difference

SQUEEZES = [f"mask_decoder{level}_squeeze_skips" for level in (1, 2)]


def _pair(model, equal, names):
    """What layers give for two pictures, equal or not: a dict of arrays (1, H, W, C)."""
    random = np.random.default_rng(0)
    bg, fg_bg = random.integers(0, 256, (2, 1, 32, 32, 3)).astype("float32")
    layers = keras.Model(
        model.inputs, {name: model.get_layer(name).output for name in names}
    )
    outputs = layers({"bg": bg, "fg_bg": bg if equal else fg_bg}, training=True)
    return {name: value.numpy() for name, value in outputs.items()}


class StartAsDifferenceTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(0)
        # Branches are normalised alike, so that equal pictures remain equal.
        alike = {branch: ORIGINAL_STATISTICS["bg"] for branch in INPUTS}
        cls.model = DSResNet(width=4, statistics=alike)
        cls.drawn = {v.path: v.numpy() for v in cls.model.variables}
        start_as_difference(cls.model)
        cls.started = {v.path: v.numpy() for v in cls.model.variables}

    def test_equal_pictures_give_nothing(self):
        outputs = _pair(self.model, True, ["merge", *SQUEEZES])
        self.assertAllClose(outputs["merge"][..., :4], np.zeros((1, 8, 8, 4)), atol=1e-6)
        for name in SQUEEZES:
            self.assertAllClose(outputs[name], np.zeros_like(outputs[name]), atol=1e-6)

    def test_different_pictures_give_what_a_subtraction_gives(self):
        names = ["fg_bg_encoder1_add", "bg_encoder1_add", "mask_decoder1_squeeze_skips"]
        outputs = _pair(self.model, False, names)
        picture, plate, squeezed = (outputs[name] for name in names)
        kernel = self.drawn[f"{names[2]}/kernel"][0, 0, 4:]
        self.assertAllClose(squeezed, (picture - plate) @ kernel, atol=1e-5)
        self.assertGreater(np.std(squeezed), 1e-2)

    def test_other_weights_stay_as_drawn(self):
        now = self.started
        changed = {p for p in now if not np.array_equal(now[p], self.drawn[p])}
        of_picture = {
            v.path
            for layer in self.model.layers
            for v in layer.variables
            if layer.name.startswith("fg_bg_encoder") and v.path.endswith("kernel")
        }
        joins = {f"{name}/kernel" for name in ("merge", *SQUEEZES)}
        self.assertEqual(changed, of_picture | joins)
        for path in joins:
            # The second half of the inputs, that of the picture, is as it was drawn.
            half = self.drawn[path].shape[2] // 2
            self.assertAllEqual(now[path][:, :, half:], self.drawn[path][:, :, half:])
        # Half of what the shared encoder gets is not the difference.
        merge = "merge/kernel"
        self.assertAllEqual(now[merge][..., 4:], self.drawn[merge][..., 4:])
