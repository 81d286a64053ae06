"""Opens networks of other formats: Keras, SavedModel, ONNX, LiteRT."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.errors import UserError


class OpenedModel(NamedTuple):
    """What a format knows of a network before it runs."""

    shapes: Sequence[Sequence[int | None]]  # of all inputs
    dtype: np.dtype
    run: Callable[[np.ndarray], list[np.ndarray]]
    metric: bool | None = None


def first_line(error: Exception) -> str:
    """An error of another package in one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def import_optional(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{name}: this network needs the package {module}, which cannot be imported "
            f'({first_line(error)}); run pip install "keras_depthseg[teacher]".'
        ) from error


def open_litert(name: str) -> OpenedModel:
    threads = os.cpu_count()
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter  # noqa: N806
    with warnings.catch_warnings():
        # tf.lite announces that it will be removed; TensorFlow's version is pinned.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(model_path=name, num_threads=threads)
    interpreter.allocate_tensors()
    inputs = interpreter.get_input_details()
    scale, zero = inputs[0]["quantization"]
    stored = np.dtype(inputs[0]["dtype"])
    index = inputs[0]["index"]

    def run(batch: np.ndarray) -> list[np.ndarray]:
        if scale:
            limits = np.iinfo(stored)
            batch = np.clip(np.rint(batch / scale + zero), limits.min, limits.max)
        if tuple(interpreter.get_input_details()[0]["shape"]) != batch.shape:
            interpreter.resize_tensor_input(index, batch.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(index, batch.astype(stored))
        interpreter.invoke()
        outputs = []
        for detail in interpreter.get_output_details():
            output = interpreter.get_tensor(detail["index"])
            factor, offset = detail["quantization"]
            if factor:
                output = (output.astype(np.float32) - offset) * np.float32(factor)
            outputs.append(output)
        return outputs

    shapes = [
        [None if n < 0 else int(n) for n in detail["shape_signature"]]
        for detail in inputs
    ]
    return OpenedModel(shapes, np.dtype(np.float32) if scale else stored, run)


def open_keras(name: str) -> OpenedModel:
    model = keras.saving.load_model(name, compile=False)
    return load_keras(name, model)


def load_keras(name: str, model: keras.Model, metric: bool | None = None) -> OpenedModel:
    if not getattr(model, "inputs", None):
        raise UserError(
            f"{name}: this Keras model does not say what its input is; write it as a "
            "SavedModel with model.export and give that folder."
        )

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = keras.tree.flatten(model.predict_on_batch(batch))
        return [np.asarray(output) for output in outputs]

    dtype = np.dtype(keras.backend.standardize_dtype(model.inputs[0].dtype))
    return OpenedModel([tensor.shape for tensor in model.inputs], dtype, run, metric)


def open_saved_model(name: str) -> OpenedModel:
    model = tf.saved_model.load(name)
    signatures = model.signatures
    key = "serving_default" if "serving_default" in signatures else None
    if key is None and len(signatures) == 1:
        (key,) = signatures
    if key is None:
        raise UserError(
            f"{name}: received a SavedModel with the signatures "
            f"{sorted(signatures) or 'none'}; expected serving_default, or one. Export "
            "the network again, in Keras with model.export."
        )
    signature = signatures[key]
    inputs = signature.structured_input_signature[1]

    def run(batch: np.ndarray, model: object = model) -> list[np.ndarray]:
        # `model` is bound because a signature alone does not keep its variables.
        outputs = signature(**{next(iter(inputs)): tf.constant(batch)})
        ordered = sorted(outputs.items(), key=lambda item: (len(item[0]), item[0]))
        return [output.numpy() for _, output in ordered]

    specs = list(inputs.values())
    shapes = [spec.shape.as_list() for spec in specs]
    return OpenedModel(shapes, np.dtype(specs[0].dtype.as_numpy_dtype), run)


def open_onnx(name: str) -> OpenedModel:
    runtime = import_optional("onnxruntime", name)
    usable = ("CUDAExecutionProvider", "CPUExecutionProvider")
    available = runtime.get_available_providers()
    session = runtime.InferenceSession(
        name, providers=[provider for provider in usable if provider in available]
    )
    inputs = session.get_inputs()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return session.run(None, {inputs[0].name: batch})

    shapes = [
        [n if isinstance(n, int) else None for n in tensor.shape] for tensor in inputs
    ]
    stored = inputs[0].type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(stored, stored))
    return OpenedModel(shapes, dtype, run)
