"""Opens a folder of records, and checks that it is a complete data set."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_depthseg.backend import untuned
from keras_depthseg.datasets.folder_kinds import is_records, meant_instead
from keras_depthseg.datasets.frames import (
    Stretch,
    read_frames,
    read_stretches,
    whole_frames,
)
from keras_depthseg.datasets.records import REQUIRED_FIELDS
from keras_depthseg.errors import UserError
from keras_depthseg.text import shortened

REPAIR = (
    "restore the file from a copy, build the data set again, or train without what is "
    "damaged (depthseg train --skip-damaged)"
)
"""The remedy for damaged records."""

Whole = Mapping[str, Sequence[Stretch]]
"""The records of shards, by the names of the files, without the damaged ones."""


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
        whole: of shards with damaged records, those to read; the others are left out.
        fingerprint: digests that tell other records: of each split's, as far as they are
            read, and of the `description` of all; empty if shards were not checked.
    """

    path: Path
    builder: tfds.core.DatasetBuilder
    metadata: dict[str, Any]
    whole: Whole = dataclasses.field(default_factory=dict)
    fingerprint: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
        """The number of samples of each split, without those that are left out."""
        counts = dict.fromkeys(self.builder.info.splits, 0)
        for shard in self.shards():
            counts[shard.split] += sum(each.records for each in self.stretches(shard))
        return counts

    def size(self, split: str) -> int:
        """Return the number of samples in a split; 0 if there is no such split."""
        return self.splits.get(split, 0)

    def shards(self) -> Iterator[StoredShard]:
        """Yield the files of all splits, one split after the other."""
        for name, split in self.builder.info.splits.items():
            for path, count in zip(split.filepaths, split.shard_lengths, strict=True):
                yield StoredShard(name, Path(path), count)

    def stretches(self, shard: StoredShard) -> Sequence[Stretch]:
        """Return which records of a shard are read: all, unless some are damaged."""
        return self.whole.get(shard.path.name, [Stretch(0, shard.examples)])


def require_depth(records: Records) -> None:
    """Raise `UserError` for a data set of masks only."""
    if not records.has_depth:
        raise UserError(
            f"{records.path}: its samples have no depth, which the network learns too; "
            "compose the data set again, by `depthseg data compose --depth`."
        )


def open_records(
    data_dir: str | Path, *, check_shards: bool = True, whole: Whole | None = None
) -> Records:
    """Open a folder that a builder of this package has written.

    Args:
        data_dir: the folder.
        check_shards: `False` opens the data set whatever its shards are like, to find
            out what is wrong with them.
        whole: of shards with damaged records, those to read.

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
        metadata = dict(builder.info.metadata or {})
        records = Records(path, builder, metadata, whole or {})
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
        return dataclasses.replace(records, fingerprint=_fingerprint(records))
    return records


def _check_metadata(metadata: dict[str, Any]) -> None:
    """Raise an error unless values have the types that builders write."""
    for name in ("depth", "licences", "sources", "statistics"):
        if not isinstance(metadata.get(name) or {}, dict):
            raise TypeError(f"{name}: an object is expected")
    for branch in (metadata.get("statistics") or {}).values():
        for values in branch.values():
            # Of three channels; also false for NaN. JSON has integers no float can hold.
            most = sys.float_info.max
            if not all(type(v) in (int, float) and 0 <= v <= most for v in values):
                raise ValueError("statistics: three numbers are expected")
            _, _, _ = values


def _fingerprint(records: Records) -> dict[str, str]:
    """Return `Records.fingerprint`, by the checksums that the files have already.

    Raises:
        UserError: a shard is missing or cut short.
    """
    features = json.loads((records.path / "features.json").read_text())
    shards = [
        (shard.split, shard.path.name, shard.examples) for shard in records.shards()
    ]
    description = [features, records.metadata, shards]
    text = json.dumps(description, sort_keys=True, default=str)
    digests = {name: hashlib.sha256() for name in records.splits}
    for shard in records.shards():
        digest = digests[shard.split]
        end = _check_shard(shard, records.stretches(shard), digest)
        if shard.path.name not in records.whole and end != shard.path.stat().st_size:
            more = shard.path.stat().st_size - end
            raise UserError(
                f"{shard.path}: this shard is damaged: bytes after the last of its "
                f"{shard.examples} records: {more}; {REPAIR}."
            )
    found = {name: digest.hexdigest() for name, digest in digests.items()}
    return {"description": hashlib.sha256(text.encode()).hexdigest(), **found}


def _check_shard(shard: StoredShard, stretches: Sequence[Stretch], digest: Any) -> int:
    """Check that stretches are whole, by the lengths of records; return their end.

    Args:
        shard: the file.
        stretches: what is read of it.
        digest: is updated with the checksums of the records.
    """
    digest.update(b"%d\n" % sum(stretch.records for stretch in stretches))
    # Not `Path.is_file`, which has an error for a name that is too long.
    if stretches and not os.path.isfile(shard.path):
        # A damaged description may claim a name of any length.
        path = shard.path.with_name(shortened(shard.path.name, 255))
        raise UserError(f"{path}: this shard is missing; {REPAIR}.")
    end = 0
    for stretch in stretches:
        end, left = stretch.offset, stretch.records
        for frame in itertools.islice(read_frames(shard.path, end), left):
            digest.update(frame.about)
            end = frame.end
            left -= 1
        if left:
            raise UserError(
                f"{shard.path}: this shard is damaged or cut short: record "
                f"{_whole_records(shard)} of {shard.examples}, from 0, is not whole; "
                f"{REPAIR}."
            )
    return end


def _whole_records(shard: StoredShard) -> int:
    """Return the number of records before the first damaged one, by their checksums."""
    count = 0
    fitting, _ = whole_frames(shard.path)
    everything = [Stretch(0, min(fitting, shard.examples))]
    with contextlib.suppress(tf.errors.OpError):
        for _ in read_stretches(str(shard.path), everything).with_options(untuned()):
            count += 1
    return count
