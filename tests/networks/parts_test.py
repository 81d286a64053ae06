"""A network in two parts gives what the whole gives."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.model import DSResNet
from keras_depthseg.networks.parts import split
from keras_depthseg.networks.siamese import SiameseNet
from tests.support.plain_network import plain_network


class SplitTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        keras.utils.set_random_seed(0)
        rng = np.random.default_rng(0)
        self.images = {
            name: rng.uniform(0, 255, (2, 32, 64, 3)).astype("float32")
            for name in ("bg", "fg_bg")
        }

    def maps(self, parts):
        features = parts.plate.predict_on_batch(self.images["bg"])
        inputs = [self.images["fg_bg"], *features]
        return parts.maps.predict_on_batch(inputs), parts.mask.predict_on_batch(inputs)

    @parameterized.product(
        network=(DSResNet, SiameseNet), policy=("float32", "mixed_bfloat16")
    )
    def test_equals_the_whole_in_float32(self, network, policy):
        model = network(width=2, dtype=policy)
        whole = network(width=2, dtype="float32")
        whole.set_weights(model.get_weights())
        expected = whole.predict_on_batch(self.images)
        maps, mask = self.maps(split(model))
        for name in ("mask", "depth"):
            self.assertAllClose(maps[name], expected[name], atol=1e-6)
        self.assertEqual(set(mask), {"mask"})
        self.assertAllClose(mask["mask"], expected["mask"], atol=1e-6)

    def test_plate_part_sees_only_the_plate(self):
        parts = split(DSResNet(width=2))
        self.assertEqual([tensor.name for tensor in parts.plate.inputs], ["bg"])
        names = [layer.name for layer in parts.maps.layers]
        self.assertFalse([name for name in names if name.startswith("bg_")])
        self.assertFalse(
            [layer.name for layer in parts.mask.layers if "depth" in layer.name]
        )

    def test_depth_of_the_plate_is_of_the_plate_part(self):
        parts = split(SiameseNet(width=2))
        self.assertIn("far", [layer.name for layer in parts.plate.layers])
        for part in (parts.maps, parts.mask):
            names = [layer.name for layer in part.layers]
            self.assertFalse([name for name in names if name.startswith("plate_enc")])
        self.assertNotIn("near", [layer.name for layer in parts.mask.layers])

    def test_network_of_operations(self):
        model = plain_network()
        logits = model.predict_on_batch(self.images)
        maps, _ = self.maps(split(model))
        for name, value in maps.items():
            self.assertAllClose(value, 1 / (1 + np.exp(-logits[name])), atol=1e-6)
