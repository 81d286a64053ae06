"""The options of `depthseg export`.

The command line reads this module before it imports TensorFlow: nothing heavy here.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from keras_depthseg.choices import check_choices
from keras_depthseg.errors import UserError
from keras_depthseg.shapes import SIDE_MULTIPLE

SUFFIXES = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite", "openvino": ""}
"""How the name of an exported file ends; without a suffix it is a folder."""

PRECISIONS = {
    "saved_model": ("float32",),
    "onnx": ("float32", "float16", "int8"),
    "litert": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16", "int8"),
}


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """The network to export, the form of its file, and the samples that check it.

    The options of `depthseg export` are made from these fields.

    Attributes:
        model: Run folder, .keras file, or the name of trained weights, small.
        format: saved_model: a folder for TensorFlow; onnx: a file for onnxruntime and
            browsers; litert: a .tflite file for phones; openvino: a folder for Intel's
            processors.
        out: New file or folder; by default named after the model, here.
        precision: Of the weights. float32; float16: half the size, computed in float32;
            int8: a quarter, computed in integers that are calibrated on samples. A
            SavedModel is float32.
        size: Fixed size of the images, SIDE or HEIGHTxWIDTH, in multiples of 32; any size
            by default.
        parts: Write a folder of networks in place of one: plate, once for each plate;
            mask, or maps with depth, for each photograph.
        data: Folder of records, or another data set as for depthseg train, that the file
            is checked with, and calibrated for int8; best like what it will see.
        samples: Number of samples to check with.
        licence: Licence of the weights, for the file; that of trained weights is known.
        force: Replace what exists.

    Raises:
        UserError: if a value, or a combination, is not accepted.
    """

    model: str
    format: Literal["saved_model", "onnx", "litert", "openvino"]
    out: Path | None = None
    precision: Literal["float32", "float16", "int8"] = "float32"
    size: str | None = None
    parts: bool = False
    data: str = "rooms"
    samples: int = 16
    licence: str | None = None
    force: bool = False

    def __post_init__(self):
        check_choices(self)
        accepted = PRECISIONS[self.format]
        if self.precision not in accepted:
            raise UserError(
                f"`precision`: received {self.precision} with `format` {self.format}; "
                f"accepted: {', '.join(accepted)}. Choose onnx, litert or openvino."
            )
        if self.parts and self.precision == "int8":
            raise UserError(
                "`parts`: received with `precision` int8, whose calibration is of whole "
                "networks; choose float32 or float16."
            )
        suffix = SUFFIXES[self.format]
        if self.out is not None and suffix and not self.parts:
            received = self.out.suffix.lower()
            if received != suffix:
                raise UserError(
                    f"`out`: received {self.out}; a file of `format` {self.format} ends "
                    f"with {suffix}. Change the name."
                )
        if self.samples < 1:
            raise UserError(f"`samples`: received {self.samples}; accepted: 1 or more.")
        self.sides()

    def sides(self) -> tuple[int, int] | None:
        """Return the fixed height and width, or `None`."""
        if self.size is None:
            return None
        match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", self.size, re.ASCII)
        sides = [int(side) for side in match.groups(match[1])] if match else [0]
        if not all(side and side % SIDE_MULTIPLE == 0 for side in sides):
            raise UserError(
                f"`size`: received {self.size}; accepted: a side or HEIGHTxWIDTH in "
                f"multiples of {SIDE_MULTIPLE}, for instance 224 or 256x448."
            )
        return sides[0], sides[1]
