"""Opens a pretrained depth network of any supported format behind one call.

Formats are those of `runtimes`, and `preset`: the name, `kaggle://…`, `hf://…` or folder
of a preset of `keras_hub`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.runtimes import (
    OpenedModel,
    first_line,
    import_optional,
    model_kind,
    open_model,
    opened,
    wrap_keras,
)
from keras_depthseg.text import printable

_FORMATS = (
    "a .tflite, .keras, .h5 or .onnx file, a SavedModel folder, or the name or folder of "
    "a keras-hub preset"
)
# Files of a keras-hub preset, besides those of the network itself.
_PRESET_FILES = (
    "task.json", "preprocessor.json", "image_converter.json", "tokenizer.json",
    "audio_converter.json", "model.weights.h5", "model.weights.json",
)  # fmt: skip
_PRESET_CONFIG = "config.json"
_WEIGHTS = ("model.weights.h5", "model.weights.json")
_PRESET_OF_DEPTH = (
    "expected the preset of a DepthEstimator, with config.json, task.json, "
    "preprocessor.json and model.weights.h5. Write it by save_to_preset of a "
    "DepthEstimator that has a preprocessor."
)
# A map may be coarser than the input and rounded to strides, but not of another shape.
# This tells it from, say, a table of boxes.
_ASPECT_TOLERANCE = 1.25


class DepthNetwork:
    """A network that takes one picture and gives one depth map.

    Always runs one picture at a time (a file with a fixed larger batch gets copies of
    it): kernels may add up in another order for another batch, and a label must not
    depend on its neighbours.

    Attributes:
        size: height and width of the input, in pixels.
        output_size: height and width of the depth map.
        dtype: of the input; float32 for a quantised file, which is rounded later.
        metric: whether a preset predicts metres; `None` in other formats, which do not
            say.

    Raises:
        UserError: the package for the format is missing, the network is damaged, has
            several inputs, contradicts `size`, or gives nothing like a depth map.
    """

    def __init__(self, name: str, kind: str, size: tuple[int, int] | None = None):
        self.metric: bool | None = None
        if kind == "preset":
            model, self.metric = opened(name, _open_preset)
        else:
            model = open_model(name, kind)
        self._run = model.run
        if len(model.inputs) != 1:
            raise UserError(
                f"{name}: this network has {len(model.inputs)} inputs; expected one "
                "that takes an RGB picture. Use another network."
            )
        self.dtype = model.inputs[0].dtype
        shape = model.inputs[0].shape
        self._channels_first = _channels_first(name, shape)
        height_width = shape[2:] if self._channels_first else shape[1:3]
        self.size = _input_size(name, height_width, size)
        self._batch = shape[0] or 1
        self._index, self.output_size = self._find_map(name)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Return the depth map, (h, w) float32, of a picture.

        Args:
            picture: (H, W, 3), in the range that the network expects.
        """
        return self._outputs(picture)[self._index][0].squeeze().astype("float32")

    def _outputs(self, picture: np.ndarray) -> list[np.ndarray]:
        if self._channels_first:
            picture = picture.transpose(2, 0, 1)
        batch = np.repeat(picture.astype(self.dtype)[np.newaxis], self._batch, axis=0)
        return self._run(batch)

    def _find_map(self, name: str) -> tuple[int, tuple[int, int]]:
        """Return index and size of the first output that is a one-channel map."""
        height, width = self.size
        try:
            outputs = self._outputs(np.zeros((height, width, 3)))
        except Exception as error:  # Each package has its own errors for a wrong size.
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
    """Return the format of a network: one of `runtimes.KINDS`, or `preset`.

    Raises:
        UserError: the file does not exist, or is of another format.
    """
    if not name:
        raise UserError(f"`depth`: received no network; expected {_FORMATS}.")
    path = Path(name)
    if path.is_dir():
        if kind := model_kind(path):
            return kind
        if is_preset(path):
            _check_preset(path)
            return "preset"
        raise UserError(
            f"{name}: this folder has neither saved_model.pb nor config.json; expected "
            f"{_FORMATS}."
        )
    kind = model_kind(path)
    if path.is_file():
        if kind is None:
            raise UserError(f"{name}: unknown format; expected {_FORMATS}.")
        return kind
    if kind is None and re.fullmatch(r"\w+://.+|\w+", name):
        return "preset"
    raise UserError(f"{name}: no such file; expected {_FORMATS}.")


