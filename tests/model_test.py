import functools
import inspect
import os
import re

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import DSResNet, losses
from keras_depthseg.networks.original_weights import load_original_weights
from tests.support import reference


def _images(height=32, width=32, batch=2, seed=0):
    """A pair of batches in 0..255, whole numbers."""
    random = np.random.default_rng(seed)
    return {
        name: random.integers(0, 256, (batch, height, width, 3)).astype("float32")
        for name in ("bg", "fg_bg")
    }


def _targets(height=32, width=32, batch=2):
    random = np.random.default_rng(9)
    return {
        name: random.uniform(size=(batch, height, width, 1)).astype("float32")
        for name in ("depth", "mask")
    }


def _model(**arguments):
    """A small model with no weight at its default."""
    model = DSResNet(**{"width": 2, **arguments})
    load_original_weights(model, reference.state_dict(width=model.width))
    return model


@functools.cache
def _shared_model():
    """One for all tests that leave it as it was; tracing takes longer than they do."""
    return _model()


class ReferenceTest(tf.test.TestCase):
    """Against the original network, with the same weights."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = DSResNet(statistics=reference.NO_NORMALISATION)

    def setUp(self):
        super().setUp()
        self.arrays = reference.arrays()
        load_original_weights(self.model, reference.state_dict())

    def _inputs(self, suffix=""):
        return {name: self.arrays[name + suffix] for name in ("bg", "fg_bg")}

    def test_number_of_parameters(self):
        sizes = [np.prod(v.shape) for v in self.model.trainable_variables]
        self.assertEqual(sum(sizes), 10_343_490)

    def test_head_outputs(self):
        for suffix in ("", "_rect"):
            logits = self.model(self._inputs(suffix))
            for name in ("depth", "mask"):
                expected = self.arrays[f"{name}_logits{suffix}"]
                self.assertAllClose(logits[name], expected, atol=1e-4, rtol=0)

    def test_five_training_steps(self):
        self.model.compile(
            keras.optimizers.SGD(0.001, momentum=0.9),
            **losses.combination("rmse_bce_dice"),
        )
        targets = {name: self.arrays[name] for name in ("depth", "mask")}
        history = self.model.fit(
            self._inputs(), targets, batch_size=2, epochs=5, shuffle=False, verbose=0
        )
        expected = reference.numbers()["sgd_lr0.001_momentum0.9_losses"]
        self.assertAllClose(history.history["loss"], expected, rtol=0.005, atol=0)

        # The same model trains at another size, as in a resolution schedule.
        images, targets = _images(32, 96, batch=1), _targets(32, 96, batch=1)
        history = self.model.fit(images, targets, verbose=0)
        self.assertTrue(np.isfinite(history.history["loss"][0]))


class SerialisationTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.statistics = {
            name: {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, std)}
            for name, std in (("bg", 0.6), ("fg_bg", 0.7))
        }
        self.model = _model(
            statistics=self.statistics,
            resolution=96,
            dtype="mixed_bfloat16",
            name="other",
        )

    def _assert_same(self, other, from_config=False):
        self.assertIs(type(other), DSResNet)
        self.assertEqual(other.to_json(), self.model.to_json())
        self.assertEqual(other.statistics, self.statistics)
        self.assertEqual(other.resolution, 96)
        policies = [layer.dtype_policy.name for layer in self.model.layers]
        self.assertEqual([layer.dtype_policy.name for layer in other.layers], policies)
        if from_config:
            other.set_weights(self.model.get_weights())
        expected = self.model(_images())
        for name, logits in other(_images()).items():
            self.assertAllEqual(logits, expected[name])

    def test_config_holds_every_argument_and_revives(self):
        arguments = set(inspect.signature(DSResNet.__init__).parameters)
        config = self.model.get_config()
        self.assertEqual(set(config), arguments - {"self", "kwargs"})
        self._assert_same(keras.models.model_from_json(self.model.to_json()), True)

    def test_saved_model_is_loaded_in_safe_mode(self):
        path = os.path.join(self.get_temp_dir(), "model.keras")
        self.model.save(path)
        self._assert_same(keras.saving.load_model(path, safe_mode=True))


class ExportTest(tf.test.TestCase):
    def test_saved_model_gives_the_maps_of_predict_at_any_size(self):
        model = _shared_model()
        path = os.path.join(self.get_temp_dir(), "exported")
        model.export(path, verbose=False)
        exported = tf.saved_model.load(path)
        images = _images()
        expected = model.predict(images, verbose=0)
        maps = exported.serve(images)
        self.assertEqual(set(maps), {"depth", "mask"})
        for name, array in expected.items():
            self.assertGreater(np.ptp(array), 0.01)
            self.assertAllClose(maps[name], array, atol=1e-5)
        # The model itself still gives logits.
        images = _images(64, 96)
        logits, maps = model(images), exported.serve(images)
        for name in ("depth", "mask"):
            self.assertAllClose(maps[name], tf.sigmoid(logits[name]), atol=1e-5)


class RangesTest(tf.test.TestCase, parameterized.TestCase):
    def test_predict_gives_the_sigmoid_of_the_logits(self):
        model = _shared_model()
        self.addCleanup(model.set_weights, model.get_weights())
        for bias in (0.0, 400.0):
            model.get_layer("mask").bias.assign([bias])
            model.get_layer("depth").bias.assign([-bias])
            logits = model(_images())
            maps = model.predict(_images(), verbose=0)
            on_batch = model.predict_on_batch(_images())
            for name in ("depth", "mask"):
                expected = tf.sigmoid(logits[name])
                self.assertAllClose(maps[name], expected, atol=1e-6)
                self.assertAllClose(on_batch[name], expected, atol=1e-6)
                self.assertTrue((maps[name] >= 0).all() and (maps[name] <= 1).all())

    def test_normalisation_is_that_of_each_branch(self):
        statistics = {
            "bg": {"mean": (0.2, 0.4, 0.6), "std": (0.1, 0.2, 0.3)},
            "fg_bg": {"mean": (0.1, 0.3, 0.5), "std": (0.4, 0.5, 0.6)},
        }
        model = DSResNet(width=1, statistics=statistics)
        image = _images()["bg"]
        for name, values in statistics.items():
            expected = (image / 255 - values["mean"]) / values["std"]
            normalised = model.get_layer(f"{name}_normalization")(image)
            self.assertAllClose(normalised, expected, atol=1e-5)

    @parameterized.parameters(("mixed_float16", "argument"), ("mixed_bfloat16", "global"))
    def test_policies(self, policy, scope):
        if scope == "global":
            self.addCleanup(keras.config.set_dtype_policy, keras.config.dtype_policy())
            keras.config.set_dtype_policy(policy)
            model = _model()
        else:
            model = _model(dtype=policy)
        compute_dtype = keras.DTypePolicy(policy).compute_dtype
        float32 = {"bg_normalization", "fg_bg_normalization", "depth", "mask"}
        seen = {}
        for layer in model.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            self._record(layer, seen)
            expected = "float32" if layer.name in float32 else compute_dtype
            self.assertEqual(layer.compute_dtype, expected, layer.name)
            for weight in layer.weights:
                self.assertEqual(weight.dtype, "float32", weight.path)
        # 200.3 in bfloat16 is 200; in float16 200.25.
        images = {name: np.full((1, 32, 32, 3), 200.3, "float32") for name in _images()}
        for logits in model(images).values():
            self.assertEqual(logits.dtype, "float32")
        for name in ("bg_normalization", "fg_bg_normalization"):
            inputs, outputs = seen[name]
            self.assertEqual(inputs.dtype, "float32")
            self.assertEqual(outputs.dtype, "float32")
            self.assertAllEqual(inputs, images["bg"])
        self.assertEqual(seen["encoder4_norm1"][1].dtype, compute_dtype)
        full = _shared_model()(_images())
        for name, logits in model(_images()).items():
            difference = tf.sigmoid(logits) - tf.sigmoid(full[name])
            self.assertLess(np.abs(difference).mean(), 0.02)

    def _record(self, layer, seen):
        call = layer.call

        def recording(inputs, *args, **kwargs):
            outputs = call(inputs, *args, **kwargs)
            if tf.executing_eagerly():
                seen[layer.name] = inputs, outputs
            return outputs

        layer.call = recording


class ErrorsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = DSResNet(width=1)

    def _assert_refused(self, inputs, message):
        for run in (self.model, self.model.predict, self.model.predict_on_batch):
            with self.assertRaisesRegex(ValueError, message):
                run(inputs)

    def test_shapes(self):
        self._assert_refused(
            _images(48, 64), r"multiples of 32\. Received: 48x64\. .* to 64x64\."
        )
        images = _images()
        images["fg_bg"] = images["fg_bg"][..., :1]
        self._assert_refused(images, r"'fg_bg' must be a batch of RGB.*, 32, 1\)")
        images = _images(32, 64)
        images["bg"] = images["bg"][:, :, :32]
        self._assert_refused(
            images, re.escape("one shape. Received: (2, 32, 32, 3) and (2, 32, 64, 3)")
        )

    def test_names(self):
        images = _images()
        for inputs, received in (
            ({"bg": images["bg"]}, r"Received: a dict with \['bg'\]"),
            ({**images, "x": images["bg"]}, r"Received: .*'fg_bg', 'x'\]"),
            (images["bg"], "takes a dict|[Pp]ass inputs as a dict"),
        ):
            with self.assertRaisesRegex(ValueError, received):
                self.model.predict_on_batch(inputs)
            # Here Keras may be the first to notice, and says which one it misses.
            with self.assertRaisesRegex(ValueError, "fg_bg"):
                self.model(inputs)

    @parameterized.parameters(
        ({"width": 0}, "positive integer.*0"),
        ({"width": "16"}, "positive integer.*'16'"),
        ({"widht": 8}, r"Received: \['widht'\]"),
    )
    def test_arguments(self, arguments, message):
        with self.assertRaisesRegex(ValueError, message):
            DSResNet(**arguments)

    def test_statistics(self):
        good = reference.NO_NORMALISATION
        for statistics in (
            {"bg": good["bg"]},
            {**good, "bg": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 0.0, 1.0)}},
            {**good, "bg": {"mean": "abc", "std": (1.0, 1.0, 1.0)}},
        ):
            with self.assertRaisesRegex(ValueError, "statistics must be"):
                DSResNet(width=1, statistics=statistics)
