"""Opens a folder of records, and checks that it is a complete data set."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets.folder_kinds import is_records, meant_instead
from keras_depthseg.datasets.records import REQUIRED_FIELDS
from keras_depthseg.errors import UserError

# In a TFRecord file each record comes after its length (8 bytes) and the checksum of the
# length (4), and before its own checksum (4).
_LENGTH_BYTES = 12
FRAME_BYTES = _LENGTH_BYTES + 4


class StoredShard(NamedTuple):
    """One file of a split.

    Attributes:
        split: its name.
        path: of the file.
        examples: number of records according to `dataset_info.json`.
    """

    split: str
    path: Path
    examples: int

    @property
    def name(self) -> str:
        """The shard in messages: `train 00000-of-00002`."""
        return f"{self.split} {self.path.name.rpartition('.tfrecord-')[2]}"


@dataclasses.dataclass(frozen=True)
class Records:
    """An opened data set.

    Attributes:
        path: the folder.
        builder: the TFDS builder that reads it.
        metadata: `depth`, `statistics` and others; see `records.sample_metadata`.
    """

    path: Path
    builder: tfds.core.DatasetBuilder
    metadata: dict[str, Any]

    @property
    def depth(self) -> dict:
        """Unit, scale and direction of the depth, see `DepthMetadata`.

        Empty for a data set of masks only.
        """
        return self.metadata.get("depth") or {}

    @property
    def statistics(self) -> dict | None:
        """Mean and standard deviation per branch over `train`, in units of 0..1.

        As `DSResNet` takes them; `None` if the data set has none.
        """
        return self.metadata.get("statistics") or None

    @property
    def features(self) -> frozenset[str]:
        """The names of the fields of its samples."""
        features: Any = self.builder.info.features
        return frozenset(features)

    @property
    def has_depth(self) -> bool:
        """Whether its samples have depth, not masks only."""
        return "depth" in self.features

    @property
    def depth_dtype(self) -> type | None:
        """The type of the stored depth; `None` if there is none."""
        if not self.has_depth:
            return None
        features: Any = self.builder.info.features
        return np.dtype(features["depth"].np_dtype).type

    @property
    def splits(self) -> dict[str, int]:
        """The number of samples of each split."""
        splits = self.builder.info.splits
        return {name: split.num_examples for name, split in splits.items()}

    def size(self, split: str) -> int:
        """Return the number of samples in a split; 0 if there is no such split."""
        return self.splits.get(split, 0)

    def shards(self) -> Iterator[StoredShard]:
        """Yield the files of all splits, one split after the other."""
        for name, split in self.builder.info.splits.items():
            for path, count in zip(split.filepaths, split.shard_lengths, strict=True):
                yield StoredShard(name, Path(path), count)


def require_depth(records: Records) -> None:
    """Raise `UserError` for a data set of masks only."""
    if not records.has_depth:
        raise UserError(
            f"{records.path}: its samples have no depth, which the network learns too; "
            "compose the data set again, by `depthseg data compose --depth`."
        )


def open_records(data_dir: str | Path, *, check_shards: bool = True) -> Records:
    """Open a folder that a builder of this package has written.

    Args:
        data_dir: the folder.
        check_shards: `False` opens the data set whatever its shards are like, to find
            out what is wrong with them.

    Raises:
        UserError: the folder does not exist, is not such a data set, its JSON is
            damaged, or a shard is missing or cut short.
    """
    path = Path(data_dir)
    if not path.is_dir():
        raise UserError(
            f"{data_dir}: no such folder; give a folder of records, or one in the "
            "original layout."
        )
    if not is_records(path):
        raise UserError(
            f"{data_dir}: not a data set: dataset_info.json is missing; "
            f"{meant_instead(path) or 'give a folder of records'}."
        )
    try:
        builder = tfds.builder_from_directory(path)
        records = Records(path, builder, dict(builder.info.metadata or {}))
        features = records.features
        _ = records.depth_dtype, records.splits, list(records.shards())
        _check_metadata(records.metadata)
    except Exception as error:  # TFDS raises various errors for damaged JSON.
        raise UserError(
            f"{data_dir}: dataset_info.json, features.json or metadata.json is damaged "
            f"({type(error).__name__}); build the data set again."
        ) from error
    missing = [field for field in REQUIRED_FIELDS if field not in features]
    if missing:
        raise UserError(
            f"{data_dir}: not a data set of this package: its samples have no "
            f"{', '.join(missing)}; give one that has them."
        )
    if check_shards:
        for shard in records.shards():
            _check_shard(shard.path, shard.examples)
    return records


def _check_metadata(metadata: dict[str, Any]) -> None:
    """Raise an error unless values have the types that builders write."""
    for name in ("depth", "licences", "sources", "statistics"):
        if not isinstance(metadata.get(name) or {}, dict):
            raise TypeError(f"{name}: an object is expected")
    for branch in (metadata.get("statistics") or {}).values():
        for values in branch.values():
            # Of three channels; also false for NaN.
            if not all(type(v) in (int, float) and 0 <= v < math.inf for v in values):
                raise ValueError("statistics: three numbers are expected")
            _, _, _ = values


def _check_shard(path: Path, examples: int) -> None:
    """Check the number of records by their lengths, without reading their content."""
    if not path.is_file():
        raise UserError(f"{path}: this shard is missing; build the data set again.")
    size = path.stat().st_size
    found = position = 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            header = file.read(_LENGTH_BYTES)
            if len(header) < _LENGTH_BYTES:
                break
            end = position + struct.unpack("<Q", header[:8])[0] + FRAME_BYTES
            if end > size:
                break
            position = end
            found += 1
    if found != examples or position != size:
        raise UserError(
            f"{path}: this shard is damaged: it holds {found} whole records of "
            f"{examples}; build the data set again."
        )
