"""Builders that write shard by shard: on several workers, in parts, always the same.

Every shard is made on its own, so the bytes do not depend on how many workers there
are, memory does not grow with the number of samples, Apache Beam can make shards on
other machines, and a build that was killed goes on with the first shard that is missing.
"""

from __future__ import annotations

import abc
import dataclasses
import errno
import itertools
import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tqdm.auto import tqdm

from keras_depthseg.datasets.building.clean_builder import CleanBuilder
from keras_depthseg.datasets.building.jobs import run_in_threads
from keras_depthseg.datasets.building.partial import empty, only_builder, remove_partial
from keras_depthseg.datasets.records import Example, serialize
from keras_depthseg.datasets.statistics import ImageStatistics
from keras_depthseg.errors import UserError
from keras_depthseg.files import put_in_place

_SAMPLES = 256
_MOST_SHARDS = 256


class Shard(abc.ABC):
    """The samples of one file; can be pickled, to be made in another process."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abc.abstractmethod
    def examples(self) -> Iterator[Example]:
        """Makes the samples: the same ones every time."""


def shard_count(samples: int) -> int:
    """In how many shards samples go: one for every 256 begun, and 256 at most.

    256 samples of 224 px are 10 to 30 MB, and about what a killed worker loses.
    """
    return max(1, min(_MOST_SHARDS, -(-samples // _SAMPLES)))


def parts(items: Sequence | np.ndarray, count: int) -> list:
    """`count` parts of `items`, in order, that differ by one item at most."""
    bounds = [len(items) * index // count for index in range(count + 1)]
    return [items[start:end] for start, end in itertools.pairwise(bounds)]


class ShardedBuilder(
    CleanBuilder, tfds.core.dataset_builder.FileReaderBuilder, skip_registration=True
):
    """A builder whose shards are made independently of one another.

    Finished shards wait in a hidden folder beside the data set, `.VERSION.partial`,
    where a build that was killed finds them again; with Beam all workers must see it.
    Without `beam_runner` and `beam_options` threads make them, as many as the
    configuration's `workers`. Samples are written in the order in which shards give
    them: shuffling is up to the shards.
    """

    @abc.abstractmethod
    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        """The shards of each split, in order."""

    def _fingerprint(self) -> str:
        """Changes with what the records depend on: what a killed build of another one
        has left is not used."""
        config = self.builder_config
        if hasattr(config, "workers"):
            config = dataclasses.replace(config, workers=None)
        return repr(config)

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs,
    ) -> None:
        """As the base class's; what a killed process has finished is used again.

        Raises:
            UserError: the source cannot be used; `data_dir` is then as it was before.
            OSError: the data set cannot be written; run again to go on.
        """
        data_path = Path(self.data_path)
        overwrite = download_config and download_config.download_mode.overwrite_dataset
        self._partial = data_path.with_name(f".{data_path.name}.partial")
        if data_path.exists() and not overwrite and not self._partial.exists():
            return
        with only_builder(self._partial):
            # Another process may have finished it while this one waited.
            if overwrite or not data_path.exists():
                _remove_abandoned(data_path)
                self._keep_only_own()
                try:
                    super().download_and_prepare(
                        download_config=download_config, **kwargs
                    )
                except UserError:
                    root = Path(self.data_dir_root)
                    parents = [path for path in data_path.parents if root in path.parents]
                    remove_partial(self._partial, *parents)
                    raise
            remove_partial(self._partial)

    def _keep_only_own(self) -> None:
        """Empties the folder of finished shards, unless they are of this data set."""
        mark = self._partial / "fingerprint"
        fingerprint = self._fingerprint().encode()
        if not mark.exists() or mark.read_bytes() != fingerprint:
            empty(self._partial)
            mark.write_bytes(fingerprint)
        for pattern in ("*.part", "*.refused"):
            for path in self._partial.glob(pattern):
                path.unlink()

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig | None = None,
    ) -> None:
        download_config = download_config or tfds.download.DownloadConfig()
        jobs = {}
        for split, shards in self._shards(dl_manager).items():
            template = self._get_filename_template(split_name=split)
            jobs[split] = [
                _Job(
                    path=self._partial
                    / template.relative_filepath(
                        shard_index=index, num_shards=len(shards)
                    ),
                    shard=shard,
                )
                for index, shard in enumerate(shards)
            ]
        everything = [job for group in jobs.values() for job in group]
        if download_config.beam_runner or download_config.beam_options:
            _run_on_beam(everything, download_config)
        else:
            workers = getattr(self.builder_config, "workers", None)
            run_in_threads(everything, workers)
        self._collect(jobs)

    def _collect(self, jobs: Mapping[str, Sequence[_Job]]) -> None:
        """Takes the finished shards into the data set and describes them."""
        splits = []
        for split, group in jobs.items():
            summaries = [job.summary() for job in group]
            if split == "train":
                self.info.metadata["statistics"] = _joined_statistics(summaries)
            for job in group:
                _bring(job.path, Path(self.data_path) / job.path.name)
            splits.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[summary["samples"] for summary in summaries],
                    num_bytes=sum(summary["bytes"] for summary in summaries),
                    filename_template=self._get_filename_template(split_name=split),
                )
            )
        self.info.set_splits(tfds.core.splits.SplitDict(splits))


@dataclasses.dataclass(frozen=True)
class _Job:
    """A shard to write."""

    path: Path
    shard: Shard

    def __len__(self) -> int:
        return len(self.shard)

    def run(
        self, progress: tqdm | None = None, stop: threading.Event | None = None
    ) -> None:
        """Writes the shard, or finds it written already.

        Args:
            progress: told of every sample.
            stop: gives up, once set.
        """
        if self._summary_path.exists() and self.path.exists():
            if progress is not None:
                progress.update(len(self.shard))
            return
        # Beam may try a shard again while it believes the first try to be lost.
        part = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.part")
        try:
            summary = self._write(part, progress, stop)
            if summary is None:
                return
            put_in_place(part, self.path)
            # Only now: a shard with a summary is whole.
            part.write_bytes(json.dumps(summary).encode())
            put_in_place(part, self._summary_path)
        except tf.errors.ResourceExhaustedError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), part) from error
        except tf.errors.OpError as error:
            raise OSError(errno.EIO, error.message, part) from error
        finally:
            part.unlink(missing_ok=True)

    def _write(
        self, part: Path, progress: tqdm | None, stop: threading.Event | None
    ) -> dict | None:
        samples = 0
        size = 0
        statistics = {"bg": ImageStatistics(), "fg_bg": ImageStatistics()}
        with tf.io.TFRecordWriter(str(part)) as writer:
            for example in self.shard.examples():
                if stop is not None and stop.is_set():
                    return None
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
        }

    def summary(self) -> dict:
        """What is known of the written shard: `samples`, `bytes`, `statistics`."""
        return json.loads(self._summary_path.read_text())

    @property
    def refusal_path(self) -> Path:
        """Where a process of Beam leaves the `UserError` that it met."""
        return self.path.with_name(f"{self.path.name}.refused")

    @property
    def _summary_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")


def _run_on_beam(
    jobs: Sequence[_Job], download_config: tfds.download.DownloadConfig
) -> None:
    try:
        import apache_beam as beam
    except ImportError as error:
        raise UserError(
            "Apache Beam is not installed; it was asked for by beam_options or "
            'beam_runner. Install it by pip install "keras_depthseg[beam]".'
        ) from error
    options = download_config.beam_options
    try:
        with beam.Pipeline(download_config.beam_runner, options=options) as pipeline:
            # Numbers and not jobs: what all jobs share is sent once. Without a reshuffle
            # one worker would get what one `Create` gives.
            _ = (
                pipeline
                | "Shards" >> beam.Create(range(len(jobs)))
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.Map(_run, jobs)
            )
    except Exception as error:
        for job in jobs:
            if job.refusal_path.exists():
                raise UserError(job.refusal_path.read_bytes().decode()) from error
        raise


def _run(index: int, jobs: Sequence[_Job]) -> None:
    try:
        jobs[index].run()
    except UserError as error:
        # Beam makes errors of other processes its own.
        jobs[index].refusal_path.write_bytes(str(error).encode())
        raise


def _joined_statistics(summaries: Sequence[dict]) -> dict:
    joined = {}
    for field in ("bg", "fg_bg"):
        total = ImageStatistics()
        for summary in summaries:
            total += ImageStatistics.from_json(summary["statistics"][field])
        joined[field] = total.result()
    return joined


def _bring(shard: Path, path: Path) -> None:
    """Puts a shard at `path` too, so that a build that fails after that still has it;
    moves it where the file system has no links."""
    try:
        os.link(shard, path)
    except OSError:
        os.replace(shard, path)


def _remove_abandoned(data_path: Path) -> None:
    """Removes what TFDS has left of a killed build; called by the only builder."""
    for folder in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
        shutil.rmtree(folder, ignore_errors=True)
