"""From the value of `data` to a folder of records.

Importing this module takes no time: the command line checks `data` before TensorFlow is
imported.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from keras_depthseg.datasets.folder_kinds import (
    is_original_layout,
    is_records,
    meant_instead,
)
from keras_depthseg.errors import UserError
from keras_depthseg.text import split_option

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
    name, weight = _split_key(data, "weight")
    if weight is None:
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


def _split_key(data: str, key: str) -> tuple[str, str | None]:
    """Take `key=VALUE` out of `NAME,KEY=VALUE,…`; the value is `None` without it."""
    name, options = split_option(data)
    found = [option for option in options if option.startswith(f"{key}=")]
    if not found:
        return data, None
    if len(found) > 1:
        raise UserError(
            f"`data`: received {key} {len(found)} times in {data}; accepted is one. "
            "Leave the others out."
        )
    options.remove(found[0])
    return ",".join([name, *options]), found[0].partition("=")[2]


def split_larger(data: str) -> tuple[str, str | None]:
    """Split `DATA[,larger=farther|nearer]`.

    Raises:
        UserError: it is neither of the two.
    """
    name, larger = _split_key(data, "larger")
    if larger not in (None, "farther", "nearer"):
        raise UserError(
            f"`data`: received larger={larger} in {data}; accepted: larger=farther, "
            "where bright depth is far, or larger=nearer. Choose one."
        )
    return name, larger


def check_data(data: str) -> None:
    """Refuse a value of `data` that names no data set; nothing is built or opened.

    Args:
        data: as for `locate_records`.

    Raises:
        UserError: there is no such folder, or it holds no data set.
    """
    name, larger = split_larger(data)
    folder = Path(name)
    if _NAMED.fullmatch(name):
        _check_larger(name, larger)
        return
    if not os.path.isdir(folder):
        raise UserError(
            f"{name}: no such folder; give a folder of records, a folder in the original "
            "layout (bg/, fg_bg/, fg_bg_mask/, fg_bg_depth/, file_map.txt), "
            "rooms[:COUNT][,parallax=CM] or pets_in_rooms[:COUNT]."
        )
    if is_records(folder):
        _check_larger(name, larger)
    elif not is_original_layout(folder):
        raise UserError(
            f"{name}: neither records (no dataset_info.json) nor the original layout (no "
            f"file_map.txt, no bg/); {meant_instead(folder) or 'give one, or rooms'}."
        )


def _check_larger(name: str, larger: str | None) -> None:
    if larger is not None:
        raise UserError(
            f"`data`: received larger={larger} for {name}, which says itself what its "
            "depth means; it is for a folder in the original layout. Leave it out."
        )


def locate_records(
    data: str,
    cache_dir: Path,
    *,
    split: str | None = None,
    seed: int = 0,
    skip_damaged: bool = False,
) -> Path:
    """Return the folder of the records of `data`; build them first if necessary.

    Args:
        data: a folder of records; a folder in the original layout, which is converted to
            records once, with `,larger=nearer` where bright depth is near; `rooms` or
            `rooms:COUNT` for the built-in data set, with `,parallax=CM` its backgrounds
            from a camera moved by so many centimetres; `pets_in_rooms[:COUNT]` for one
            composed of public data sets, downloaded. The images of the named ones are of
            `ROOM_SIZE`.
        cache_dir: where records that are built here are stored.
        split: how the original layout is split, one of `splits.SPLITTINGS`; `None` is
            `identity`. Other data is split already.
        seed: of the split of the original layout, and of the named data sets.
        skip_damaged: leave out samples of the original layout that cannot be used.

    Raises:
        UserError: `data` is none of these, or something in it cannot be used.
    """
    name, larger = split_larger(data)
    folder = Path(name)
    is_source = is_original_layout(folder) and not is_records(folder)
    if split is not None and not is_source:
        raise UserError(
            f"`split`: received {split} for {name}, which is split already; it is for a "
            "folder in the original layout. Leave it out."
        )
    check_data(data)
    if match := _NAMED.fullmatch(name):
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
        folder,
        cache_dir,
        splitting=split or "identity",
        seed=seed,
        larger=larger or "farther",
        skip_damaged=skip_damaged,
    )
