"""From what the user says (`--data`) to a folder of records."""

from __future__ import annotations

import os
import re
from pathlib import Path

from keras_depthseg.datasets import modest, rooms
from keras_depthseg.errors import UserError

_ROOMS = re.compile(r"rooms(?::(\d+))?", re.ASCII)


def default_cache_dir() -> Path:
    """Where records that are made from something else are kept.

    `$KERAS_DEPTHSEG_CACHE`, else `keras_depthseg` in `$XDG_CACHE_HOME` or `~/.cache`.
    """
    if path := os.environ.get("KERAS_DEPTHSEG_CACHE"):
        return Path(path)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras_depthseg"


def locate_records(
    data: str, cache_dir: Path, *, seed: int = 0, rooms_size: int = 224
) -> Path:
    """The folder of records that `data` means; makes them first where needed.

    Args:
        data: a folder of records; a folder in the original layout, which is turned into
            records once; `rooms` or `rooms:COUNT` for the embedded data set.
        cache_dir: where records that are made here go.
        seed: of the split of the original layout, and of the rooms.
        rooms_size: side of the rooms' pictures, in pixels.

    Raises:
        UserError: if `data` is none of these, or something in it is bad.
    """
    if match := _ROOMS.fullmatch(data):
        count = int(match[1]) if match[1] else rooms.DEFAULT_SAMPLES
        return rooms.build(cache_dir, num_samples=count, size=rooms_size, seed=seed)
    folder = Path(data)
    if not folder.is_dir():
        raise UserError(
            f"{data}: no such folder; give a folder of records, a folder in the original "
            "layout (bg/, fg_bg/, fg_bg_mask/, fg_bg_depth/, file_map.txt), or rooms."
        )
    if (folder / "dataset_info.json").is_file():
        return folder
    if any((folder / name).exists() for name in ("file_map.txt", "bg", "fg_bg")):
        return modest.build(folder, cache_dir, seed=seed)
    raise UserError(
        f"{data}: neither records (no dataset_info.json) nor the original layout (no "
        "file_map.txt, no bg/); give one of the two, or rooms."
    )
