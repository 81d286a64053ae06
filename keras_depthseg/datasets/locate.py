"""From the value of `data` to a folder of records.

Importing this module takes no time: the command line checks `data` before TensorFlow is
imported.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from keras_depthseg.errors import UserError

ROOM_SIZE = 224
"""Height and width of the images of the named data sets, in pixels.

One size for every resolution schedule: two schedules are scored on the same images.
"""

_NAMED = re.compile(
    r"(?:(pets_in_rooms)|rooms)(?::(\d+))?(?(1)|(?:,parallax=(\d+(?:\.\d+)?))?)", re.ASCII
)


def split_weight(data: str) -> tuple[str, float]:
    """Split `DATA[,weight=W]` into data and weight, which is 1 by default.

    Raises:
        UserError: if the weight is no number above 0.
    """
    name, comma, weight = data.rpartition(",weight=")
    if not comma:
        return data, 1.0
    try:
        value = float(weight)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(
            f"`data`: received the weight {weight!r} in {data}; accepted is a number "
            f"above 0, for instance {name},weight=2."
        )
    return name, value


def check_data(data: str) -> None:
    """Refuse a value of `data` that names no data set; nothing is built or opened.

    Args:
        data: as for `locate_records`.

    Raises:
        UserError: there is no such folder, or it holds no data set.
    """
    folder = Path(data)
    if _NAMED.fullmatch(data):
        return
    if not os.path.isdir(folder):
        raise UserError(
            f"{data}: no such folder; give a folder of records, a folder in the original "
            "layout (bg/, fg_bg/, fg_bg_mask/, fg_bg_depth/, file_map.txt), "
            "rooms[:COUNT][,parallax=CM] or pets_in_rooms[:COUNT]."
        )
    if not _is_records(folder) and not _is_original_layout(folder):
        raise UserError(
            f"{data}: neither records (no dataset_info.json) nor the original layout (no "
            "file_map.txt, no bg/); give one of the two, or rooms."
        )


def locate_records(
    data: str, cache_dir: Path, *, split: str | None = None, seed: int = 0
) -> Path:
    """Return the folder of the records of `data`; build them first if necessary.

    Args:
        data: a folder of records; a folder in the original layout, which is converted to
            records once; `rooms` or `rooms:COUNT` for the built-in data set, with
            `,parallax=CM` its backgrounds from a camera moved by so many centimetres;
            `pets_in_rooms[:COUNT]` for one composed of public data sets, downloaded.
            The images of the named ones are of `ROOM_SIZE`.
        cache_dir: where records that are built here are stored.
        split: how the original layout is split, one of `splits.SPLITTINGS`; `None` is
            `identity`. Other data is split already.
        seed: of the split of the original layout, and of the named data sets.

    Raises:
        UserError: `data` is none of these, or something in it cannot be used.
    """
    folder = Path(data)
    is_source = _is_original_layout(folder) and not _is_records(folder)
    if split is not None and not is_source:
        raise UserError(
            f"`split`: received {split} for {data}, which is split already; it is for a "
            "folder in the original layout. Leave it out."
        )
    check_data(data)
    if match := _NAMED.fullmatch(data):
        options = {}
        if match[1] is None:
            from keras_depthseg.datasets.rooms import rooms_dataset_builder as named

            if match[3]:
                options = {"parallax": float(match[3])}
        else:
            from keras_depthseg.datasets.pets_in_rooms import (
                pets_in_rooms_dataset_builder as named,
            )

        count = int(match[2]) if match[2] else named.DEFAULT_SAMPLES
        return named.build(
            cache_dir, num_samples=count, size=ROOM_SIZE, seed=seed, **options
        )
    if not is_source:
        return folder
    from keras_depthseg.datasets import original_layout

    return original_layout.build(
        folder, cache_dir, splitting=split or "identity", seed=seed
    )


def _is_records(folder: Path) -> bool:
    return (folder / "dataset_info.json").is_file()


def _is_original_layout(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("file_map.txt", "bg", "fg_bg"))
