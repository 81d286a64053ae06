"""What a folder is: records, the original layout, or the parent of such folders.

Importing this module takes no time: the command line asks before TensorFlow is imported.
"""

from __future__ import annotations

import os
from pathlib import Path

from keras_depthseg.text import listed

_NAMED = 5


def is_records(folder: Path) -> bool:
    """Return whether a builder of TensorFlow Datasets has written the folder."""
    return (folder / "dataset_info.json").is_file()


def is_original_layout(folder: Path) -> bool:
    """Return whether the folder has something of the original layout."""
    return any((folder / name).exists() for name in ("file_map.txt", "bg", "fg_bg"))


def holds(folder: Path) -> str:
    """Return, for a message, the data sets one level below; empty if there are none."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    found = [
        str(folder / name)
        for name in names
        if is_records(folder / name) or (folder / name / "file_map.txt").is_file()
    ]
    return listed(found, most=_NAMED)
