"""Opens networks of five formats behind one call, to run batches of NumPy arrays.

| kind | files | opened with |
|---|---|---|
| `keras` | `.keras` or `.h5`, the whole model | `keras.saving.load_model` |
| `savedmodel` | a folder with `saved_model.pb` | `tf.saved_model.load` |
| `onnx` | `.onnx` | `onnxruntime` |
| `litert` | `.tflite` | `ai_edge_litert`, else `tf.lite` |
| `openvino` | `.xml` with its `.bin`, or a folder with `model.xml` | `openvino` |

    model = open_model("model.onnx")
    depth, mask = model.run(bg, fg_bg)
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import importlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.model_file import check_sizes

# Keras is imported where it is needed: with TensorFlow that takes five seconds.
if TYPE_CHECKING:
    import keras

KINDS = ("keras", "savedmodel", "onnx", "litert", "openvino")
SUFFIXES = {
    ".keras": "keras",
    ".h5": "keras",
    ".onnx": "onnx",
    ".tflite": "litert",
    ".xml": "openvino",
}
FORMATS = "a .keras, .h5, .onnx, .tflite or .xml file, or a SavedModel folder"

OPENVINO_FILE = "model.xml"
"""The name of the network in the folder of an exported OpenVINO network."""
METADATA_FILE = "assets.extra/keras_depthseg.json"
"""Of a SavedModel: a folder that TensorFlow leaves to its users."""
OPENVINO_METADATA = "keras_depthseg"
"""Its heading in an OpenVINO network."""

# Sizes for which an OpenVINO network stays compiled: one is 20 MB, and takes 0.3 s.
_COMPILED = 4

_FULL_DISK = 2**20
"""In bytes: what a disk that is called full may have left."""

_SAVED_MODEL = "saved_model.pb"
# TensorFlow's operations that read and write files or run Python, which no network needs.
# Those that save and restore weights are in every file.
_FORBIDDEN = frozenset(
    ("ReadFile", "WriteFile", "MatchingFiles", "WholeFileReader", "WholeFileReaderV2")
    + ("PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "Save", "SaveSlices")
    + ("TextLineDataset", "TFRecordDataset", "FixedLengthRecordDataset")
    + ("DatasetToTFRecord", "SaveDataset", "SaveDatasetV2", "LoadDataset")
    + ("CreateSummaryFileWriter", "CreateSummaryDbWriter")
)


class ModelInput(NamedTuple):
    """An input of a network.

    Attributes:
        name: as the file has it.
        shape: with the batch; `None` where the length is left open.
        dtype: of the arrays; float32 for a quantised file, which is rounded to its
            integers when it runs.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class OpenedModel:
    """A network that runs on NumPy arrays. Not to be used by several threads at once.

    Attributes:
        inputs: in the order in which `run` takes them.
        outputs: their names, in the order in which `run` returns them.
        run: takes an array for each input, (batch, …) of the input's dtype, and returns
            an array for each output. Quantised outputs are float32.
        metadata: texts that were stored in an exported file, by name.
    """

    inputs: tuple[ModelInput, ...]
    outputs: tuple[str, ...]
    run: Callable[..., list[np.ndarray]]
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def in_order(self, inputs: Sequence[str]) -> OpenedModel:
        """Return the network with `run` taking these inputs in this order.

        Raises:
            UserError: its inputs have other names.
        """
        names = [tensor.name for tensor in self.inputs]
        if sorted(names) != sorted(inputs):
            raise UserError(
                f"received a network with the inputs {', '.join(names)}; expected "
                f"{', '.join(inputs)}. Export it by depthseg export."
            )
        places = [inputs.index(name) for name in names]
        return dataclasses.replace(
            self,
            inputs=tuple(self.inputs[names.index(name)] for name in inputs),
            run=lambda *arrays: self.run(*(arrays[place] for place in places)),
        )


def model_kind(path: str | Path) -> str | None:
    """Return the format of a file or folder by its name, one of `KINDS`, or `None`."""
    path = Path(path)
    if path.is_dir():
        files = {_SAVED_MODEL: "savedmodel", OPENVINO_FILE: "openvino"}
        return next(
            (kind for file, kind in files.items() if (path / file).is_file()), None
        )
    return SUFFIXES.get(path.suffix.lower())


