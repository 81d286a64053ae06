"""Opens what `depthseg export` wrote, in its own runtime."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from keras_depthseg.errors import UserError
from keras_depthseg.files import read_sha256
from keras_depthseg.pretrained import is_pretrained
from keras_depthseg.runtimes import (
    OPENVINO_FILE,
    SUFFIXES,
    OpenedModel,
    model_kind,
    open_model,
)

PARTS = ("plate", "maps", "mask")
"""The names of the parts of a network, as of `networks.parts.Parts`."""


class Exported(NamedTuple):
    """An exported network in parts.

    Attributes:
        kind: of the file, one of `runtimes.KINDS`.
        resolution: side of the images that it was trained with last, in pixels; `None`
            if the file does not say.
        size: the only height and width that it takes; `None` if it takes any.
        plate, maps, mask: as of `network.Network`.
    """

    kind: str
    resolution: int | None
    size: tuple[int, int] | None
    plate: OpenedModel
    maps: OpenedModel
    mask: OpenedModel


def exported_files(model: str | Path) -> dict[str, Path]:
    """Return the files of an exported network by part; none for another model.

    They are `model`, a whole network, or `plate`, `maps` and `mask` in a folder.
    """
    if is_pretrained(model):
        return {}
    path = Path(model)
    if model_kind(path) not in (None, "keras"):
        return {"model": path}
    found = {}
    for part in PARTS if path.is_dir() else ():
        for suffix in ("", *SUFFIXES):
            file = path / f"{part}{suffix}"
            if file.exists() and model_kind(file) not in (None, "keras"):
                found[part] = file
    return found if len(found) == len(PARTS) else {}


def report_of(path: Path) -> Path:
    """Return the place of the report beside an exported file or folder."""
    path = path.absolute()  # "." has no name.
    return path.with_name(f"{path.name}.parity.json")


def files_of(path: Path) -> list[Path]:
    """Return an exported file, or all files of a folder."""
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return [each for each in found if each.is_file()]


def checksums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of a folder's files by name, or of a file, as `"."`."""
    return {
        each.relative_to(path).as_posix(): read_sha256(each) for each in files_of(path)
    }


def _check(path: Path) -> None:
    """Refuse what is not as its report says, if there is one: runtimes may crash on it.

    LiteRT ended the process at one of 3,000 damaged files, and most that it opened gave
    other masks.

    Args:
        path: what `depthseg export` wrote, a file or a folder.
    """
    report = report_of(path)
    # Not `Path.is_file`, which has an error for a name that is too long.
    if not os.path.isfile(report) or not path.exists():
        return
    try:
        # Reports of earlier versions have none.
        stored = dict(json.loads(report.read_text("utf-8")).get("sha256") or {})
        found = checksums(path)
    except (OSError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{report}: it, or what it describes, cannot be read "
            f"({type(error).__name__}); get both again, or remove the report to go "
            "unchecked."
        ) from error
    # A file that a file manager has added does no harm.
    if any(found.get(name) != digest for name, digest in stored.items()):
        raise UserError(
            f"{path}: it is not the file that {report.name} describes, by its SHA-256: "
            "damaged or changed; get both again, or remove the report to go unchecked."
        )


def open_exported(files: Mapping[str, Path]) -> Exported:
    """Open an exported network.

    Args:
        files: of `exported_files`.

    Raises:
        UserError: a file is damaged or not as its report says, has other inputs, or the
            package for its format is missing.
    """
    some = next(iter(files.values()))
    in_folder = "model" not in files or some.name == OPENVINO_FILE
    _check(some.parent if in_folder else some)
    parts = {part: open_model(path) for part, path in files.items()}
    if "model" in parts:
        maps = parts["model"].in_order(("fg_bg", "bg"))
        # The features of a plate are the plate itself.
        plate = OpenedModel(maps.inputs[1:], ("bg",), lambda bg: [bg])
        mask = _mask_alone(maps)
    else:
        plate = parts["plate"]
        order = ("fg_bg", *plate.outputs)
        maps, mask = (parts[part].in_order(order) for part in ("maps", "mask"))
    height, width = maps.inputs[0].shape[1:3]
    resolution = maps.metadata.get("resolution", "")
    return Exported(
        model_kind(some) or "",
        # A wrong one would take hours.
        int(resolution) if re.fullmatch("[1-9][0-9]{1,3}", resolution) else None,
        None if height is None or width is None else (height, width),
        *(plate, maps, mask),
    )


def _mask_alone(maps: OpenedModel) -> OpenedModel:
    if "mask" not in maps.outputs:
        raise UserError(
            f"received a network with the outputs {', '.join(maps.outputs)}; expected "
            "mask among them. Export it by depthseg export."
        )
    number = maps.outputs.index("mask")
    return dataclasses.replace(
        maps, outputs=("mask",), run=lambda *arrays: [maps.run(*arrays)[number]]
    )
