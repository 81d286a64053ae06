"""Writes a network as a file of each format, its description inside."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_depthseg.export.onnx_ranks import restore_ranks
from keras_depthseg.model import INPUTS, OUTPUTS
from keras_depthseg.runtimes import (
    METADATA_FILE,
    OPENVINO_FILE,
    OPENVINO_METADATA,
    import_onnxruntime,
    import_openvino,
    import_optional,
    naming_full_disk,
)

_LEAST_WEIGHTS = 8
# onnx.TensorProto.FLOAT.
_ONNX_FLOAT32 = 1

Calibration = Sequence[Mapping[str, np.ndarray]]


def write(
    network: keras.Model,
    path: Path,
    format: str,
    precision: str,
    metadata: Mapping[str, str],
    calibration: Calibration = (),
) -> None:
    """Write a plain network that gives maps in [0, 1].

    Args:
        network: inputs and outputs keep their names; sides that are open stay so.
        path: file or folder to write; nothing is there yet.
        format: one of `options.SUFFIXES`.
        precision: one of `options.PRECISIONS[format]`.
        metadata: names and texts to store in the file.
        calibration: for int8, batches of inputs by name, float32.

    Raises:
        UserError: a package that the format needs is missing.
    """
    with _quietly():
        _WRITERS[format](_Job(network, path, precision, metadata, calibration))


class _Job(NamedTuple):
    """What a file is made of, and where; see `write`."""

    network: keras.Model
    path: Path
    precision: str
    metadata: Mapping[str, str]
    calibration: Calibration


def _write_saved_model(job: _Job) -> None:
    job.network.export(str(job.path), format="tf_saved_model", verbose=False)
    described = job.path / METADATA_FILE
    described.parent.mkdir(exist_ok=True)
    described.write_text(json.dumps(dict(job.metadata), indent=2) + "\n", "utf-8")


def _write_onnx(job: _Job) -> None:
    path = job.path
    import_optional("tf2onnx", str(path), "tf2onnx")
    onnx: Any = import_optional("onnx", str(path), "onnx")
    job.network.export(str(path), format="onnx", verbose=False)
    model = onnx.load(str(path))
    restore_ranks(onnx, model)
    if job.precision == "int8":
        onnx.save(model, str(path))
        _quantise_onnx(path, job.calibration)
        model = onnx.load(str(path))
    if job.precision == "float16":
        _store_float16(onnx, model)
    for tensor in (*model.graph.input, *model.graph.output):
        # tf2onnx numbers open sides. Those of features are smaller than the images'.
        names = ("batch", "height", "width")
        if tensor.name not in (*INPUTS, *OUTPUTS):
            names = ("batch", f"{tensor.name}_height", f"{tensor.name}_width")
        for side, name in zip(tensor.type.tensor_type.shape.dim, names, strict=False):
            if not side.dim_value:
                side.dim_param = name
    onnx.helper.set_model_props(model, dict(job.metadata))
    onnx.save(model, str(path))


def _store_float16(onnx: Any, model: Any) -> None:
    """Halve the weights of an ONNX model; it still computes in float32.

    That is what `float16` means in LiteRT and OpenVINO files, too. Runtimes enlarge the
    weights once, when they open the file.
    """
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        # Small ones are no weights but, for instance, the empty `scales` of Resize.
        if values.dtype != np.float32 or values.size < _LEAST_WEIGHTS:
            continue
        name = weights.name
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_float16")
        weights.CopyFrom(half)
        cast = onnx.helper.make_node("Cast", [half.name], [name], to=_ONNX_FLOAT32)
        model.graph.node.insert(0, cast)


def _quantise_onnx(path: Path, calibration: Calibration) -> None:
    """Replace a float32 ONNX file by one of integers."""
    quantization: Any = import_onnxruntime(str(path), "onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(calibration)

        def get_next(self) -> Any:
            return next(self._batches, None)

    quantization.quantize_static(
        str(path),
        str(path),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        # Inputs in 0..255 would lose what is between their levels: nothing.
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )


def _write_litert(job: _Job) -> None:
    import tensorflow as tf

    lite: Any = tf.lite
    options: dict[str, Any] = {}
    if job.precision != "float32":
        options["optimizations"] = [lite.Optimize.DEFAULT]
    if job.precision == "float16":
        options["target_spec"] = {"supported_types": [tf.float16]}
    if job.precision == "int8":
        options["representative_dataset"] = lambda: iter(job.calibration)
    job.network.export(str(job.path), format="litert", verbose=False, **options)
    job.path.write_bytes(_with_metadata(job.path.read_bytes(), job.metadata))


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a LiteRT file with named texts in it."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(content)
    for name, text in metadata.items():
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(text.encode(), np.uint8)
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _write_openvino(job: _Job) -> None:
    openvino = import_openvino(str(job.path))
    # Beside the result, as an error of the disk names its folder.
    with tempfile.TemporaryDirectory(dir=job.path.parent) as folder:
        if job.precision == "int8":
            # OpenVINO reads the integers of an ONNX file.
            file = Path(folder, "network.onnx")
            _write_onnx(job._replace(path=file, metadata={}))
        else:
            file = Path(folder, "network.xml")
            with naming_full_disk(file.parent):
                job.network.export(str(file), format="openvino", verbose=False)
        model = openvino.Core().read_model(file)
        for name, text in job.metadata.items():
            model.set_rt_info(text, [OPENVINO_METADATA, name])
        job.path.mkdir()
        with naming_full_disk(job.path):
            openvino.save_model(
                model,
                job.path / OPENVINO_FILE,
                compress_to_fp16=job.precision == "float16",
            )


_WRITERS: dict[str, Callable[[_Job], None]] = {
    "saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "litert": _write_litert,
    "openvino": _write_openvino,
}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the converters' progress and advice from the terminal; errors still raise."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
