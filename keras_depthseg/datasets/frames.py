"""Records of a TFRecord file by their places, also in damaged files.

In such a file each record comes after its length (8 bytes) and the checksum of the length
(4), and before its own checksum (4).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

_LENGTH_BYTES = 12
FRAME_BYTES = _LENGTH_BYTES + 4

_BUFFER_BYTES = 2**18  # What `tf.data.TFRecordDataset` takes.


class Stretch(NamedTuple):
    """Records of a file that stand one after the other.

    Attributes:
        offset: of the first of them, in bytes.
        records: their number.
    """

    offset: int
    records: int


class Frame(NamedTuple):
    """The place of one record.

    Attributes:
        end: of the record and its checksum, in bytes from the beginning of the file.
        about: its length and both checksums, as stored.
    """

    end: int
    about: bytes


def read_frames(path: Path, offset: int = 0) -> Iterator[Frame]:
    """Yield the frames from an offset on, as far as they fit into the file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        head = file.read(_LENGTH_BYTES)
        while len(head) == _LENGTH_BYTES:
            end = offset + struct.unpack("<Q", head[:8])[0] + FRAME_BYTES
            if end > size:
                return
            # One call reads the checksum of this record and the head of the next.
            file.seek(end - 4)
            more = file.read(4 + _LENGTH_BYTES)
            yield Frame(end, head + more[:4])
            offset, head = end, more[4:]


def whole_frames(path: Path, offset: int = 0) -> tuple[int, int]:
    """Return the number of frames that fit into a file, and their end.

    TensorFlow 2.21 must not read the next one: one that claims a terabyte, with the right
    checksum, ends the process by a segmentation fault.

    Returns:
        -1 and 0 for a file that cannot be read, about which TensorFlow says more.
    """
    count, end = 0, offset
    try:
        for frame in read_frames(path, offset):
            count, end = count + 1, frame.end
    except OSError:
        return -1, 0
    return count, end


def read_stretches(path: Any, stretches: Any) -> tf.data.Dataset:
    """Return the records of stretches; `tf.data.TFRecordDataset` begins at offset 0.

    Args:
        path: of the file, a text or a tensor.
        stretches: a list of `Stretch`, or an int64 tensor (N, 2).

    Returns:
        A data set of serialized records, which raises `tf.errors.DataLossError` at a
        damaged one.
    """

    def read(stretch):
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=[path],
            compression_type="",
            buffer_size=_BUFFER_BYTES,
            byte_offsets=stretch[:1],
            metadata="",
        )
        spec = tf.TensorSpec([], tf.string)
        return tf.data.experimental.from_variant(records, spec).take(stretch[1])

    stretches = tf.convert_to_tensor(stretches, tf.int64)
    # Only within a function: TensorFlow 2.21 cannot build the operation by itself.
    return tf.data.Dataset.from_tensor_slices(stretches).flat_map(read)


def next_frame(path: Path, offset: int) -> int | None:
    """Return where the next record begins after a damaged one at `offset`.

    Its own length says where, unless that is damaged, too: then the next place is taken
    that looks like the head of a record which another one or the end of the file follows.

    Returns:
        An offset in bytes; `None` after the last record.

    Raises:
        OSError: the file cannot be read.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        end = _end(data, offset)
        if end is not None and _begins(data, end):
            return end if end < len(data) else None
        position = offset + 1
        # The upper half of a length, which no record reaches, is 0.
        while (zeros := data.find(bytes(4), position + 4)) >= 0:
            position = zeros - 4
            end = _end(data, position)
            if end is not None and _begins(data, end):
                return position
            position += 1
    return None


def _end(data: mmap.mmap, offset: int) -> int | None:
    """Return the end of the record at an offset; `None` if there can be none."""
    if offset + FRAME_BYTES > len(data):
        return None
    (length,) = struct.unpack_from("<Q", data, offset)
    end = offset + length + FRAME_BYTES
    return end if length and end <= len(data) else None


def _begins(data: mmap.mmap, offset: int) -> bool:
    return offset == len(data) or _end(data, offset) is not None
