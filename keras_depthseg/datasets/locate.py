"""From what the user says (`--data`) to a folder of records."""

from __future__ import annotations

import os
import re
from pathlib import Path

from keras_depthseg.errors import UserError

_NAMED = re.compile(r"(rooms|pets_in_rooms)(?::(\d+))?", re.ASCII)


def default_cache_dir() -> Path:
    """Where records that are made from something else are kept.

    `$KERAS_DEPTHSEG_CACHE`, else `keras_depthseg` in `$XDG_CACHE_HOME` or `~/.cache`.
    """
    if path := os.environ.get("KERAS_DEPTHSEG_CACHE"):
        return Path(path)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras_depthseg"


def locate_records(
    data: str,
    cache_dir: Path,
    *,
    splitting: str | None = None,
    seed: int = 0,
    size: int = 224,
) -> Path:
    """The folder of records that `data` means; makes them first where needed.

    Args:
        data: a folder of records; a folder in the original layout, which is turned into
            records once; `rooms` or `rooms:COUNT` for the embedded data set;
            `pets_in_rooms[:COUNT]` for one composed of public data sets, downloaded.
        cache_dir: where records that are made here go.
        splitting: of the original layout, one of `records.SPLITTINGS`; `None` is
            `identity`. Other data is split already.
        seed: of the split of the original layout, and of the rooms.
        size: side of the pictures of the named data sets, in pixels.

    Raises:
        UserError: if `data` is none of these, or something in it is bad.
    """
    from keras_depthseg.datasets import original_layout, pets_in_rooms, rooms

    check_data(data, splitting)
    folder = Path(data)
    if match := _NAMED.fullmatch(data):
        named = {"rooms": rooms, "pets_in_rooms": pets_in_rooms}[match[1]]
        count = int(match[2]) if match[2] else named.DEFAULT_SAMPLES
        return named.build(cache_dir, num_samples=count, size=size, seed=seed)
    if _is_records(folder):
        return folder
    return original_layout.build(
        folder, cache_dir, splitting=splitting or "identity", seed=seed
    )


def check_data(data: str, splitting: str | None = None) -> None:
    """Check that `data` names something, in milliseconds: without TensorFlow.

    Args:
        data: see `locate_records`.
        splitting: see `locate_records`.

    Raises:
        UserError: if `locate_records` would refuse `data` before reading it.
    """
    folder = Path(data)
    layout = any((folder / name).exists() for name in ("file_map.txt", "bg", "fg_bg"))
    if splitting is not None and (not layout or _is_records(folder)):
        raise UserError(
            f"`splitting`: received {splitting} for {data}, which is split already; this "
            "argument is for a folder in the original layout. Leave it out."
        )
    if _NAMED.fullmatch(data) or _is_records(folder):
        return
    if not folder.is_dir():
        raise UserError(
            f"{data}: no such folder; give a folder of records, a folder in the original "
            "layout (bg/, fg_bg/, fg_bg_mask/, fg_bg_depth/, file_map.txt), or rooms."
        )
    if not layout:
        raise UserError(
            f"{data}: neither records (no dataset_info.json) nor the original layout (no "
            "file_map.txt, no bg/); give one of the two, or rooms."
        )


def _is_records(folder: Path) -> bool:
    return (folder / "dataset_info.json").is_file()
