"""Opening a folder of records: is it one, is it whole, what does it say of itself."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import tensorflow_datasets as tfds

from keras_depthseg.errors import UserError

# Before each record of a TFRecord file stand its length (8 bytes) and the length's
# checksum (4); after it stands its own checksum (4).
_LENGTH_BYTES = 12
FRAME_BYTES = _LENGTH_BYTES + 4


@dataclasses.dataclass(frozen=True)
class Records:
    """An opened data set.

    Attributes:
        builder: the TFDS builder that reads it.
        depth: unit, scale and direction of its depth, see `DepthMetadata`; empty for a
            data set of masks only.
        statistics: mean and standard deviation per branch over `train`, in units of
            0..1, as `DSResNet` takes them; `None` if the data set has none.
    """

    builder: tfds.core.DatasetBuilder
    depth: dict
    statistics: dict | None

    def size(self, split: str) -> int:
        """Number of samples in a split; 0 if there is no such split."""
        splits = self.builder.info.splits
        return splits[split].num_examples if split in splits else 0


def require_depth(records: Records) -> None:
    """Raises `UserError` for a data set of masks only."""
    if "depth" not in records.builder.info.features:
        raise UserError(
            f"{records.builder.data_path}: its samples have no depth, which the network "
            "learns too; compose it again with --depth."
        )


def open_records(data_dir: str | Path) -> Records:
    """Opens a folder that a builder of this package has written.

    Raises:
        UserError: if the folder is not there, is not such a data set, or a shard of it
            is missing or cut short.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise UserError(
            f"{data_dir}: no such folder; give a folder of records, or one in the "
            "original layout."
        )
    if not (data_dir / "dataset_info.json").is_file():
        raise UserError(
            f"{data_dir}: not a data set: dataset_info.json is missing; give a folder "
            "written by a TensorFlow Datasets builder."
        )
    try:
        builder = tfds.builder_from_directory(data_dir)
        metadata = builder.info.metadata or {}
    except Exception as error:  # Whatever TFDS makes of damaged JSON.
        raise UserError(
            f"{data_dir}: dataset_info.json, features.json or metadata.json is damaged "
            f"({type(error).__name__}); build the data set again."
        ) from error
    missing = {"bg", "fg_bg", "mask", "sample_id", "bg_id"} - set(builder.info.features)
    if missing:
        raise UserError(
            f"{data_dir}: not a data set of this package: its samples have no "
            f"{', '.join(sorted(missing))}."
        )
    for split in builder.info.splits.values():
        for path, examples in zip(split.filepaths, split.shard_lengths, strict=True):
            _check_shard(Path(path), examples)
    return Records(
        builder=builder,
        depth=metadata.get("depth", {}),
        statistics=metadata.get("statistics") or None,
    )


def _check_shard(path: Path, examples: int) -> None:
    """Walks the record lengths only, without reading what stands between them."""
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
