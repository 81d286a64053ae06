"""Validates a data set: reads, decodes and compares every record of every split."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.building.jobs import in_threads
from keras_depthseg.datasets.frames import FRAME_BYTES
from keras_depthseg.datasets.inspection.leaks import SEEN, Identities
from keras_depthseg.datasets.inspection.sample_checks import Checked, check_sample
from keras_depthseg.datasets.inspection.stored_records import read_shard
from keras_depthseg.datasets.opening import Records, StoredShard, open_records
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.datasets.stored_sample import StoredSample, parse
from keras_depthseg.text import listed, shortened

# Two decoders of JPEG differ by less.
_STATISTICS_TOLERANCE = 1e-3

# A cutout seems inverted if that share of its samples does: this many of them, or of all
# cutouts that share. Of 5,100 good samples 7 do, with holes in them or in a group; of
# inverted cutouts all, and 28 % where they are turned and in groups.
_INVERTED = 0.2
_INVERTED_SAMPLES = 3
_INVERTED_OF_ALL = 0.05


@dataclasses.dataclass
class Report:
    """The findings of `validate`.

    Attributes:
        splits: samples that could be read, by split.
        errors: make the data set unusable or its scores wrong; one line each.
        warnings: suspicious, or not checked; one line each.
        notes: good to know; one line each.
    """

    splits: dict[str, int] = dataclasses.field(default_factory=dict)
    errors: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def samples(self) -> int:
        """The number of samples that could be read, in all splits."""
        return sum(self.splits.values())

    def lines(self) -> list[str]:
        """Return the report as text, the summary last."""
        kinds = {"error": self.errors, "warning": self.warnings, "note": self.notes}
        counts = ", ".join(
            f"{len(lines) or 'no'} {kind}{'' if len(lines) == 1 else 's'}"
            for kind, lines in kinds.items()
            if kind != "note"
        )
        splits = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        return [
            *(f"{kind}: {line}" for kind, lines in kinds.items() for line in lines),
            f"{self.samples:,} samples ({splits}): {counts}",
        ]


def validate(
    data_dir: str | Path, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Check every record of every split, on all cores, a few in memory at a time.

    Errors: shards missing, cut short or with a wrong checksum (reading resumes with the
    next shard); records that cannot be parsed; pictures that cannot be decoded to their
    end, are of the wrong kind or of different sizes; empty masks, but of pairs whose
    box is 0, 0, 0, 0; boxes outside 0 to 1, not ordered, or without the mask (values
    above 127, one pixel tolerance); depth of 0 everywhere; a `sample_id` twice; counts
    and statistics other than the JSON files say; and leaks: a background or a cutout of
    an unseen split that is in `train` or `val`, under its own id or, nearly the same
    picture, under another one.

    Warnings: `fg_bg` differs from `bg` elsewhere than in the mask, as where the mask is
    inverted or belongs to another sample; cutouts seem inverted; a field is missing, so
    that some checks are left out.

    Args:
        data_dir: a folder of records.
        progress: called with the number of records done and of all.

    Raises:
        UserError: the folder does not exist, is not a data set of this package, or its
            JSON is damaged.
    """
    data_set = open_records(data_dir, check_shards=False)
    return _Validation(data_set, progress or (lambda done, total: None)).run()


