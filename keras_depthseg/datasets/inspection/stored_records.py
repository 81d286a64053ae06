"""Records read one by one as they are stored, encoded, also from damaged shards.

`opening.open_records` refuses a data set that is not whole. Here it is opened whatever
its shards are like, to say what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError

from keras_depthseg.backend import untuned
from keras_depthseg.errors import UserError

_NEEDED = ("bg", "fg_bg", "mask", "sample_id", "bg_id")


class Sample(NamedTuple):
    """One record; pictures as encoded bytes. `None` is what the data set does not have.

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


class StoredShard(NamedTuple):
    """One file of a split, and how many records `dataset_info.json` says it has."""

    split: str
    path: Path
    examples: int

    @property
    def name(self) -> str:
        """For messages: `train 00000-of-00002`."""
        return f"{self.split} {self.path.name.rpartition('.tfrecord-')[2]}"


class StoredDataSet:
    """The description of a data set, and its shards, which may be damaged.

    Attributes:
        name: e.g. `rooms/240x128px_seed0/1.0.0`.
        path: the folder.
        features: names of the fields that its samples have.
        depth_dtype: of the stored depth; `None` if there is none.
        metadata: `depth`, `statistics` and others; see `records.sample_metadata`.
        splits: number of samples by split.
        shards: all of them, a split after the other.
    """

    def __init__(self, data_dir: str | Path):
        """Reads the JSON files only.

        Raises:
            UserError: if the folder is not there, is not a data set of this package, or
                its JSON is damaged.
        """
        self.path = Path(data_dir)
        if not (self.path / "dataset_info.json").is_file():
            what = (
                "no dataset_info.json in it" if self.path.is_dir() else "no such folder"
            )
            raise UserError(
                f"{data_dir}: {what}; give a folder of records, written by a builder of "
                "this package."
            )
        try:
            builder = tfds.builder_from_directory(self.path)
            info = builder.info
            self.metadata = dict(info.metadata or {})
            self.features = frozenset(info.features)
            depth = info.features["depth"] if "depth" in self.features else None
            self.depth_dtype = depth and np.dtype(depth.np_dtype).type
        except Exception as error:  # Whatever TFDS makes of damaged JSON.
            raise UserError(
                f"{data_dir}: dataset_info.json, features.json or metadata.json is "
                f"damaged ({type(error).__name__}); build the data set again."
            ) from error
        missing = [field for field in _NEEDED if field not in self.features]
        if missing:
            raise UserError(
                f"{data_dir}: not a data set of this package: its samples have no "
                f"{', '.join(missing)}; give one that has them."
            )
        self.name = info.full_name
        self.splits = {name: split.num_examples for name, split in info.splits.items()}
        self.shards = [
            StoredShard(name, Path(path), examples)
            for name, split in info.splits.items()
            for path, examples in zip(split.filepaths, split.shard_lengths, strict=True)
        ]

    def parse(self, record: bytes) -> Sample:
        """One record of a shard.

        Raises:
            ValueError: if it is no `tf.train.Example`, or lacks one of `features`.
        """
        try:
            fields = tf.train.Example.FromString(record).features.feature
        except DecodeError as error:
            raise ValueError("it is not a tf.train.Example") from error

        def values(field: str, kind: str, count: int) -> Any:
            if field not in self.features:
                return None
            found = list(getattr(fields[field], kind).value)
            if len(found) != count:
                raise ValueError(f"it has no {field}")
            return found

        def text(field: str) -> str | None:
            found = values(field, "bytes_list", 1)
            return found and found[0].decode(errors="replace")

        pictures = (
            values(field, "bytes_list", 1) for field in ("bg", "fg_bg", "mask", "depth")
        )
        box = values("box", "float_list", 4)
        return Sample(
            *(found and found[0] for found in pictures),
            *(text(field) for field in ("sample_id", "bg_id", "fg_id")),
            box and tuple(box),
        )


def read_shard(path: Path) -> Iterator[bytes]:
    """The records of a shard in order.

    Raises:
        tf.errors.NotFoundError: if there is no such file.
        tf.errors.DataLossError: after the last whole record before damage.
    """
    for record in tf.data.TFRecordDataset(str(path)).with_options(untuned()):
        yield record.numpy()
