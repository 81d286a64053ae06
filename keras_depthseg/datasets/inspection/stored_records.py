"""Reads records one by one as they are stored, encoded, also from damaged shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_depthseg.backend import untuned
from keras_depthseg.datasets.frames import FRAME_BYTES, whole_frames


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
