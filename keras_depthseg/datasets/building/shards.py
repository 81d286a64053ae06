"""The files of a data set: how samples are divided into them, and how one is written."""

from __future__ import annotations

import abc
import dataclasses
import errno
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from keras_depthseg.datasets.building.partial import Summaries, part_path
from keras_depthseg.datasets.records import Example, serialize
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.files import put_in_place
from keras_depthseg.shapes import ceil_div

_SAMPLES = 256
_MOST_SHARDS = 256


class Finding(NamedTuple):
    """What is wrong, or doubtful, with one sample of a source.

    Attributes:
        sample_id: of the sample.
        text: one line: file, reason, remedy.
        left_out: whether the sample is left out.
    """

    sample_id: str
    text: str
    left_out: bool


class Shard(abc.ABC):
    """The samples of one file. Can be pickled, to be made in another process."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abc.abstractmethod
    def examples(self) -> Iterator[Example | Finding]:
        """Yield the samples, and what is found about them, the same every time."""


def shard_count(samples: int) -> int:
    """Return the number of shards: one for each 256 samples begun, and 256 at most.

    256 samples of 224 px are 10 to 30 MB, which is about what a killed worker loses.
    """
    return max(1, min(_MOST_SHARDS, ceil_div(samples, _SAMPLES)))


def parts(items: Sequence | np.ndarray, count: int) -> list:
    """Divide `items`, in order, into `count` parts that differ by one item at most."""
    bounds = [len(items) * index // count for index in range(count + 1)]
    return [items[start:end] for start, end in itertools.pairwise(bounds)]


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """A shard to write; see `jobs.Job`.

    Attributes:
        path: of the TFRecord file.
        shard: its samples.
    """

    path: Path
    shard: Shard

    def __len__(self) -> int:
        return len(self.shard)

    def run(
        self, progress: tqdm | None = None, stop: threading.Event | None = None
    ) -> None:
        """Write the shard, unless it has been written already.

        Args:
            progress: updated with each sample.
            stop: once set, the shard is given up.

        Raises:
            OSError: the file cannot be written.
        """
        # Here, as rooms can be drawn where TensorFlow is not installed.
        import tensorflow as tf

        summaries = Summaries(self.path.parent)
        if self.path.name in summaries and self.path.exists():
            if progress is not None:
                progress.update(len(self.shard))
            return
        part = part_path(self.path)
        try:
            summary = self._write(part, progress, stop)
            if summary is None:
                return
            put_in_place(part, self.path)
            # Only now: a shard with a summary is complete.
            summaries[self.path.name] = summary
        except tf.errors.ResourceExhaustedError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), part) from error
        except tf.errors.OpError as error:
            raise OSError(errno.EIO, error.message, part) from error
        finally:
            part.unlink(missing_ok=True)

    def summary(self) -> dict:
        """Return `samples`, `bytes` and `statistics` of the written shard.

        And its `findings`, where there are some.
        """
        return Summaries(self.path.parent)[self.path.name]

    def _write(
        self, part: Path, progress: tqdm | None, stop: threading.Event | None
    ) -> dict | None:
        import tensorflow as tf

        samples = 0
        size = 0
        findings: list[Finding] = []
        statistics = {"bg": ImageStatistics(), "fg_bg": ImageStatistics()}
        with tf.io.TFRecordWriter(str(part)) as writer:
            for example in self.shard.examples():
                if stop is not None and stop.is_set():
                    return None
                if isinstance(example, Finding):
                    findings.append(example)
                    continue
                serialized = serialize(example.features)
                writer.write(serialized)
                samples += 1
                size += len(serialized)
                for field, total in statistics.items():
                    total += getattr(example, field)
                if progress is not None:
                    progress.update()
        return {
            "samples": samples,
            "bytes": size,
            "statistics": {name: total.to_json() for name, total in statistics.items()},
            **({"findings": findings} if findings else {}),
        }


def joined_statistics(summaries: Sequence[dict]) -> dict:
    """Return mean and standard deviation of `bg` and `fg_bg` over several shards."""
    joined = {}
    for field in ("bg", "fg_bg"):
        total = ImageStatistics()
        for summary in summaries:
            total += ImageStatistics.from_json(summary["statistics"][field])
        joined[field] = total.result()
    return joined
