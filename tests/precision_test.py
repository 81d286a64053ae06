"""What the hardware computes in."""

from pathlib import Path
from unittest import mock

import keras
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import precision


class PrecisionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*precision.PRECISIONS[1:])
    def test_as_asked(self, policy):
        self.assertEqual(precision.resolve_precision(policy), policy)

    @parameterized.parameters(
        ("flags: sse2 avx512_bf16 fma", "mixed_bfloat16"),
        ("flags: amx_bf16 sse2", "mixed_bfloat16"),
        ("flags: sse2 avx512f fma", "float32"),
        (OSError("not this system"), "float32"),
    )
    def test_auto_on_a_processor(self, flags, expected):
        effect = flags if isinstance(flags, OSError) else [flags]
        with (
            mock.patch.object(tf.config, "list_physical_devices", return_value=[]),
            mock.patch.object(Path, "read_text", side_effect=effect),
        ):
            self.assertEqual(precision.resolve_precision("auto"), expected)

    @parameterized.parameters(
        ({"compute_capability": (8, 0)}, "mixed_bfloat16"),
        ({"compute_capability": (9, 0)}, "mixed_bfloat16"),
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


if __name__ == "__main__":
    tf.test.main()
