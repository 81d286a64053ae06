"""What the hardware computes in."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from keras_depthseg.errors import UserError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def resolve_precision(precision: str) -> str:
    """The dtype policy for a value of `--precision`.

    Raises:
        UserError: if it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f"unknown precision: received {precision!r}; accepted are "
            f"{', '.join(PRECISIONS)}."
        )
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _computes_in_bfloat16() else "float32"


def _computes_in_bfloat16() -> bool:
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        # NVIDIA's from compute capability 8.0 (Ampere).
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    # Without the instructions bfloat16 is emulated, several times slower than float32.
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def jit_compile(xla: bool) -> bool | str:
    """What `keras.Model.compile` takes: under TensorFlow, XLA only if it is asked for.

    Keras's own choice there would be XLA on a GPU, and none on the processor; other
    backends compile in their own way.
    """
    return xla if keras.backend.backend() == "tensorflow" else "auto"


def check_xla(policy: str) -> None:
    """Looks whether XLA compiles a training step of this dtype policy here.

    Raises:
        UserError: if it does not, or without being told.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UserError(
            f"--xla is for Keras's TensorFlow backend: received with {backend}, which "
            "compiles in its own way; leave --xla out."
        )
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if policy != "float32" and not on_gpu:
        raise UserError(
            "XLA on the processor does not compile mixed types (TensorFlow 2.21): "
            f"received --xla with {policy}; leave --xla out, or choose --precision "
            "float32."
        )