def open_model(path: str | Path, kind: str | None = None) -> OpenedModel:
    """Open a network.

    Args:
        path: a file, or the folder of a SavedModel.
        kind: one of `KINDS`; `None` takes it from the name.

    Raises:
        UserError: the file does not exist, is of another format or damaged, or the
            package for the format is missing. Also when it runs, if its runtime cannot
            compute it.
    """
    kind = kind or model_kind(path)
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file; expected {FORMATS}. Give its path.")
    if kind is None:
        raise UserError(f"{path}: unknown format; expected {FORMATS}. Convert it.")
    model = opened(str(path), _OPENERS[kind])

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        try:
            return model.run(*arrays)
        except Exception as error:
            if not _is_of_runtime(error):
                raise
            raise UserError(
                f"{path}: this network cannot be computed: it is damaged or for other "
                f"inputs ({first_line(error)}); get it again or export it anew."
            ) from error

    return dataclasses.replace(model, run=run)


def _is_of_runtime(error: Exception) -> bool:
    """Return whether a runtime raised an error about a network, which looked whole."""
    # What lacks memory is not damaged.
    if type(error).__name__ == "ResourceExhaustedError" or "alloc" in str(error).lower():
        return False
    # LiteRT and OpenVINO have no errors of their own.
    packages = ("onnxruntime", "tensorflow")
    return type(error) is RuntimeError or type(error).__module__.startswith(packages)


def opened(name: str, opener: Callable[[str], Any]) -> Any:
    """Return `opener(name)`; raise a `UserError` for any of its errors."""
    try:
        return opener(name)
    except UserError:
        raise
    except Exception as error:  # Each package has its own errors for damaged files.
        # Of Keras, about what it refuses unless `safe_mode` is off.
        if "safe_mode" in str(error):
            raise UserError(
                f"{name}: received a network that holds code, such as a Lambda layer, "
                "which would run on this computer; accepted are networks of layers "
                "alone. Get one without, or as ONNX file."
            ) from error
        raise UserError(
            f"{name}: this network cannot be opened: it is damaged, incomplete or not of "
            f"the kind that its name says ({first_line(error)}); get it again."
        ) from error


def first_line(error: Exception) -> str:
    """Return an error of another package in one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def import_optional(module: str, name: str, install: str) -> ModuleType:
    """Import a package that this one does not require.

    Args:
        module: the name to import.
        name: of the network that needs the package, for the message.
        install: arguments of `pip install`.

    Raises:
        UserError: the package cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        _raise_interrupt(error)
        raise UserError(
            f"{name} needs the package {module}, which cannot be imported "
            f"({first_line(error)}); run pip install {install}."
        ) from error


def _raise_interrupt(error: ImportError) -> None:
    """Raise the interrupt that a module in C++ turned into an `ImportError`."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, KeyboardInterrupt):
        raise type(cause) from error


def import_onnxruntime(name: str, module: str = "onnxruntime") -> ModuleType:
    """Import ONNX Runtime or a module of it, without its reports to Microsoft.

    Since 1.29 it sends name, producer and hashes of every network, on Linux too, unless
    this variable is set. See `import_optional`.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_optional(module, name, "onnxruntime")


def import_openvino(name: str) -> ModuleType:
    """Import OpenVINO, without its reports to Google Analytics; see `import_optional`."""
    # It reports each import and each conversion if its package for that can be imported.
    silenced: dict[str, Any] = sys.modules
    silenced.setdefault("openvino_telemetry", None)
    return import_optional("openvino", name, "openvino")


@contextlib.contextmanager
def naming_full_disk(folder: Path) -> Iterator[None]:
    """Give the reason why OpenVINO cannot write to a folder: it has one error for all.

    Raises:
        OSError: the disk is full, or broken.
    """
    try:
        yield
    except RuntimeError as error:
        if "iostream" not in str(error):
            raise
        full = shutil.disk_usage(folder).free < _FULL_DISK
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number)) from error


def wrap_keras(name: str, model: keras.Model) -> OpenedModel:
    """Return a Keras model as an `OpenedModel`.

    Raises:
        UserError: the model has no fixed inputs, as a subclass of `keras.Model` may.
    """
    import keras

    if not getattr(model, "inputs", None):
        raise UserError(
            f"{name}: this Keras model does not say what its input is; write it as a "
            "SavedModel with model.export and give that folder."
        )
    model_outputs: Any = model.output
    names = (
        sorted(model_outputs) if isinstance(model_outputs, dict) else model.output_names
    )

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        packed = arrays[0]
        if len(arrays) > 1:
            packed = keras.tree.pack_sequence_as(model.input, list(arrays))
        outputs = keras.tree.flatten(model.predict_on_batch(packed))
        return [np.asarray(output) for output in outputs]

    return OpenedModel(
        tuple(
            ModelInput(
                tensor.name,
                tuple(tensor.shape),
                np.dtype(keras.backend.standardize_dtype(tensor.dtype)),
            )
            for tensor in model.inputs
        ),
        tuple(names),
        run,
    )


