"""Reads records one by one as they are stored, encoded, also from damaged shards."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError

from keras_depthseg.backend import untuned
from keras_depthseg.datasets.frames import FRAME_BYTES, whole_frames
from keras_depthseg.datasets.records import IMAGE_FIELDS


class Sample(NamedTuple):
    """One record, its pictures as encoded bytes.

    A field that the data set does not have is `None`.

    Attributes:
        bg, fg_bg, mask, depth: JPEG or PNG.
        sample_id, bg_id, fg_id: identities.
        box: ymin, xmin, ymax, xmax, as stored.
    """

    bg: bytes
    fg_bg: bytes
    mask: bytes
    depth: bytes | None
    sample_id: str
    bg_id: str
    fg_id: str | None
    box: tuple[float, ...] | None


def parse(record: bytes, features: Collection[str]) -> Sample:
    """Return the sample in a record of a shard.

    Args:
        record: a serialized `tf.train.Example`.
        features: names of the fields that the data set has.

    Raises:
        ValueError: the record is no `tf.train.Example`, or lacks one of `features`.
    """
    try:
        fields = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError("it is not a tf.train.Example") from error

    def values(field: str, kind: str, count: int) -> list[Any] | None:
        if field not in features:
            return None
        found = list(getattr(fields[field], kind).value)
        if len(found) != count:
            raise ValueError(f"it has no {field}")
        return found

    def data(field: str) -> Any:
        found = values(field, "bytes_list", 1)
        return found and found[0]

    def text(field: str) -> Any:
        found = data(field)
        return None if found is None else found.decode(errors="replace")

    box = values("box", "float_list", 4)
    return Sample(
        *(data(field) for field in IMAGE_FIELDS),
        *(text(field) for field in ("sample_id", "bg_id", "fg_id")),
        box=None if box is None else tuple(box),
    )


def read_shard(path: Path) -> Iterator[bytes]:
    """Yield the records of a shard in order.

    Raises:
        tf.errors.NotFoundError: the file does not exist.
        tf.errors.DataLossError: after the last whole record before damage.
    """
    data: Any = tf.data.TFRecordDataset(str(path)).with_options(untuned())
    count, end = whole_frames(path)
    for record in data.take(count):
        yield record.numpy()
    if count >= 0 and path.stat().st_size - end >= FRAME_BYTES:
        raise tf.errors.DataLossError(None, None, f"a record at {end} is cut short")
