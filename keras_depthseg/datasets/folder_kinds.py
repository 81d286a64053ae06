"""What a folder is: records, the original layout, or beside such folders.

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


def meant_instead(folder: Path) -> str:
    """Return, for a message, what to give in place of a folder that is no data set.

    The data sets that it holds, or the one that it is part of; empty if there is none.
    """
    try:
        found = [str(path) for path in sorted(folder.iterdir()) if _is_data_set(path)]
    except OSError:
        found = []
    if found:
        return f"give what it holds: {listed(found, most=_NAMED)}"
    parent = Path(os.path.abspath(folder)).parent
    return f"give all of {parent}" if _is_data_set(parent) else ""


def _is_data_set(folder: Path) -> bool:
    return is_records(folder) or (folder / "file_map.txt").is_file()
