"""Damage of records, each kind as it may happen to a file."""

import tensorflow as tf

from keras_depthseg.datasets.frames import read_frames
from keras_depthseg.datasets.inspection.stored_records import read_shard
from tests.support.tiny_data import SIDE, colour, encoded


def rewrite(path, change):
    """Rewrites a shard; `change(number, fields)` edits a record in place."""

    def changed(number, record):
        example = tf.train.Example.FromString(record)
        change(number, Fields(example))
        return example.SerializeToString()

    _rewrite_bytes(path, changed)


def _rewrite_bytes(path, change):
    records = list(read_shard(path))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, record in enumerate(records):
            writer.write(change(number, record))


class Fields:
    """The fields of a record, to be read and set."""

    def __init__(self, example):
        self._feature = example.features.feature

    def _values(self, name):
        kind = "float_list" if name == "box" else "bytes_list"
        return getattr(self._feature[name], kind).value

    def __getitem__(self, name):
        values = self._values(name)
        return list(values) if name == "box" else values[0]

    def __setitem__(self, name, value):
        self._values(name)[:] = value if name == "box" else [value]

    def __delitem__(self, name):
        del self._feature[name]


def flip(path, number, at):
    """Flips a bit of a record; `at` counts bytes from its length on, or from its end."""
    ends = [0, *(frame.end for frame in read_frames(path))]
    begin, end = ends[number], ends[number + 1]
    data = bytearray(path.read_bytes())
    data[end + at if at < 0 else begin + at] ^= 16
    path.write_bytes(data)


def _cut(field):
    def change(fields):
        fields[field] = fields[field][: len(fields[field]) * 2 // 3]

    return change


def _remove(fields):
    del fields["mask"]


def _enlarge(fields):
    fields["fg_bg"] = encoded(colour(1, (SIDE + 1, SIDE)))


def _empty(fields):
    fields["mask"] = b""


EDITS = {
    "cut JPEG": (_cut("bg"), "bg: received a truncated or damaged picture"),
    "cut PNG": (_cut("mask"), "mask: received a truncated or damaged picture"),
    "field missing": (_remove, "it has no mask"),
    "picture of another size": (
        _enlarge,
        f"its pictures differ in size: bg {SIDE}x{SIDE}",
    ),
    "empty picture": (_empty, "mask: received an empty file"),
}
"""Changes of a record whose checksums are right, and what is said of them."""

FLIPS = {
    "length": 1,
    "checksum of the length": 9,
    "content": 400,
    "checksum of the content": -2,
}
"""Where a bit is flipped, see `flip`."""

TOO_LONG = "field that claims an exabyte"

KINDS = (*FLIPS, *EDITS, TOO_LONG)


def damage(path, number, kind):
    """Damages a record of a shard; returns what is said of it."""
    if kind in FLIPS:
        flip(path, number, FLIPS[kind])
        return "a wrong checksum, or it is cut short"
    if kind == TOO_LONG:
        _rewrite_bytes(path, lambda i, data: _claim_more(data) if i == number else data)
        return "it is not a tf.train.Example"
    change, text = EDITS[kind]
    rewrite(path, lambda i, fields: change(fields) if i == number else None)
    return text


def _claim_more(record):
    """TensorFlow's parser ends the process by a segmentation fault at this length."""
    name = tf.train.Example.FromString(record).features.feature["sample_id"]
    (stored,) = name.bytes_list.value
    at = record.index(bytes([len(stored)]) + stored)
    return record[:at] + b"\xff" * 8 + b"\x67" + record[at + 9 :]