def load_keras(name: str) -> Any:
    """Return the Keras model of a file, which may come from anybody; see `opened`.

    Raises:
        UserError: it would fill the memory.
    """
    import keras

    check_sizes(name)
    # In safe mode, which refuses code.
    return keras.saving.load_model(name, compile=False, safe_mode=True)


def _open_keras(name: str) -> OpenedModel:
    return wrap_keras(name, load_keras(name))


def _open_saved_model(name: str) -> OpenedModel:
    import tensorflow as tf

    _check_operations(Path(name, _SAVED_MODEL))
    model: Any = tf.saved_model.load(name)
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
    specs = signature.structured_input_signature[1]
    # output_2 before output_10.
    names = sorted(signature.structured_outputs, key=lambda key: (len(key), key))

    def run(*arrays: np.ndarray, model: object = model) -> list[np.ndarray]:
        # `model` is bound because a signature alone does not keep its variables.
        tensors = dict(zip(specs, map(tf.constant, arrays), strict=True))
        outputs = signature(**tensors)
        return [outputs[key].numpy() for key in names]

    described = Path(name, METADATA_FILE)
    metadata = json.loads(described.read_text("utf-8")) if described.is_file() else {}
    return OpenedModel(
        tuple(
            ModelInput(key, tuple(spec.shape), np.dtype(spec.dtype.as_numpy_dtype))
            for key, spec in specs.items()
        ),
        tuple(names),
        run,
        metadata,
    )


def _check_operations(path: Path) -> None:
    """Refuse a SavedModel that does more than to compute: loading it may run it."""
    from tensorflow.core.protobuf import saved_model_pb2

    content: Any = saved_model_pb2.SavedModel.FromString(path.read_bytes())  # pyright: ignore[reportAttributeAccessIssue]
    graphs = [meta.graph_def for meta in content.meta_graphs]
    nodes = [node for graph in graphs for node in graph.node]
    for graph in graphs:
        nodes += (node for part in graph.library.function for node in part.node_def)
    if found := sorted(_FORBIDDEN & {node.op for node in nodes}):
        raise UserError(
            f"{path}: received a network that reads or writes files or runs Python, by "
            f"{', '.join(found)}; accepted are networks that compute. Get another."
        )


def _open_onnx(name: str) -> OpenedModel:
    runtime: Any = import_onnxruntime(name)
    usable = ("CUDAExecutionProvider", "CPUExecutionProvider")
    available = runtime.get_available_providers()
    session = runtime.InferenceSession(
        name, providers=[provider for provider in usable if provider in available]
    )
    inputs = session.get_inputs()

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        names = [tensor.name for tensor in inputs]
        return session.run(None, dict(zip(names, arrays, strict=True)))

    def described(tensor: Any) -> ModelInput:
        shape = tuple(n if isinstance(n, int) else None for n in tensor.shape)
        stored = tensor.type.removeprefix("tensor(").removesuffix(")")
        numpy_names = {"float": "float32", "double": "float64"}
        return ModelInput(tensor.name, shape, np.dtype(numpy_names.get(stored, stored)))

    return OpenedModel(
        tuple(map(described, inputs)),
        tuple(tensor.name for tensor in session.get_outputs()),
        run,
        session.get_modelmeta().custom_metadata_map,
    )


