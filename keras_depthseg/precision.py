"""The dtype policy of a training run, and whether XLA compiles it."""

from __future__ import annotations

from typing import Literal, get_args

from keras_depthseg.errors import UserError
from keras_depthseg.processor import has_bfloat16, processor_features

# TensorFlow and Keras are imported in the functions: the command line needs the names
# of the precisions before it spends seconds on them.

Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)


def resolve_precision(precision: str) -> str:
    """Return the dtype policy for a precision.

    Args:
        precision: one of `PRECISIONS`; `auto` is `mixed_bfloat16` where the GPU or else
            the processor computes in it, and else `float32`.

    Raises:
        UserError: if it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f"`precision`: received {precision!r}; accepted are {', '.join(PRECISIONS)}."
        )
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _computes_in_bfloat16() else "float32"


def _computes_in_bfloat16() -> bool:
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        # NVIDIA's from compute capability 8.0 (Ampere).
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    return has_bfloat16(processor_features())


def jit_compile(xla: bool) -> bool | str:
    """Return the argument of `keras.Model.compile`: XLA only where `xla` asks for it.

    Keras's own choice under TensorFlow would be XLA on a GPU and none on the processor;
    other backends compile in their own way.
    """
    from keras_depthseg.backend import backend_name

    return xla if backend_name() == "tensorflow" else "auto"


def check_xla(policy: str) -> None:
    """Refuse XLA where it does not compile a training step of this dtype policy.

    Args:
        policy: see `resolve_precision`.

    Raises:
        UserError: if the backend or the hardware does not.
    """
    import tensorflow as tf

    from keras_depthseg.backend import backend_name

    backend = backend_name()
    if backend != "tensorflow":
        raise UserError(
            f"`xla` is for Keras's TensorFlow backend: received with {backend}, which "
            "compiles in its own way; leave `xla` out."
        )
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    if policy != "float32" and not on_gpu:
        raise UserError(
            "XLA on the processor does not compile mixed types (TensorFlow 2.21): "
            f"received `xla` with {policy}; leave `xla` out, or choose `precision` "
            "float32."
        )
