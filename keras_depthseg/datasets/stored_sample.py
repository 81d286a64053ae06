"""A sample as a record stores it: encoded pictures, ids and the box."""

# pyright: reportAttributeAccessIssue=false
# protobuf creates the classes of its modules at run time.

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from keras_depthseg.datasets.records import IMAGE_FIELDS


class StoredSample(NamedTuple):
    """One record, its pictures as encoded bytes.

    A field that the record does not have, or that was not asked for, is `None`.

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


def parse(
    record: bytes, features: Collection[str], optional: Collection[str] = ()
) -> StoredSample:
    """Return the sample in a record of a shard.

    With protobuf's own parser: the one of TensorFlow 2.21 does not hold a length against
    the end of the record, and one that claims 2 GB ends the process by a segmentation
    fault.

    Args:
        record: a serialized `tf.train.Example`.
        features: names of the fields to read; others are `None`.
        optional: those that the record need not have.

    Raises:
        ValueError: the record is no `tf.train.Example`, or lacks one of `features` that
            is not optional.
    """
    try:
        fields = tf_example_pb2.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError("it is not a tf.train.Example") from error
    values: dict[str, Any] = {
        name: read(fields[name], name)
        if name in features and (name not in optional or name in fields)
        else None
        for name, read in _READERS.items()
    }
    return StoredSample(**values)


def _data(field: Any, name: str) -> bytes:
    values = field.bytes_list.value
    if len(values) != 1:
        raise ValueError(f"it has no {name}")
    return values[0]


def _text(field: Any, name: str) -> str:
    return _data(field, name).decode(errors="replace")


def _box(field: Any, name: str) -> tuple[float, ...]:
    values = tuple(field.float_list.value)
    if len(values) != 4:
        raise ValueError(f"it has no {name}")
    return values


_READERS = {
    **dict.fromkeys(IMAGE_FIELDS, _data),
    **dict.fromkeys(("sample_id", "bg_id", "fg_id"), _text),
    "box": _box,
}
