"""Reads the files of a run folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_depthseg.errors import UserError
from keras_depthseg.training.run_folder import (
    CONFIG,
)

_CONFIG = {
    "data": str,
    "samples": dict,
    "depth": dict,
    "recipe": dict,
    "phases": list,
    "parameters": int,
    "command": list,
    "versions": dict,
}


_PHASE = {"resolution": int, "epochs": int, "batch_size": int}


def read_config(run_dir: Path) -> dict[str, Any]:
    path = run_dir / CONFIG
    config = _read_json(path, _CONFIG)
    if config is None:
        raise UserError(
            f"{path}: there is no such file, so {run_dir} is no run folder; give the "
            "--run-dir of a training."
        )
    for phase in config["phases"]:
        _check(path, phase, _PHASE)
    return config


def read_scores(path: Path) -> dict[str, Any] | None:
    scores = _read_json(path, {"resolution": int, "scores": dict})
    for values in scores["scores"].values() if scores else ():
        _check(path, values, {})
    return scores


def _read_json(path: Path, types: Mapping[str, type]) -> dict[str, Any] | None:
    """`None` if there is no such file."""
    text = _read_text(path)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"not JSON: {error}") from error
    _check(path, content, types)
    return content


def _check(path: Path, content: Any, types: Mapping[str, type]) -> None:
    """Refuses other types, and puts an empty value in where there is none."""
    if not isinstance(content, dict):
        raise _damaged(path, f"an object is expected, received {content!r:.40}")
    for name, kind in types.items():
        if content.get(name) is None:
            content[name] = kind() if kind in (dict, list) else None
        elif not isinstance(content[name], kind):
            raise _damaged(
                path,
                f"{name!r}: a value of type {kind.__name__} is expected, received "
                f"{content[name]!r:.40}",
            )


def read_history(path: Path) -> dict[str, list[float | None]]:
    """Values an epoch by column; `None` for the empty ones."""
    text = _read_text(path) or ""
    if text and not text.endswith("\n"):
        raise _damaged(path, "the last line is cut off; removing that line will do")
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise _damaged(path, f"not CSV: {error}") from error
    names = rows[0] if rows else []
    if len(set(names)) < len(names):
        raise _damaged(path, f"a column is there twice: {','.join(names)!r:.80}")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise _damaged(path, f"row {number} has {len(row)} of {len(names)} values")
    return {
        name: [
            _read_cell(path, name, number, row[i])
            for number, row in enumerate(rows[1:], start=1)
        ]
        for i, name in enumerate(names)
    }


def _read_cell(path: Path, name: str, number: int, cell: str) -> float | None:
    # Keras writes NA for what an epoch has no value of.
    if cell in ("", "NA"):
        return None
    try:
        return float(cell)
    except ValueError as error:
        raise _damaged(
            path, f"row {number}, {name!r}: a number is expected, received {cell!r:.40}"
        ) from error


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); make it readable."
        ) from error
    except UnicodeDecodeError as error:
        raise _damaged(path, f"not UTF-8 text: {error}") from error


def _damaged(path: Path, what: str) -> UserError:
    remedy = "restore it from a copy or train again"
    if path.name != CONFIG:
        remedy = "put that right, or remove the file to have the page without it"
    return UserError(f"{path}: the file is damaged ({what}); {remedy}.")
