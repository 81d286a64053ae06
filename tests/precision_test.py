"""The dtype policy that follows from the hardware, and XLA."""

from unittest import mock

import keras
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import precision
from keras_depthseg.errors import UserError


class PrecisionTest(tf.test.TestCase, parameterized.TestCase):
    def test_as_asked(self):
        self.assertEqual(precision.resolve_precision("mixed_float16"), "mixed_float16")
        with self.assertRaisesRegex(UserError, "`precision`: received 'float8'"):
            precision.resolve_precision("float8")

    @parameterized.parameters(({"avx512_bf16"}, "mixed_bfloat16"), ({"avx2"}, "float32"))
    def test_auto_on_a_processor(self, features, expected):
        with (
            mock.patch.object(tf.config, "list_physical_devices", return_value=[]),
            mock.patch.object(precision, "processor_features", return_value=features),
        ):
            self.assertEqual(precision.resolve_precision("auto"), expected)

    @parameterized.parameters(
        ({"compute_capability": (8, 0)}, "mixed_bfloat16"),
        ({"compute_capability": (7, 5)}, "float32"),
        ({}, "float32"),
    )
    def test_auto_on_a_gpu(self, details, expected):
        with (
            mock.patch.object(tf.config, "list_physical_devices", return_value=["GPU"]),
            mock.patch.object(
                tf.config.experimental, "get_device_details", return_value=details
            ),
        ):
            self.assertEqual(precision.resolve_precision("auto"), expected)

    def test_xla_only_if_asked_for(self):
        self.assertIs(precision.jit_compile(True), True)
        # On a GPU Keras's "auto" would be XLA.
        self.assertIs(precision.jit_compile(False), False)
        with mock.patch.object(keras.backend, "backend", return_value="jax"):
            self.assertEqual(precision.jit_compile(False), "auto")
