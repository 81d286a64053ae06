"""SiameseNet: what it computes, and what it is saved as."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.losses import combination
from keras_depthseg.networks.initialisation import start_as_difference
from keras_depthseg.networks.siamese import SiameseNet


def images(shape=(2, 64, 96, 3), seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, 256, shape, np.uint8) for name in ("bg", "fg_bg")}


class SiameseNetTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        keras.utils.set_random_seed(0)

    @parameterized.product(matching=(False, True), plate_depth=(False, True))
    def test_maps_of_any_size(self, matching, plate_depth):
        model = SiameseNet(2, matching=matching, plate_depth=plate_depth)
        for shape in ((2, 64, 96, 3), (1, 32, 32, 3)):
            maps = model.predict_on_batch(images(shape))
            self.assertEqual(set(maps), {"mask", "depth"})
            for value in maps.values():
                self.assertEqual(value.shape, (*shape[:3], 1))
                self.assertEqual(value.dtype, np.float32)
                self.assertAllInRange(value, 0, 1)

    def test_saved_and_loaded(self):
        model = SiameseNet(2, matching=True, resolution=96, dtype="mixed_bfloat16")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            loaded = keras.saving.load_model(path)
        self.assertEqual(loaded.get_config(), model.get_config())
        pair = images()
        for name, value in model.predict_on_batch(pair).items():
            self.assertAllEqual(loaded.predict_on_batch(pair)[name], value)

    def test_depth_is_the_plates_where_nothing_is_in_front(self):
        model = SiameseNet(2)
        head = model.get_layer("mask")
        kernel, bias = head.get_weights()
        depths = []
        for logit in (-100.0, 100.0):
            head.set_weights([0 * kernel, bias + logit])
            pairs = images(), images(seed=1)
            pairs[1]["bg"] = pairs[0]["bg"]
            depths.append([model.predict_on_batch(pair)["depth"] for pair in pairs])
        (one, other), (near, other_near) = depths
        self.assertAllEqual(one, other)
        self.assertNotAllClose(near, other_near)
        self.assertNotAllClose(near, one)

    def test_foreground_depth_is_smooth(self):
        model = SiameseNet(2)
        head = model.get_layer("mask")
        kernel, bias = head.get_weights()
        head.set_weights([0 * kernel, bias + 100])
        depth = model.predict_on_batch(images())["depth"][0, :, :, 0].astype(np.float64)
        logits = np.log(depth / (1 - depth))
        # It is drawn at an eighth of the sides: no pattern of pixels can be in it.
        steps = np.abs(np.diff(logits, axis=1))
        self.assertLess(steps.max(), 0.25 * np.ptp(logits))

    def test_equal_pictures_start_without_a_difference(self):
        model = SiameseNet(2, matching=True)
        start_as_difference(model)
        names = ["mask_decoder1_squeeze_skips", "mask_decoder2_squeeze_skips"]
        layers = keras.Model(
            model.inputs, {name: model.get_layer(name).output for name in names}
        )
        pair = {name: image.astype("float32") for name, image in images().items()}
        different = layers(pair)
        equal = layers({name: pair["bg"] for name in pair})
        for name in names:
            self.assertAllClose(equal[name], tf.zeros_like(equal[name]), atol=1e-5)
            self.assertGreater(np.std(different[name]), 1e-2)

    def test_no_gradient_of_depth_reaches_the_head_of_the_mask(self):
        model = SiameseNet(2)
        options = combination("outline")
        rng = np.random.default_rng(0)
        true = rng.uniform(0.1, 1, (2, 64, 96, 1)).astype("float32")
        with tf.GradientTape() as tape:
            loss = options["loss"]["depth"](true, model(images())["depth"])
        head = model.get_layer("mask").kernel.value
        self.assertIsNone(tape.gradient(loss, head))

    def test_wrong_arguments(self):
        with self.assertRaisesRegex(ValueError, "widht"):
            SiameseNet(widht=8)
        with self.assertRaisesRegex(ValueError, "width must be"):
            SiameseNet(0)
        with self.assertRaisesRegex(ValueError, "multiples of 32"):
            SiameseNet(2).predict_on_batch(images((1, 32, 40, 3)))


if __name__ == "__main__":
    tf.test.main()
