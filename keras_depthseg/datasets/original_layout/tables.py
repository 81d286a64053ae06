"""The two text files of the layout: the pictures of each sample, and the boxes."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path

from keras_depthseg.errors import UserError

FILE_MAP = "file_map.txt"
LABELS = "labels.txt"

_COLUMNS = {
    FILE_MAP: ("bg", "fg_bg", "mask", "depth"),
    LABELS: ("fg_bg", "x", "y", "width", "height"),
}
_COMPOSITE_NAME = re.compile(r"([^_]+)_([^_]+)_[^_]+")


@dataclasses.dataclass(frozen=True)
class MapRow:
    """One line of `file_map.txt`.

    Attributes:
        line: its number in the file, from 1.
        bg, fg_bg, mask, depth: names of the pictures, without extension.
    """

    line: int
    bg: str
    fg_bg: str
    mask: str
    depth: str

    @property
    def bg_id(self) -> str:
        """The identity of the background: `bg001` for `bg001_fg001_01`."""
        match = _COMPOSITE_NAME.fullmatch(self.fg_bg)
        return match[1] if match else self.bg

    @property
    def fg_id(self) -> str:
        """The identity of the cutout: `fg001` for `bg001_fg001_01`.

        A name of another form is an identity of its own.
        """
        match = _COMPOSITE_NAME.fullmatch(self.fg_bg)
        return match[2] if match else self.fg_bg


@dataclasses.dataclass(frozen=True)
class Box:
    """One line of `labels.txt`: the foreground's box in pixels."""

    line: int
    x: float
    y: float
    width: float
    height: float


def parse_file_map(content: bytes, path: Path | str = FILE_MAP) -> list[MapRow]:
    """Return the samples of a `file_map.txt`, in the order of its lines.

    Args:
        content: UTF-8 text, four tab-separated names a line; empty lines are skipped.
        path: of the file, for messages.

    Raises:
        UserError: not UTF-8, no sample in it, a line without exactly four names, or a
            composite that is named twice.
    """
    samples: dict[str, MapRow] = {}
    for number, columns in _rows(content, path, FILE_MAP):
        sample = MapRow(number, *columns)
        first = samples.setdefault(sample.fg_bg, sample)
        if first is not sample:
            raise UserError(
                f"{path}, line {number}: the sample {sample.fg_bg!r} is already on "
                f"line {first.line}; a sample may be named once. Remove one of the two."
            )
    if not samples:
        raise UserError(
            f"{path}: there are no samples in it; expected one a line, as "
            f"tab-separated names: {', '.join(_COLUMNS[FILE_MAP])}. Write the lines, "
            "or choose another source."
        )
    return list(samples.values())


def parse_labels(content: bytes, path: Path | str = LABELS) -> dict[str, Box]:
    """Return the boxes of a `labels.txt`, by the name of the composite.

    Args:
        content: UTF-8 text, five tab-separated columns a line: name, x, y, width and
            height in pixels; empty lines are skipped.
        path: of the file, for messages.

    Raises:
        UserError: not UTF-8, a line of another form, or a composite named twice.
    """
    boxes: dict[str, Box] = {}
    for number, (name, *texts) in _rows(content, path, LABELS):
        try:
            numbers = [float(text) for text in texts]
        except ValueError:
            numbers = []
        # Also false for NaN.
        if not numbers or not all(0 <= value < math.inf for value in numbers):
            raise UserError(
                f"{path}, line {number}: expected x, y, width and height in pixels, "
                f"all of them numbers of at least 0; received {_shown(texts)}. Correct "
                f"the line, or remove {LABELS} to have the boxes computed from the "
                "masks."
            )
        box = Box(number, *numbers)
        first = boxes.setdefault(name, box)
        if first is not box:
            raise UserError(
                f"{path}, line {number}: the box of {name!r} is already on line "
                f"{first.line}; a sample has one box. Remove one of the two."
            )
    return boxes


def _rows(content: bytes, path: Path | str, kind: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and columns; refuse a wrong number and empty columns."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: received bytes that are not UTF-8 text "
            f"({error.reason}); only UTF-8 is accepted. Save the file as UTF-8."
        ) from error
    names = _COLUMNS[kind]
    # `splitlines` also breaks at characters that a file name may have.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip(" \r"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != len(names) or not all(columns):
            raise UserError(
                f"{path}, line {number}: expected {len(names)} tab-separated columns "
                f"({', '.join(names)}), none of them empty; received {len(columns)}: "
                f"{_shown(columns)}. Correct the line."
            )
        yield number, columns


def _shown(columns: list[str]) -> str:
    text = repr(columns)
    return text if len(text) <= 120 else f"{text[:117]}..."
