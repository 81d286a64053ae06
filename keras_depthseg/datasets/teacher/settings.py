"""The settings of a teacher, and their text: `NETWORK[,key=value…]`.

    pydnet.tflite,size=448x640,input=0:1,larger=farther,crop=16
    depth_anything_v2_small,larger=nearer
    model.keras,input=0:255,larger=farther,unit=metre,scale=10

| key | meaning |
|---|---|
| `larger` | `farther` or `nearer`: the meaning of a larger output; required |
| `input` | `LOW:HIGH` for black and white, or `imagenet`; not for presets |
| `size` | `HEIGHTxWIDTH` of the input, where the network leaves it open |
| `output` | `LOW:HIGH`, the outputs that become 0 and 1 before `larger=nearer` inverts |
| `unit`, `scale` | `metre` and the metres stored as 1; the network predicts metres |
| `crop` | pixels at each border of the output that are replaced by the next inner ones |
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path

from keras_depthseg.datasets.records import DepthMetadata
from keras_depthseg.datasets.teacher.networks import network_files, network_kind
from keras_depthseg.errors import UserError
from keras_depthseg.text import split_option

PERCENTILES = (0.1, 99.9)
"""Percentiles of an output that become 0 and 1 without `output` and `unit`: some networks
have a few wild pixels."""

# Raise it when labels change for the same settings: it is part of the fingerprint.
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class TeacherSettings:
    """The network that labels depth, and its use; `str` is the text of `parse_teacher`.

    Attributes:
        network: file, folder or preset.
        larger: `"farther"` or `"nearer"`, the meaning of a larger output.
        size: height and width of the input in pixels; `None`: the network says.
        input: the values of black and white, or `"imagenet"`; `None` for presets.
        output: outputs that become 0 and 1; `None`: each picture is stretched, unless
            `unit` is metre.
        unit: `"relative"`, or `"metre"` when the network predicts metres.
        scale: metres that become 1; `None` when relative.
        crop: output pixels replaced at each border.

    Raises:
        UserError: a value is not accepted, two contradict, or the file is missing.
    """

    network: str
    larger: str | None = None
    size: tuple[int, int] | None = None
    input: tuple[float, float] | str | None = None
    output: tuple[float, float] | None = None
    unit: str = "relative"
    scale: float | None = None
    crop: int = 0

    def __post_init__(self):
        preset = network_kind(self.network) == "preset"
        if self.larger not in ("farther", "nearer"):
            self._refuse("larger", "farther or nearer: the meaning of a larger output")
        if self.unit not in ("relative", "metre"):
            self._refuse("unit", "metre or relative")
        if self.size is not None and min(self.size) < 1:
            self._refuse("size", "HEIGHTxWIDTH in pixels, such as 448x640")
        if self.crop < 0:
            self._refuse("crop", "0 pixels or more")
        if self.scale is not None and not 0 < self.scale < math.inf:
            self._refuse("scale", "metres, more than 0")
        for key in ("input", "output"):
            limits = getattr(self, key)
            if isinstance(limits, tuple) and not (
                all(map(math.isfinite, limits)) and limits[0] < limits[1]
            ):
                self._refuse(key, "LOW:HIGH, LOW below HIGH")
        if preset and self.input is not None:
            self._refuse("input", "no input, as a preset prepares its own; leave it out")
        if not preset and self.input is None:
            self._refuse("input", "LOW:HIGH, the network's values of black and white")
        self._check_unit()

    def __str__(self):
        texts = [self.network]
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                texts.append(f"{field.name}={_text(field.name, value)}")
        return ",".join(texts)

    @property
    def metadata(self) -> DepthMetadata:
        """The meaning of the labels."""
        return DepthMetadata(self.unit, self.scale)

    @property
    def range(self) -> str:
        """The range of the labels, for a data set's metadata.

        `"metres"`, `"fixed"` by `output`, or `"each picture stretched …"`: only then two
        pictures cannot be compared.
        """
        if self.unit == "metre":
            return "metres"
        if self.output is not None:
            return "fixed"
        low, high = PERCENTILES
        return f"each picture stretched between percentiles {low} and {high}"

    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits that change with the settings or the network.

        Of a preset that is named, and not a folder, only the name is known. The place of
        the files and the versions of packages have no effect.

        Raises:
            UserError: the network cannot be read.
        """
        settings = dataclasses.asdict(self)
        kind = network_kind(self.network)
        try:
            files = network_files(self.network, kind)
            content = [(name, _hash_file(path)) for name, path in files]
        except OSError as error:
            raise UserError(
                f"{self.network}: this network cannot be read "
                f"({error.strerror or error}); check its permissions."
            ) from error
        if content:
            del settings["network"]
        text = json.dumps([_VERSION, kind, settings, content], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _check_unit(self) -> None:
        if (self.unit == "metre") != (self.scale is not None):
            self._refuse("scale", "unit=metre and scale=METRES together, or neither")
        if self.unit == "metre" and self.output is not None:
            self._refuse("output", "no output with unit=metre, which scales by itself")
        if self.unit == "metre" and self.larger != "farther":
            self._refuse("larger", "farther with unit=metre, as metres are")

    def _refuse(self, key: str, expected: str) -> None:
        value = getattr(self, key)
        text = f"no {key}" if value is None else f"{key}={_text(key, value)}"
        raise UserError(f"`depth` {self.network}: received {text}; expected {expected}.")


def parse_teacher(text: str) -> TeacherSettings:
    """Return the settings of a text as at the head of this file.

    Raises:
        UserError: a key or a value is not accepted, two contradict, or the file is
            missing.
    """
    network, pairs = split_option(text)
    keys = [field.name for field in dataclasses.fields(TeacherSettings)[1:]]
    values = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in keys:
            raise UserError(
                f"`depth` {text}: received {pair!r}; expected KEY=VALUE with a key of "
                f"{', '.join(keys)}."
            )
        if key in values:
            raise UserError(f"`depth` {text}: received {key} twice; give it once.")
        try:
            values[key] = _value(key, value)
        except ValueError as error:
            example = {"size": "448x640", "scale": "10", "crop": "16"}.get(key, "0:1")
            raise UserError(
                f"`depth` {text}: received {pair!r}; try {key}={example}."
            ) from error
    return TeacherSettings(network, **values)


def _value(key: str, text: str) -> object:
    """Return the value of a key; raise ValueError for other texts."""
    match key:
        case "size":
            height, width = text.split("x")
            return int(height), int(width)
        case "input" | "output":
            if key == "input" and text == "imagenet":
                return text
            low, high = text.split(":")
            return float(low), float(high)
        case "scale":
            return float(text)
        case "crop":
            return int(text)
    return text


def _text(key: str, value: object) -> str:
    """The reverse of `_value`."""
    if isinstance(value, tuple):
        return ("x" if key == "size" else ":").join(_text(key, part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
