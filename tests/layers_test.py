import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.backend import fused_batch_norm
from keras_depthseg.layers import (
    BatchNormalization,
    BilinearUpsampling2x,
    double_sides,
    portable_batch_norm,
)

UPSAMPLE = {"layer": BilinearUpsampling2x(), "portable": double_sides}


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def _output_and_gradients(function, x, upstream, variables=()):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = function(x)
        loss = tf.reduce_sum(output * upstream)
    return output, tape.gradient(loss, [x, *variables])


class BilinearUpsampling2xTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        path=[*UPSAMPLE],
        shape=[(1, 1, 1, 1), (2, 1, 5, 3), (2, 7, 4, 3)],
    )
    def test_equals_tensorflow_resize_with_its_gradient(self, path, shape):
        batch, height, width, channels = shape
        x = _normal(*shape)
        upstream = _normal(batch, 2 * height, 2 * width, channels, seed=1)
        output, gradients = _output_and_gradients(UPSAMPLE[path], x, upstream)
        expected, expected_gradients = _output_and_gradients(
            lambda x: tf.image.resize(x, (2 * height, 2 * width), "bilinear"),
            x,
            upstream,
        )
        self.assertAllClose(output, expected, atol=1e-5, rtol=0)
        self.assertAllClose(gradients[0], expected_gradients[0], atol=1e-5, rtol=0)

    @parameterized.parameters(*UPSAMPLE)
    def test_sides_unknown_when_traced(self, path):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
        def traced(x):
            return UPSAMPLE[path](x)

        for height, width in ((1, 1), (3, 5)):
            x = _normal(2, height, width, 3)
            expected = tf.image.resize(x, (2 * height, 2 * width), "bilinear")
            self.assertAllClose(traced(x), expected, atol=1e-5, rtol=0)

    def test_shapes_dtype_and_round_trip(self):
        layer = BilinearUpsampling2x(name="up", dtype="mixed_bfloat16")
        self.assertEqual(layer(keras.Input((4, 6, 3))).shape, (None, 8, 12, 3))
        self.assertEqual(layer(keras.Input((None, None, 3))).shape, (None, None, None, 3))
        self.assertEqual(layer(_normal(1, 2, 2, 1)).dtype, layer.compute_dtype)
        revived = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(layer)
        )
        self.assertIs(type(revived), BilinearUpsampling2x)
        self.assertEqual(revived.get_config(), layer.get_config())


class BatchNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.x = 2.0 * _normal(3, 4, 5, 6) + 1.0
        self.upstream = _normal(3, 4, 5, 6, seed=1)

    def _layer(self, cls=BatchNormalization, **kwargs):
        """A layer with no weight at its default."""
        layer = cls(momentum=0.9, epsilon=1e-5, **kwargs)
        layer.build(self.x.shape)
        for i, weight in enumerate(layer.weights):
            random = np.random.default_rng(i)
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        return layer

    def test_equals_keras_in_training_with_its_gradients(self):
        def results(layer):
            variables = [layer.gamma.value, layer.beta.value]
            return _output_and_gradients(
                lambda x: layer(x, training=True), self.x, self.upstream, variables
            )

        output, gradients = results(self._layer())
        expected, expected_gradients = results(
            self._layer(keras.layers.BatchNormalization)
        )
        self.assertAllClose(output, expected, atol=1e-5)
        for gradient, expected_gradient in zip(
            gradients, expected_gradients, strict=True
        ):
            self.assertAllClose(gradient, expected_gradient, atol=1e-4)

    def test_moving_statistics_follow_pytorch(self):
        layer = self._layer()
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        for _ in range(2):
            layer(self.x, training=True)
            pixels = self.x.reshape(-1, 6)
            mean = 0.9 * mean + 0.1 * pixels.mean(axis=0)
            variance = 0.9 * variance + 0.1 * pixels.var(axis=0, ddof=1)
        self.assertAllClose(layer.moving_mean, mean, atol=1e-5)
        self.assertAllClose(layer.moving_variance, variance, atol=1e-5)

    @parameterized.parameters([(3, 4, 5, 6)], [(1, 1, 1, 6)])
    def test_portable_path_equals_the_fused_one(self, shape):
        layer = self._layer()
        x, upstream = _normal(*shape), _normal(*shape, seed=1)
        variables = [layer.gamma.value, layer.beta.value]
        paths = [
            lambda x, n=normalise: n(x, *variables, epsilon=1e-5)
            for normalise in (fused_batch_norm, portable_batch_norm)
        ]
        for a, b in zip(*(path(x) for path in paths), strict=True):
            self.assertAllClose(a, b, atol=1e-5)
        gradients = (
            _output_and_gradients(lambda x, p=path: p(x)[0], x, upstream, variables)[1]
            for path in paths
        )
        for a, b in zip(*gradients, strict=True):
            self.assertAllClose(a, b, atol=1e-3)

    def test_half_precision(self):
        tolerance = 0.05
        layer, full = self._layer(dtype="mixed_bfloat16"), self._layer(dtype="float32")
        output = layer(self.x, training=True)
        expected = full(self.x, training=True)
        self.assertEqual(output.dtype, layer.compute_dtype)
        self.assertAllClose(tf.cast(output, tf.float32), expected, atol=tolerance)
        for weight, expected_weight in zip(layer.weights, full.weights, strict=True):
            self.assertEqual(weight.dtype, "float32")
            self.assertAllClose(weight, expected_weight, atol=tolerance)

    def test_refuses_what_it_would_not_do(self):
        for option in ({"axis": 1}, {"center": False}, {"synchronized": True}):
            with self.assertRaisesRegex(ValueError, "use keras.layers.BatchNorm"):
                BatchNormalization(**option)

    def test_frozen_layer_behaves_as_in_inference(self):
        layer, plain = self._layer(), self._layer(keras.layers.BatchNormalization)
        expected = layer(self.x, training=False)
        self.assertAllClose(expected, plain(self.x), atol=1e-6)
        before = [weight.numpy() for weight in layer.weights]
        layer.trainable = False
        self.assertAllClose(layer(self.x, training=True), expected)
        for weight, value in zip(layer.weights, before, strict=True):
            self.assertAllEqual(weight, value)

    def test_round_trip(self):
        layer = BatchNormalization(momentum=0.7, epsilon=1e-2, name="norm")
        revived = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(layer)
        )
        self.assertIs(type(revived), BatchNormalization)
        self.assertEqual(revived.get_config(), layer.get_config())
        self.assertEqual((revived.momentum, revived.epsilon), (0.7, 1e-2))
