"""Opens a pretrained depth network of any supported format behind one call.

| `kind` | what the network is | opened with |
|---|---|---|
| `litert` | `.tflite` | `ai_edge_litert`, else `tf.lite` |
| `keras` | `.keras` or `.h5`, the whole model | `keras.saving.load_model` |
| `savedmodel` | a folder with `saved_model.pb` | `tf.saved_model.load` |
| `onnx` | `.onnx` | `onnxruntime` |
| `preset` | name, `kaggle://…`, `hf://…`, or folder of a preset | `keras_hub` |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.runtimes import (
    OpenedModel,
    first_line,
    import_optional,
    load_keras,
    open_keras,
    open_litert,
    open_onnx,
    open_saved_model,
)

_SUFFIXES = {".tflite": "litert", ".keras": "keras", ".h5": "keras", ".onnx": "onnx"}
_FORMATS = (
    "a .tflite, .keras, .h5 or .onnx file, a SavedModel folder, or the name or folder of "
    "a keras-hub preset"
)
# A map may be coarser than the input and rounded to strides, but not of another shape.
# This tells it from, say, a table of boxes.
_ASPECT_TOLERANCE = 1.25


class DepthNetwork:
    """A network that was found to take one picture and give one depth map.

    Always runs one picture at a time (a file with a fixed larger batch gets copies of
    it): kernels may add up in another order for another batch, and a label must not
    depend on its neighbours.

    Attributes:
        size: height and width of the input, in pixels.
        output_size: height and width of the depth map.
        dtype: what the input is cast to; float32 for a quantised file, which does its
            own rounding.
        metric: whether a preset says that it predicts metres; `None` in other formats,
            which do not say.

    Raises:
        UserError: the package for the format is missing, the network is damaged, has
            several inputs, contradicts `size`, or gives nothing like a depth map.
    """

    def __init__(self, name: str, kind: str, size: tuple[int, int] | None = None):
        opened = _open(name, kind)
        self._run = opened.run
        self.dtype = opened.dtype
        self.metric = opened.metric
        if len(opened.shapes) != 1:
            raise UserError(
                f"{name}: this network has {len(opened.shapes)} inputs; expected one "
                "that takes an RGB picture. Use another network."
            )
        shape = tuple(opened.shapes[0])
        self._channels_first = _channels_first(name, shape)
        height_width = shape[2:] if self._channels_first else shape[1:3]
        self.size = _input_size(name, height_width, size)
        self._batch = shape[0] or 1
        self._index, self.output_size = self._find_map(name)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(H, W, 3) in the range that the network wants -> (h, w) float32."""
        return self._outputs(picture)[self._index][0].squeeze().astype("float32")

    def _outputs(self, picture: np.ndarray) -> list[np.ndarray]:
        if self._channels_first:
            picture = picture.transpose(2, 0, 1)
        batch = np.repeat(picture.astype(self.dtype)[np.newaxis], self._batch, axis=0)
        return self._run(batch)

    def _find_map(self, name: str) -> tuple[int, tuple[int, int]]:
        """Index and size of the first output that is a one-channel map."""
        height, width = self.size
        try:
            outputs = self._outputs(np.zeros((height, width, 3)))
        except Exception as error:  # Whatever the format's package makes of the size.
            raise UserError(
                f"{name}: this network does not run on one picture of {height}x{width} "
                f"({first_line(error)}); give another size=HEIGHTxWIDTH."
            ) from error
        for index, output in enumerate(outputs):
            # Without the batch and without axes of length 1 it has height and width.
            shape = output.shape[1:]
            shape = tuple(length for length in shape if length > 1)
            if len(shape) == 2:
                aspect = (shape[0] * width) / (shape[1] * height)
                if 1 / _ASPECT_TOLERANCE <= aspect <= _ASPECT_TOLERANCE:
                    return index, shape
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise UserError(
            f"{name}: received outputs of shape {shapes}; expected a map of one channel, "
            f"shaped like the {height}x{width} input. Use a network that predicts depth."
        )


