"""Finds the damaged records of a data set, and what is left when they are left out."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import tensorflow as tf

from keras_depthseg.backend import untuned
from keras_depthseg.datasets.batches import check_readable
from keras_depthseg.datasets.building.jobs import in_threads
from keras_depthseg.datasets.frames import (
    FRAME_BYTES,
    Stretch,
    next_frame,
    read_stretches,
    whole_frames,
)
from keras_depthseg.datasets.inspection.sample_checks import decode_all
from keras_depthseg.datasets.opening import REPAIR, Records, StoredShard, open_records
from keras_depthseg.datasets.stored_sample import parse
from keras_depthseg.errors import UserError
from keras_depthseg.text import reason, shortened

logger = logging.getLogger(__name__)

_NAMED = 3
"""Damaged records that an error names; all of them are counted."""


@dataclasses.dataclass
class Damage:
    """The damage of a data set.

    Attributes:
        lines: of each damaged record its shard, its number in the shard, from 0, and
            what is wrong.
        whole: of shards with damaged records, those that are whole.
    """

    lines: list[str] = dataclasses.field(default_factory=list)
    whole: dict[str, list[Stretch]] = dataclasses.field(default_factory=dict)


class _Place(NamedTuple):
    """The place of a record in a shard.

    Attributes:
        number: from 0.
        offset: in bytes.
        content: `None` where it cannot be read.
        problem: what is wrong with it, if anything.
    """

    number: int
    offset: int
    content: bytes | None = None
    problem: str | None = None


def find_damage(records: Records) -> Damage:
    """Read and decode every record of every split, on all cores.

    Damaged are: records whose length, content or checksums have changed; records that
    cannot be parsed or lack a field; pictures that cannot be decoded to their end, are of
    the wrong kind or of different sizes; and what is missing at the end of a shard.
    """
    damage = Damage()

    def check(place: _Place) -> _Place:
        return place._replace(problem=place.problem or _problem(place, records))

    for shard in records.shards():
        stretches = []
        places = in_threads(check, ((place,) for place in _places(shard)))
        for problem, group in itertools.groupby(places, lambda place: place.problem):
            run = list(group)
            if problem is None:
                stretches.append(Stretch(run[0].offset, len(run)))
            else:
                damage.whole[shard.path.name] = stretches
                damage.lines += [
                    f"{shard.name} record {place.number}: {problem}" for place in run
                ]
    return damage


def open_without_damage(data_dir: str | Path) -> tuple[Records, Damage]:
    """Open a folder of records, and leave out those that are damaged.

    Args:
        data_dir: as for `open_records`.

    Returns:
        The data set without them, and what is damaged.

    Raises:
        UserError: as `open_records`, but for damage of shards.
    """
    records = open_records(data_dir, check_shards=False)
    logger.info("Checking every record of %s …", data_dir)
    damage = find_damage(records)
    return open_records(data_dir, whole=damage.whole), damage


@contextlib.contextmanager
def naming_damage(
    data: Sequence[Records],
    known: Sequence[Damage] | None = None,
    keep: Callable[[list[Damage]], None] | None = None,
) -> Iterator[None]:
    """Name damaged records and pictures after an error of TensorFlow, which does not.

    All data is checked for that; without an error nothing is.

    Args:
        data: what is read within.
        known: the damage of each that is left out already.
        keep: called with all damage of each, if there is any.

    Raises:
        UserError: in place of the error, if there are damaged records.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise
    # The second where TensorFlow's message quotes bytes of a record.
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        # Of a picture of composites that are made on the way; TensorFlow keeps the text.
        if picture := re.search(r"UserError: (.+)", getattr(error, "message", "")):
            raise UserError(picture[1]) from error
        logger.info("\nA record cannot be read; checking every record …")
        found = [find_damage(records) for records in data]
        for i, (records, damage) in enumerate(zip(data, found, strict=True)):
            before = known[i].lines if known else []
            if lines := [line for line in damage.lines if line not in before]:
                if keep is not None:
                    keep(found)
                raise UserError(in_words(records.path, lines)) from error
        raise


def in_words(path: Path, lines: Sequence[str]) -> str:
    """Return one line that names damaged records, and the remedy.

    Args:
        path: the folder of the records.
        lines: those of `Damage`.
    """
    are = "a record is" if len(lines) == 1 else f"{len(lines)} records are"
    return f"{path}: {are} damaged: {shown(lines, _NAMED)}; {REPAIR}."


def without_remedy(error: UserError | str) -> str:
    """Return an error about a picture without its end, a remedy for files."""
    return str(error).partition(";")[0]


def shown(lines: Sequence[str], most: int) -> str:
    """Join the first lines, and say how many there are more."""
    more = len(lines) - most
    return "; ".join([*lines[:most], *([f"and {more} more"] if more > 0 else [])])


def _places(shard: StoredShard) -> Iterator[_Place]:
    """Yield as many places as the shard has records, and one for what is after them."""
    offset: int | None = 0
    number = 0
    # Not `Path.is_file`, which has an error for a name that is too long.
    if not os.path.isfile(shard.path):
        problem = "the file is missing"
        yield from (_Place(i, 0, problem=problem) for i in range(shard.examples))
        return
    size = shard.path.stat().st_size
    while offset is not None and offset < size and number < shard.examples:
        fitting, _ = whole_frames(shard.path, offset)
        if fitting == 0:
            yield _Place(
                number, offset, problem="its length is wrong, or it is cut short"
            )
            number += 1
            offset = next_frame(shard.path, offset)
            continue
        left = shard.examples - number
        rest = Stretch(offset, left if fitting < 0 else min(fitting, left))
        stored: Any = read_stretches(str(shard.path), [rest]).with_options(untuned())
        try:
            for content in stored.as_numpy_iterator():
                yield _Place(number, offset, content)
                number += 1
                offset += len(content) + FRAME_BYTES
        except tf.errors.OpError as error:
            reason = "a wrong checksum, or it is cut short"
            if not isinstance(error, tf.errors.DataLossError):
                reason = f"it cannot be read ({type(error).__name__})"
            yield _Place(number, offset, problem=reason)
            number += 1
            offset = next_frame(shard.path, offset)
    for missing in range(number, shard.examples):
        yield _Place(missing, size, problem="missing")
    if offset is not None and offset < size:
        more = f"{size - offset} bytes after the last record"
        yield _Place(number, offset, problem=more)


def _problem(place: _Place, records: Records) -> str | None:
    """Return what is wrong with the content of a record. Runs in a worker thread."""
    try:
        sample = parse(place.content or b"", records.features)
    except ValueError as error:
        return str(error)
    _, damage = decode_all(sample, repr(shortened(sample.sample_id)), records.depth_dtype)
    if damage:
        return without_remedy(damage[0])
    try:
        # Pillow reads some pictures that the reader of training does not.
        check_readable(sample.bg, sample.fg_bg, sample.mask, sample.depth)
    except (ValueError, cv2.error) as error:
        return reason(error)
    return None