def _open_litert(name: str) -> OpenedModel:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        _raise_interrupt(error)
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # noqa: N806
    with warnings.catch_warnings():
        # tf.lite announces that it will be removed; TensorFlow's version is pinned.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(model_path=name, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    inputs = interpreter.get_input_details()
    outputs = interpreter.get_output_details()
    signature = next(iter(interpreter.get_signature_list()), None)
    names: dict[int, str] = {}
    if signature is not None:
        # The tensors of maps are called StatefulPartitionedCall.
        runner = interpreter.get_signature_runner(signature)
        found = {**runner.get_input_details(), **runner.get_output_details()}
        names = {detail["index"]: name for name, detail in found.items()}

    def named(detail: dict[str, Any]) -> str:
        return names.get(detail["index"], _litert_name(detail))

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        details = interpreter.get_input_details()
        if [tuple(it["shape"]) for it in details] != [it.shape for it in arrays]:
            for detail, array in zip(details, arrays, strict=True):
                interpreter.resize_tensor_input(detail["index"], array.shape)
            interpreter.allocate_tensors()
        for detail, array in zip(details, arrays, strict=True):
            interpreter.set_tensor(detail["index"], _quantised(array, detail))
        interpreter.invoke()
        return [
            _dequantised(interpreter.get_tensor(detail["index"]), detail)
            for detail in interpreter.get_output_details()
        ]

    def described(detail: dict[str, Any]) -> ModelInput:
        shape = tuple(None if n < 0 else int(n) for n in detail["shape_signature"])
        dtype = np.float32 if detail["quantization"][0] else detail["dtype"]
        return ModelInput(named(detail), shape, np.dtype(dtype))

    return OpenedModel(
        tuple(map(described, inputs)),
        tuple(map(named, outputs)),
        run,
        _litert_metadata(Path(name).read_bytes()),
    )


def _litert_metadata(content: bytes) -> dict[str, str]:
    """Return the named texts in a LiteRT file."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        from tensorflow.lite.python import schema_py_generated as schema

    model: Any = schema.Model.GetRootAs(content, 0)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    texts = {}
    for entry in entries:
        data = model.Buffers(entry.Buffer()).DataAsNumpy()
        # The converter's own entries are bytes of any kind.
        with contextlib.suppress(UnicodeDecodeError, AttributeError):
            texts[entry.Name().decode()] = data.tobytes().decode()
    return texts


def _litert_name(detail: dict[str, Any]) -> str:
    # serving_default_bg:0 of the input `bg`.
    return detail["name"].removeprefix("serving_default_").partition(":")[0]


def _quantised(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if scale:
        limits = np.iinfo(detail["dtype"])
        array = np.clip(np.rint(array / scale + zero), limits.min, limits.max)
    return array.astype(detail["dtype"])


def _dequantised(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    return (array.astype(np.float32) - zero) * np.float32(scale) if scale else array


@functools.cache
def _openvino_core(openvino: Any) -> Any:
    """Return one core for the whole process.

    With its last core, OpenVINO 2026.4 frees a stack that it has set for signal handlers:
    the next Ctrl-C is a segmentation fault.
    """
    return openvino.Core()


def _open_openvino(name: str) -> OpenedModel:
    core = _openvino_core(import_openvino(name))
    folder = Path(name)
    network = core.read_model(folder / OPENVINO_FILE if folder.is_dir() else folder)
    # On processors with bfloat16, OpenVINO computes in it unless told not to.
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled: dict[tuple[tuple[int, ...], ...], Any] = {}

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        shapes = tuple(array.shape for array in arrays)
        if shapes not in compiled:
            # With sides left open it is 1.3 times slower.
            sizes = zip(network.inputs, shapes, strict=True)
            network.reshape({tensor: list(shape) for tensor, shape in sizes})
            while len(compiled) >= _COMPILED:
                del compiled[next(iter(compiled))]
            compiled[shapes] = core.compile_model(network, "CPU", options)
        results = compiled[shapes](list(arrays))
        # Copies: the next call writes to the same memory.
        return [np.array(results[i]) for i in range(len(results))]

    def described(tensor: Any) -> ModelInput:
        sides = tensor.partial_shape
        shape = tuple(n.get_length() if n.is_static else None for n in sides)
        return ModelInput(
            tensor.any_name, shape, np.dtype(tensor.element_type.to_dtype())
        )

    return OpenedModel(
        tuple(map(described, network.inputs)),
        tuple(tensor.any_name for tensor in network.outputs),
        run,
        _openvino_metadata(network),
    )


def _openvino_metadata(network: Any) -> dict[str, str]:
    if not network.has_rt_info([OPENVINO_METADATA]):
        return {}
    values = network.get_rt_info([OPENVINO_METADATA]).astype(dict)
    return {key: str(value.value) for key, value in values.items()}


_OPENERS: dict[str, Callable[[str], OpenedModel]] = {
    "keras": _open_keras,
    "savedmodel": _open_saved_model,
    "onnx": _open_onnx,
    "litert": _open_litert,
    "openvino": _open_openvino,
}