def network_kind(name: str) -> str:
    """The format of a network, see the table at the head of this file.

    Raises:
        UserError: there is no such file, or it is of another format.
    """
    if not name:
        raise UserError(f"--depth: received no network; expected {_FORMATS}.")
    path = Path(name)
    if path.is_dir():
        for file, kind in (("saved_model.pb", "savedmodel"), ("config.json", "preset")):
            if (path / file).is_file():
                return kind
        raise UserError(
            f"{name}: this folder has neither saved_model.pb nor config.json; expected "
            f"{_FORMATS}."
        )
    kind = _SUFFIXES.get(path.suffix.lower())
    if path.is_file():
        if kind is None:
            raise UserError(f"{name}: unknown format; expected {_FORMATS}.")
        return kind
    if kind is None and re.fullmatch(r"\w+://.+|\w+", name):
        return "preset"
    raise UserError(f"{name}: no such file; expected {_FORMATS}.")


def network_files(name: str, kind: str) -> list[tuple[str, Path]]:
    """The files whose content makes a network, each with its name inside of it, sorted.

    Empty for a preset that is named and not a folder.
    """
    path = Path(name)
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return sorted((file.relative_to(path).as_posix(), file) for file in files)
    if kind == "preset":
        return []
    files = [path]
    if kind == "onnx":
        # Weights, if they are many, lie beside it: x.onnx.data or x.onnx_data.
        beside = (f"{path.name}.", f"{path.name}_")
        files += (file for file in path.parent.iterdir() if file.name.startswith(beside))
    return sorted((file.name.removeprefix(path.stem), file) for file in files)


def _channels_first(name: str, shape: tuple[int | None, ...]) -> bool:
    if len(shape) == 4 and shape[3] == 3:
        return False
    if len(shape) == 4 and shape[1] == 3:
        return True
    raise UserError(
        f"{name}: received an input of shape {_text(shape)}; expected (batch, height, "
        "width, 3) or (batch, 3, height, width). Use a network that takes an RGB picture."
    )


def _input_size(
    name: str, found: Sequence[int | None], given: tuple[int, int] | None
) -> tuple[int, int]:
    if given is None:
        if None in found:
            raise UserError(
                f"{name}: its input is {_text(found)} (height, width), which leaves the "
                "size open; add size=HEIGHTxWIDTH, as the network was trained."
            )
        return tuple(found)
    for fixed, wanted in zip(found, given, strict=True):
        if fixed not in (None, wanted):
            raise UserError(
                f"{name}: received size={given[0]}x{given[1]}, but its input is "
                f"{_text(found)} (height, width); leave size out."
            )
    return given


def _text(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)})"


def _open(name: str, kind: str) -> OpenedModel:
    opener = {
        "litert": open_litert,
        "keras": open_keras,
        "savedmodel": open_saved_model,
        "onnx": open_onnx,
        "preset": _open_preset,
    }[kind]
    try:
        return opener(name)
    except UserError:
        raise
    except Exception as error:  # Whatever the format's package makes of it.
        raise UserError(
            f"{name}: this network cannot be opened, it is damaged, incomplete or not of "
            f"the kind that its name says ({first_line(error)}); get it again."
        ) from error


def _open_preset(name: str) -> OpenedModel:
    hub = import_optional("keras_hub", name)
    known = sorted(hub.models.DepthEstimator.presets)
    if name not in known and "://" not in name and not Path(name).is_dir():
        raise UserError(
            f"{name}: no such file and no such preset; expected one of "
            f"{', '.join(known)}, or {_FORMATS}."
        )
    task = hub.models.DepthEstimator.from_preset(name)
    if task.preprocessor is None:
        raise UserError(
            f"{name}: this preset has no preprocessor, so the range of its input is "
            "unknown; write it with save_to_preset from a DepthEstimator that has one."
        )
    # Only then is it in metres; else a sigmoid's 0..1.
    metric = task.depth_estimation_type == "metric" and task.max_depth is not None
    # A task's predict_on_batch runs the preprocessor first. That crops a picture of
    # another shape to the input's, but a picture of the input's own size it leaves.
    return load_keras(name, task, metric)
