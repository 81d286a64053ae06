"""Describes a training run on one HTML page: scores, pictures, curves, speed."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.figures import COLUMNS, ERROR_LEGENDS
from keras_depthseg.pages.html_page import shell_command, write_page
from keras_depthseg.pictures.checks import open_picture
from keras_depthseg.text import column_title
from keras_depthseg.training.curves import curves_svg
from keras_depthseg.training.history import History, epoch_count
from keras_depthseg.training.run_files import read_config, read_history, read_scores
from keras_depthseg.training.run_folder import RunFolder
from keras_depthseg.training.speed import LIMITING_INPUT_WAIT, phase_speeds

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_EPOCH_PICTURES = 4
# Pixels; the final picture is drawn 1500 wide.
_WIDTH, _EPOCH_WIDTH = 1500, 900


def write_report(run_dir: str | os.PathLike) -> Path:
    """Write report.html into a run folder: one file that needs no other.

    Reads the folder only, so the same folder gives the same bytes. The run may be
    unfinished: the page then says what is missing. The page is written atomically.

    Args:
        run_dir: a run folder with config.json, and where they exist history.csv,
            scores.json, predictions.png and pictures/.

    Returns:
        Path of the page.

    Raises:
        UserError: if this is no run folder, a file in it is damaged, or the page cannot
            be written.
    """
    folder = RunFolder(run_dir)
    write_page(folder.report, _TEMPLATE, _values(folder))
    return folder.report


def _values(folder: RunFolder) -> dict[str, Any]:
    config = read_config(folder)
    history = read_history(folder)
    scores = read_scores(folder)
    final, pictures = _pictures(folder)
    return dict(
        name=Path(os.path.abspath(folder)).name,
        facts=_facts(config),
        epochs=epoch_count(history),
        planned=sum(phase["epochs"] or 0 for phase in config["phases"]),
        scores=scores and _score_table(scores["scores"]),
        scored_at=scores and scores["resolution"],
        final=final,
        pictures=pictures,
        pictured="val" if config["samples"].get("val") else "train",
        columns=[
            f"{name} ({ERROR_LEGENDS[name]})" if name in ERROR_LEGENDS else name
            for name in COLUMNS
        ],
        curves=curves_svg(history),
        history=_history_table(history),
        speeds=phase_speeds(config["phases"], history),
        input_limit=LIMITING_INPUT_WAIT,
        recipe=_as_text(config["recipe"]),
        command=shell_command(config["command"]),
        versions=_as_text(config["versions"]),
    )


def _facts(config: Mapping) -> list[str]:
    facts = []
    if "width" in config["recipe"]:
        facts.append(f"width {config['recipe']['width']}")
    if config["parameters"] is not None:
        facts.append(f"{config['parameters']:,} parameters")
    data = [str(each) for each in config["data"]]
    if made := config["composites"]:
        data.append(f"composites of {made.get('bg')} and {made.get('fg')}")
    if data:
        samples = _as_text(config["samples"])
        counts = ", ".join(f"{split} {count}" for split, count in samples.items())
        facts.append(f"data {'; '.join(data)}" + (f" ({counts})" if counts else ""))
    if config.get("start_from") is not None:
        facts.append(f"started from {config['start_from']}")
    if config["depth"].get("unit") == "metre":
        facts.append(f"depth in metres, 1 is {config['depth'].get('scale')} m")
    elif config["depth"].get("unit"):
        facts.append(f"{config['depth']['unit']} depth")
    if config.get("precision") is not None:
        facts.append(str(config["precision"]))
    if config.get("seed") is not None:
        facts.append(f"seed {config['seed']}")
    if config.get("deterministic"):
        facts.append("deterministic")
    return facts


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def _score_table(scores: Mapping[str, Mapping]) -> list[list[str]]:
    """Return rows of cells, headings first."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(scores.values())))
    rows = [["split", *map(column_title, names)]]
    for split, values in scores.items():
        rows.append([split, *(_score(values.get(name)) for name in names)])
    return rows if scores else []


def _score(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _history_table(history: History) -> list[list[str]]:
    """Return rows of cells, headings first, without empty columns."""
    filled = {
        name for name, cells in history.items() if any(x is not None for x in cells)
    }
    names = ["epoch", "phase", "resolution", "loss", "val_loss"]
    for name in history:
        names += [name.removeprefix("val_"), f"val_{name.removeprefix('val_')}"]
    names = [name for name in dict.fromkeys(names) if name in filled]
    rows = zip(*(history[name] for name in names), strict=True)
    return [list(map(column_title, names))] + [
        [_cell(name, value) for name, value in zip(names, row, strict=True)]
        for row in rows
    ]


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name in ("epoch", "phase"):
        return f"{value + 1:g}"
    return f"{value:.1%}" if name == "input_wait" else f"{value:.5g}"


def _pictures(folder: RunFolder) -> tuple[str | None, list[tuple[int, str]]]:
    """Return data URIs: the final picture, and a few epochs with the first and last."""
    final = folder.predictions
    epochs = {}
    for path in sorted(folder.pictures.glob("epoch-*.png")):
        if match := re.fullmatch(r"epoch-(\d+)\.png", path.name, re.ASCII):
            epochs[int(match[1])] = path
    shown = np.linspace(0, len(epochs) - 1, min(len(epochs), _EPOCH_PICTURES))
    return _jpeg(final, _WIDTH) if final.is_file() else None, [
        (epoch, _jpeg(epochs[epoch], _EPOCH_WIDTH))
        for epoch in (sorted(epochs)[i] for i in shown.round().astype(int))
    ]


def _jpeg(path: Path, width: int) -> str:
    data = io.BytesIO()
    try:
        picture = open_picture(path.read_bytes(), str(path)).convert("RGB")
    except (OSError, UserError) as error:
        raise UserError(
            f"{path}: not a picture, or a damaged one; remove it to have the report "
            "without it."
        ) from error
    # At most twice as high as wide, so that no picture can outgrow the page.
    picture.thumbnail((width, 2 * width))
    picture.save(data, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
