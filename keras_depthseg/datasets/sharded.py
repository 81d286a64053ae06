"""Builders that write shard by shard: on several workers, in parts, always the same.

Every shard is made on its own, so the bytes do not depend on how many workers there
are, memory does not grow with the number of samples, Apache Beam can make shards on
other machines, and a build that was killed goes on with the first shard that is missing.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Protocol

import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer
from tqdm.auto import tqdm

from keras_depthseg.datasets.building import CleanBuilder
from keras_depthseg.datasets.records import Example, ImageStatistics
from keras_depthseg.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: two builds of one data set at once are not kept apart.
    fcntl = None

_FEWEST_SAMPLES = 256
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
    """In how many shards samples go: of 256 samples or more, and 256 shards at most.

    256 samples of 224 px are 10 to 30 MB, and what a killed build loses at most.
    """
    return max(1, min(_MOST_SHARDS, -(-samples // _FEWEST_SAMPLES)))


class ShardedBuilder(
    CleanBuilder, tfds.core.dataset_builder.FileReaderBuilder, skip_registration=True
):
    """A builder whose shards are made independently of one another.

    Finished shards wait in a hidden folder beside the data set, `.VERSION.partial`,
    where a build that was killed finds them again. Without `beam_runner` and
    `beam_options` threads make them, as many as the configuration's `workers`. Samples
    are written in the order in which shards give them: shuffling is up to the shards.
    """

    @abc.abstractmethod
    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        """The shards of each split, in order."""

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs,
    ) -> None:
        """As the base class's; what a killed process has finished is used again.

        Raises:
            UserError: the source cannot be used.
            OSError: the data set cannot be written; run again to go on.
        """
        data_path = Path(self.data_path)
        overwrite = download_config and download_config.download_mode.overwrite_dataset
        if data_path.exists() and not overwrite:
            return
        self._partial = data_path.with_name(f".{data_path.name}.partial")
        with _only_builder(self._partial):
            # Another process may have finished it while this one waited.
            if overwrite or not data_path.exists():
                _remove_abandoned(data_path)
                try:
                    super().download_and_prepare(
                        download_config=download_config, **kwargs
                    )
                except UserError:
                    shutil.rmtree(self._partial)
                    raise
            shutil.rmtree(self._partial)

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
                    features=self.info.features,
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
                os.replace(job.path, Path(self.data_path) / job.path.name)
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
    features: tfds.features.FeaturesDict
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
        if self._summary_path.exists():
            if progress is not None:
                progress.update(len(self.shard))
            return
        # Beam may try a shard again while it believes the first try to be lost.
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            summary = self._write(part, progress, stop)
            if summary is None:
                return
            put_in_place(part, self.path)
            # Only now: a shard with a summary is whole.
            part.write_text(json.dumps(summary))
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
        serializer = example_serializer.ExampleSerializer(
            self.features.get_serialized_info()
        )
        samples = 0
        size = 0
        statistics = {"bg": ImageStatistics(), "fg_bg": ImageStatistics()}
        with tf.io.TFRecordWriter(str(part)) as writer:
            for example in self.shard.examples():
                if stop is not None and stop.is_set():
                    return None
                record = serializer.get_tf_example(
                    self.features.encode_example(example.features)
                )
                # Fields in order of their names: otherwise it changes from run to run.
                serialized = record.SerializeToString(deterministic=True)
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
    def _summary_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")


class Job(Protocol):
    """A part of a data set that is written on its own."""

    def __len__(self) -> int:
        """Number of samples."""

    def run(self, progress: tqdm, stop: threading.Event) -> None:
        """Writes it, telling `progress` of every sample; gives up once `stop` is set."""


def run_in_threads(jobs: Sequence[Job], workers: int | None) -> None:
    """Runs jobs in threads, one for each core if `workers` is `None`.

    Threads and not processes: OpenCV, NumPy and TensorFlow let go of the interpreter
    for most of the work, a fork after TensorFlow has started its own threads can hang,
    and a fresh process would import the caller's main module again. Beam has processes.
    """
    stop = threading.Event()
    # Only on a terminal.
    progress = tqdm(total=sum(map(len, jobs)), unit=" samples", disable=None)
    pool = futures.ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        with progress:
            tasks = [pool.submit(job.run, progress, stop) for job in jobs]
            for task in futures.as_completed(tasks):
                task.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


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
    with beam.Pipeline(runner=download_config.beam_runner, options=options) as pipeline:
        # Without a reshuffle one worker would get what one `Create` gives.
        _ = (
            pipeline
            | "Shards" >> beam.Create(jobs)
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.Map(_run)
        )


def _run(job: _Job) -> None:
    job.run()


def _joined_statistics(summaries: Sequence[dict]) -> dict:
    joined = {}
    for field in ("bg", "fg_bg"):
        total = ImageStatistics()
        for summary in summaries:
            total += ImageStatistics.from_json(summary["statistics"][field])
        joined[field] = total.result()
    return joined


def put_in_place(part: Path, path: Path) -> None:
    """Renames a finished file once the disk has it: a crash leaves all of it or none."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


@contextlib.contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Makes `folder` and waits until no other process works in it.

    The lock goes with the process, also when that is killed.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            yield
            return
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(
                    f"waiting for another process that builds {folder.parent}",
                    file=sys.stderr,
                )
                fcntl.flock(lock, fcntl.LOCK_EX)
            # The other process removes the folder when it has finished.
            if not _is_open_at(folder / "lock", lock):
                continue
            yield
            return


def _is_open_at(path: Path, file) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _remove_abandoned(data_path: Path) -> None:
    """Removes what TFDS has left of a killed build; called by the only builder."""
    for folder in data_path.parent.glob(f"*incomplete*_{data_path.name}"):
        shutil.rmtree(folder, ignore_errors=True)