def is_network_folder(path: Path) -> bool:
    """Return whether a folder is one of a network, whole or not, and not of pictures."""
    return model_kind(path) is not None or is_preset(path)


def is_preset(path: Path) -> bool:
    """Return whether a folder has files of a keras-hub preset, or of a part of one."""
    return any((path / name).is_file() for name in (_PRESET_CONFIG, *_PRESET_FILES))


def _check_preset(path: Path) -> None:
    """Refuse the folder of a preset that is not of a depth network."""
    there = [name for name in _PRESET_FILES if (path / name).is_file()]
    if not (path / _PRESET_CONFIG).is_file():
        raise UserError(
            f"{path}: received a keras-hub preset without a network, only "
            f"{', '.join(there)}; {_PRESET_OF_DEPTH}"
        )
    config = _read_object(path / _PRESET_CONFIG)
    # What Hugging Face's transformers wrote, keras-hub converts.
    if "model_type" in config:
        return
    if "class_name" not in config:
        raise UserError(
            f"{path}: received a config.json that is not of keras-hub; {_PRESET_OF_DEPTH}"
        )
    if not any(name in there for name in _WEIGHTS):
        raise UserError(
            f"{path}: received a keras-hub preset without weights; {_PRESET_OF_DEPTH}"
        )
    task = config
    if "task.json" in there:
        task = _read_object(path / "task.json")
    received = str(task.get("class_name"))
    if not received.endswith("DepthEstimator"):
        raise UserError(
            f"{path}: received a keras-hub preset of a {printable(received)[:80]}; "
            f"{_PRESET_OF_DEPTH}"
        )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: it cannot be read ({error.strerror}); make it readable."
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: it is damaged, no JSON ({type(error).__name__}); get it again."
        ) from error
    return content if isinstance(content, dict) else {}


def network_files(name: str, kind: str) -> list[tuple[str, Path]]:
    """Return the files of a network, each with its name inside the network, sorted.

    There are none for a preset that is named and not a folder.
    """
    path = Path(name)
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return sorted((file.relative_to(path).as_posix(), file) for file in files)
    if kind == "preset":
        return []
    files = [path]
    if kind == "onnx":
        # Large weights are beside it: x.onnx.data or x.onnx_data.
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
        height, width = found
        if height is None or width is None:
            raise UserError(
                f"{name}: its input is {_text(found)} (height, width), which leaves the "
                "size open; add size=HEIGHTxWIDTH, as the network was trained."
            )
        return height, width
    for fixed, wanted in zip(found, given, strict=True):
        if fixed not in (None, wanted):
            raise UserError(
                f"{name}: received size={given[0]}x{given[1]}, but its input is "
                f"{_text(found)} (height, width); leave size out."
            )
    return given


def _text(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)})"


def _open_preset(name: str) -> tuple[OpenedModel, bool]:
    """Return the network of a preset, and whether it predicts metres."""
    where = f"{name}: no such file or folder; as the name of a network it"
    hub: Any = import_optional("keras_hub", where, '"keras_depthseg[teacher]"')
    known = sorted(hub.models.DepthEstimator.presets)
    if name not in known and "://" not in name and not Path(name).is_dir():
        raise UserError(
            f"{name}: no such file and no such preset; expected one of "
            f"{', '.join(known)}, or {_FORMATS}."
        )
    try:
        task = hub.models.DepthEstimator.from_preset(name)
    except ModuleNotFoundError as error:
        # It converts weights of other libraries, with packages that it does not require.
        raise UserError(
            f"{name}: keras-hub needs the package {error.name} for this preset, which is "
            f"not installed; run pip install {error.name}."
        ) from error
    if task.preprocessor is None:
        raise UserError(
            f"{name}: this preset has no preprocessor, so the range of its input is "
            "unknown; write it with save_to_preset from a DepthEstimator that has one."
        )
    # Otherwise the output is a sigmoid's 0..1.
    metric = task.depth_estimation_type == "metric" and task.max_depth is not None
    # predict_on_batch of a task runs the preprocessor first, which crops a picture of
    # another shape to the input's and leaves a picture of the input's own size alone.
    return wrap_keras(name, task), metric
