"""Reads and writes the files of a run folder: config.json, history.csv, scores.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.training.run_folder import RunFolder

_CONFIG = {
    "data": list,
    "samples": dict,
    "depth": dict,
    "recipe": dict,
    "composites": dict,
    "phases": list,
    "parameters": int,
    "command": list,
    "versions": dict,
}
_PHASE = {"resolution": int, "epochs": int, "batch_size": int}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically.

    Raises:
        OSError: if the file cannot be written; the old one is left then.
    """
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n")


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv atomically.

    Args:
        path: of the file.
        rows: values of each epoch by name; an epoch may lack some.

    Raises:
        OSError: if the file cannot be written; the old one is left then.
    """
    names = {name: None for row in rows for name in row}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as part:
        part.write_text(text.getvalue())


def read_config(folder: RunFolder) -> dict[str, Any]:
    """Read config.json; values that it lacks are empty or `None`.

    Raises:
        UserError: if there is none, or the file is damaged.
    """
    # Version 0.1 wrote the one folder of records as a text.
    config = read_json(folder.config, _CONFIG, lists=("data",))
    if config is None:
        problem = f"not a run folder, it has no {folder.config.name}"
        if not folder.path.exists():
            problem = "no such folder"
        raise UserError(f"{folder}: {problem}; give the `run_dir` of a training run.")
    for phase in config["phases"]:
        _check(folder.config, phase, _PHASE)
    return config


def read_scores(folder: RunFolder) -> dict[str, Any] | None:
    """Read scores.json: `resolution`, and `scores` by split; `None` if there is none.

    Raises:
        UserError: if the file is damaged.
    """
    scores = read_json(folder.scores, {"resolution": int, "scores": dict})
    for values in scores["scores"].values() if scores else ():
        _check(folder.scores, values, {})
    return scores


def read_history(folder: RunFolder) -> dict[str, list[float | None]]:
    """Read history.csv: a value for each epoch by column, `None` where it is empty.

    Returns:
        An empty dict if there is no file.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder.history
    text = _read_text(path) or ""
    if text and not text.endswith("\n"):
        raise _damaged(path, "the last line is cut off; remove that line")
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise _damaged(path, f"not CSV: {error}") from error
    names = rows[0] if rows else []
    if len(set(names)) < len(names):
        raise _damaged(path, f"a column appears twice: {','.join(names)!r:.80}")
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
    # Keras writes NA where an epoch has no value.
    if cell in ("", "NA"):
        return None
    try:
        return float(cell)
    except ValueError as error:
        raise _damaged(
            path, f"row {number}, {name!r}: a number is expected, received {cell!r:.40}"
        ) from error


def read_json(
    path: Path, types: Mapping[str, type], lists: Sequence[str] = ()
) -> dict[str, Any] | None:
    """Read a JSON object; `None` if there is no such file.

    Args:
        path: of the file.
        types: of its values.
        lists: those where a single text stands for a list of one.
    """
    text = _read_text(path)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"not JSON: {error}") from error
    for name in lists:
        if isinstance(content, dict) and isinstance(content.get(name), str):
            content[name] = [content[name]]
    _check(path, content, types)
    return content


def _check(path: Path, content: Any, types: Mapping[str, type]) -> None:
    """Refuse values of other types, and add an empty value where one is missing."""
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
    remedy = "repair it, or remove it to have the report without it"
    if path.name == "config.json":
        remedy = "restore it from a copy or start a new run"
    return UserError(f"{path}: the file is damaged ({what}); {remedy}.")