class _Validation:
    def __init__(self, data_set: Records, progress: Callable[[int, int], None]):
        self.data_set = data_set
        self.progress = progress
        self.report = Report(splits=dict.fromkeys(data_set.splits, 0))
        self.backgrounds = Identities("background")
        self.cutouts = Identities("cutout")
        self.statistics = collections.defaultdict(ImageStatistics)
        self.inverted: dict[str, list[bool]] = collections.defaultdict(list)
        self.trained_on = 0
        self.places: dict[str, str] = {}

    def run(self) -> Report:
        self._check_metadata()
        total = sum(self.data_set.splits.values())
        for done, (split, sample, where, checked) in enumerate(
            in_threads(self._check, self._tasks()), start=1
        ):
            self._add(split, sample, where, checked)
            self.progress(min(done, total), total)
        self._warn_of_inverted()
        self._compare_statistics()
        self._check_leaks()
        return self.report

    def _check_metadata(self) -> None:
        features, metadata = self.data_set.features, self.data_set.metadata
        depth = metadata.get("depth") or {}
        if "depth" not in features:
            self.report.notes.append(
                "no depth: a data set of masks only, on which only the mask is trained"
            )
        elif depth.get("unit") not in ("relative", "metre"):
            self.report.warnings.append(
                "metadata.json: depth has no unit, 'relative' or 'metre'"
            )
        elif (depth["unit"] == "metre") != bool(depth.get("scale")):
            self.report.errors.append(
                "metadata.json: depth in metres needs a scale, relative depth has none; "
                f"received unit={depth['unit']!r}, scale={depth.get('scale')!r}"
            )
        if not metadata.get("statistics"):
            self.report.warnings.append("metadata.json: no statistics of bg and fg_bg")
        for field in sorted({"fg_id", "box"} - features):
            self.report.warnings.append(
                f"features.json: no {field}; checks that need it are left out"
            )

    def _tasks(self) -> Iterator[tuple]:
        for shard in self.data_set.shards():
            for number, record in self._records(shard):
                where = f"{shard.name} record {number}"
                try:
                    sample = parse(record, self.data_set.features)
                except ValueError as error:
                    self.report.errors.append(f"{where}: {error}")
                    continue
                where = f"{where} {shortened(sample.sample_id)!r}"
                yield shard.split, sample, where

    def _records(self, shard: StoredShard) -> Iterator[tuple[int, bytes]]:
        """Yield records and their numbers, from 0; report damage of the shard."""
        count = size = 0
        try:
            for record in read_shard(shard.path):
                yield count, record
                count += 1
                size += len(record) + FRAME_BYTES
            more = shard.path.stat().st_size - size
        except tf.errors.NotFoundError:
            self.report.errors.append(f"{shard.name}: the shard {shard.path} is missing")
        except tf.errors.DataLossError:
            self.report.errors.append(
                f"{shard.name}: damaged after {count} records of {shard.examples} (cut "
                "short, or a wrong checksum); the rest is not read"
            )
        except tf.errors.OpError as error:
            reason = " ".join(error.message.split())
            self.report.errors.append(
                f"{shard.name}: the shard cannot be read ({reason})"
            )
        else:
            if count != shard.examples:
                self.report.errors.append(
                    f"{shard.name}: it holds {count} records; dataset_info.json says "
                    f"{shard.examples}"
                )
            elif more:  # The reader ignores a few bytes at the end.
                self.report.errors.append(
                    f"{shard.name}: damaged: {more} bytes after the last record"
                )

    def _check(
        self, split: str, sample: StoredSample, where: str
    ) -> tuple[str, StoredSample, str, Checked]:
        """Check one sample. Runs in a worker thread."""
        checked = check_sample(
            sample,
            where,
            self.data_set.depth_dtype,
            hash_bg=sample.bg_id not in self.backgrounds.hashes,
            hash_fg=sample.fg_id is not None and sample.fg_id not in self.cutouts.hashes,
        )
        return split, sample, where, checked

    def _add(
        self, split: str, sample: StoredSample, where: str, checked: Checked
    ) -> None:
        self.report.splits[split] += 1
        self.report.errors += checked.errors
        self.report.warnings += checked.warnings
        first = self.places.setdefault(sample.sample_id, where)
        if first is not where:
            self.report.errors.append(f"{where}: its sample_id is also that of {first}")
        self.inverted[sample.fg_id or sample.sample_id].append(checked.inverted)
        self.backgrounds.add(sample.bg_id, split, checked.bg_hash, checked.bg_digest)
        if sample.fg_id is not None:
            self.cutouts.add(sample.fg_id, split, checked.fg_hash)
        if split == "train":
            self.trained_on += bool(checked.statistics)
            for field, statistics in checked.statistics.items():
                self.statistics[field] += statistics

    def _warn_of_inverted(self) -> None:
        """Name cutouts of which it is the surroundings that were pasted."""
        counts = {name: sum(found) for name, found in self.inverted.items()}
        many = sum(counts.values()) >= _INVERTED_OF_ALL * self.report.samples
        names = sorted(
            name
            for name, count in counts.items()
            if count >= max(1, _INVERTED * len(self.inverted[name]))
            and (many or count >= _INVERTED_SAMPLES)
        )
        if names:
            shown = listed([self._source(name) for name in names])
            self.report.warnings.append(
                f"{len(names)} of {len(counts)} cutouts ({shown}): opaque around "
                "something transparent; expected opacity where the object is. If their "
                "masks or alpha channels are inverted, invert them and build the data "
                "set again."
            )

    def _source(self, name: str) -> str:
        """Return the id of a cutout with its file, where the metadata has it."""
        sources = self.data_set.metadata.get("sources")
        source = sources.get(name) if isinstance(sources, dict) else None
        file = source.get("file") if isinstance(source, dict) else None
        return f"{name}: {file}" if file else name

    def _compare_statistics(self) -> None:
        """Compare only if all of train was read; missing samples are reported already."""
        stored = self.data_set.metadata.get("statistics") or {}
        if self.trained_on != self.data_set.splits.get("train"):
            return
        for field, statistics in self.statistics.items():
            for name, found in statistics.result().items():
                expected = stored.get(field, {}).get(name)
                if expected is None:
                    continue
                # Also true for NaN and for another number of channels.
                if np.shape(expected) != (3,) or not np.allclose(
                    expected, found, rtol=0, atol=_STATISTICS_TOLERANCE
                ):
                    self.report.errors.append(
                        f"metadata.json: the {name} of {field} over train is "
                        f"{_shown(found)}, not {_shown(expected)}"
                    )

    def _check_leaks(self) -> None:
        if set(self.data_set.splits) <= set(SEEN):
            if len(self.data_set.splits) > 1:
                self.report.notes.append(
                    "only train and val, which may share backgrounds and cutouts: "
                    "scores on val say nothing about unseen ones"
                )
            return
        self.report.errors += self.backgrounds.leaks() + self.cutouts.leaks()


def _shown(values: Any) -> str:
    numbers = np.ravel(values)
    if not np.issubdtype(numbers.dtype, np.number):
        return repr(values)
    return "(" + ", ".join(f"{value:.4f}" for value in numbers) + ")"
