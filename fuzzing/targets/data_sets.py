"""Damaged data sets: records, shards, and the JSON files beside them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from fuzzing import drawings, structures
from fuzzing.mutations import TEXTS, mutate
from fuzzing.target import Target, WrongContentError, check_line, refuse_for
from keras_depthseg.datasets import opening
from keras_depthseg.datasets.compose import compose
from keras_depthseg.datasets.inspection.damage import naming_damage, open_without_damage
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.errors import UserError
from keras_depthseg.pipeline import make_pipeline

_SIDE = 32
_PICTURES = ("bg", "fg_bg", "mask", "depth")


def _compose(folder: Path, count: int, **options: Any) -> list[Path]:
    """Compose a data set of one split; return its shards."""
    drawings.write_sources(folder / "sources")
    compose(
        drawings.compose_options(
            folder / "sources",
            size=_SIDE,
            count=count,
            split="random",
            val_fraction=0,
            workers=1,
            **options,
        ),
        folder / "data",
    )
    shutil.rmtree(folder / "sources")
    return sorted((folder / "data").glob("*.tfrecord-*"))


def _records(shard: Path) -> list[bytes]:
    data: Any = tf.data.TFRecordDataset(str(shard))
    return [record.numpy() for record in data]


class _DataSetTarget(Target):
    count: int

    def prepare(self) -> None:
        for name, lossless in (("jpeg", False), ("png", True)):
            (self.folder / name).mkdir()
            _compose(self.folder / name, self.count, lossless=lossless)

    def load(self) -> None:
        self.data = self.folder / "png/data"
        self.shards = {
            name: next((self.folder / name / "data").glob("*.tfrecord-*"))
            for name in ("jpeg", "png")
        }
        self.stored = {name: _records(shard) for name, shard in self.shards.items()}

    def link_json(self) -> None:
        """Put the JSON files of the healthy data set into the case."""
        for path in self.data.glob("*.json"):
            (self.case / path.name).symlink_to(path)

    @property
    def damaged_shard(self) -> Path:
        return self.case / self.shards["png"].name


class Records(_DataSetTarget):
    """Records damaged before they are framed: all checksums of the shard are right."""

    name = "records"
    items = count = 64

    def damage(self, rng: random.Random) -> None:
        self.link_json()
        self.train = rng.random() < 0.03
        pool = [*self.stored["png"], *self.stored["jpeg"]]
        with tf.io.TFRecordWriter(str(self.damaged_shard)) as writer:
            for _ in range(self.items):
                record = rng.choice(pool)
                change = mutate if rng.random() < 0.3 else _mutate_fields
                writer.write(change(record, rng))

    def read(self) -> None:
        refused = None
        try:
            if self.train:
                _train_on(self.case)
        except UserError as error:
            refused = error
        report = validate(self.case)
        refuse_for([*report.errors, *report.warnings, *report.notes])
        if refused is not None:
            raise refused


def _train_on(folder: Path) -> None:
    """Read all batches as training does, then without the records that are damaged."""
    refused = None
    try:
        records = open_records(folder)
        with naming_damage([records]):
            _read(records)
    except UserError as error:
        refused = error
    records, damage = open_without_damage(folder)
    if records.size("train"):
        _read(records)
    for line in damage.lines:
        check_line(line)
    if refused is not None:
        raise refused


def _read(records: opening.Records) -> None:
    for _ in make_pipeline(records, batch_size=8, resolution=_SIDE, whole_samples=True):
        pass


def _mutate_fields(record: bytes, rng: random.Random) -> bytes:
    """Damage fields of a `tf.train.Example`."""
    example = tf.train.Example.FromString(record)
    features = example.features.feature
    for _ in range(rng.randint(1, 6)):
        name = rng.choice(sorted(features) or ["bg"])
        feature = features[name]
        what = rng.random()
        if what < 0.06:
            del features[name]
        elif what < 0.1:
            feature.Clear()
        elif what < 0.14:
            feature.int64_list.value.extend([rng.choice((0, -1, 2**63 - 1))])
        elif what < 0.18:
            feature.bytes_list.value.append(b"more")
        elif name in _PICTURES and feature.bytes_list.value:
            data = feature.bytes_list.value[0]
            feature.bytes_list.value[0] = structures.mutate_picture(data, rng)
        elif name == "box":
            numbers = (0.0, -1.0, 2.0, 1e38, float("nan"), float("inf"), -0.0, 0.5, 1e-45)
            box = list(feature.float_list.value) or [0.0]
            box[rng.randrange(len(box))] = rng.choice(numbers)
            if rng.random() < 0.2:
                box = box[: rng.randrange(5)]
            feature.float_list.value[:] = box
        elif feature.bytes_list.value:
            text = rng.choice(TEXTS).encode(errors="surrogatepass")
            choices = (text, b"\xff\xfe", b"", b"x" * 10_000)
            feature.bytes_list.value[0] = rng.choice(choices)
    return example.SerializeToString(deterministic=True)


class Shards(_DataSetTarget):
    """Shards damaged as a disk does it, with checksums that are mostly wrong then."""

    name = "shards"
    count = 8

    def damage(self, rng: random.Random) -> None:
        self.link_json()
        self.train = rng.random() < 0.15
        data = self.shards["png"].read_bytes()
        what = rng.random()
        if what < 0.75:
            data = mutate(data, rng, 2)
        else:
            # Whole records are dropped, repeated and exchanged, or claim a wrong length.
            parts = [structures.framed(record) for record in self.stored["png"]]
            at = rng.randrange(len(parts))
            if what < 0.8:
                del parts[at]
            elif what < 0.85:
                parts.insert(at, parts[at])
            elif what < 0.95:
                length = rng.choice((0, 1, 2**31, 2**40, 2**63, 2**64 - 1, 2**64 - 16))
                parts[at] = structures.wrong_length(length) + parts[at][12:]
            else:
                parts.reverse()
            data = b"".join(parts)
        self.damaged_shard.write_bytes(data)

    def read(self) -> None:
        refused = None
        try:
            open_records(self.case)
            if self.train:
                _train_on(self.case)
        except UserError as error:
            refused = error
        report = validate(self.case)
        if refused is None and not report.errors:
            found = _records(self.damaged_shard)
            if sorted(found) != sorted(self.stored["png"]):
                raise WrongContentError("a shard with other records")
        refuse_for(report.errors)
        if refused is not None:
            raise refused


class Info(_DataSetTarget):
    """`dataset_info.json`, `features.json` and `metadata.json`."""

    name = "info"
    count = 2

    def damage(self, rng: random.Random) -> None:
        self.link_json()
        self.damaged_shard.symlink_to(self.shards["png"])
        self.train = rng.random() < 0.03
        file = rng.choice(("dataset_info.json", "features.json", "metadata.json"))
        (self.case / file).unlink()
        text = (self.data / file).read_bytes()
        if rng.random() > 0.02:
            (self.case / file).write_bytes(structures.mutate_json(text, rng))

    def read(self) -> None:
        records = open_records(self.case)
        # What the commands show and use of them.
        for split, count in records.splits.items():
            records.size(split)
            int(count)
        _ = records.depth, records.statistics, records.depth_dtype
        if self.train:
            _train_on(self.case)
        report = validate(self.case)
        refuse_for(report.errors)
