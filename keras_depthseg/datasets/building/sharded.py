"""Builders that write shard by shard: on several workers, resumable, always the same.

Each shard is made on its own, so the bytes do not depend on the number of workers,
memory does not grow with the number of samples, Apache Beam can make shards on other
machines, and a build that was killed resumes with the first missing shard.
"""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from keras_depthseg.datasets.building import partial
from keras_depthseg.datasets.building.clean_builder import CleanBuilder
from keras_depthseg.datasets.building.jobs import run_in_threads
from keras_depthseg.datasets.building.shards import (
    Finding,
    Shard,
    ShardJob,
    joined_statistics,
)
from keras_depthseg.datasets.building.tfds_internals import (
    FileWriterBuilder,
    remove_empty_folders,
    remove_incomplete,
)
from keras_depthseg.errors import UserError
from keras_depthseg.runtimes import import_optional


class ShardedBuilder(CleanBuilder, FileWriterBuilder, skip_registration=True):
    """A builder whose shards are made independently of one another.

    Finished shards are kept in a hidden folder beside the data set, `.VERSION.partial`,
    from which a killed build is resumed; with Beam all workers must see that folder.
    Without `beam_runner` and `beam_options` threads make the shards, as many as the
    configuration's `workers`. Samples are written in the order in which shards yield
    them: shuffling is up to the shards.
    """

    @abc.abstractmethod
    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        """Return the shards of each split, in order."""

    def _fingerprint(self) -> str:
        """Return a text that changes with all that the records depend on.

        Shards that a killed build of another fingerprint has left are not used.
        """
        config: Any = self.builder_config
        if hasattr(config, "workers"):
            config = dataclasses.replace(config, workers=None)
        return repr(config)

    def _review(
        self, findings: Sequence[Finding], splits: Mapping[str, Sequence[dict]]
    ) -> None:
        """Accept what the shards have found about their samples, or raise `UserError`.

        Called once all shards are written, before the data set is put in place.

        Args:
            findings: in the order of the shards.
            splits: summaries of the shards of each split.
        """

    # TFDS wraps its own method for logging, which changes the type.
    def download_and_prepare(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs,
    ) -> None:
        """Build the data set as the base class does, resuming a killed build.

        Raises:
            UserError: the source cannot be used; `data_dir` is then as it was before.
            OSError: the data set cannot be written; call again to resume.
        """
        data_path = Path(self.data_path)
        overwrite = download_config and download_config.download_mode.overwrite_dataset
        self._partial = partial.partial_folder(data_path)
        if data_path.exists() and not overwrite and not self._partial.exists():
            return
        fingerprint = self._fingerprint()
        with partial.only_builder(self._partial):
            # Another process may have finished it while this one waited.
            if overwrite or not data_path.exists():
                remove_incomplete(data_path)
                self._start(fingerprint)
                try:
                    super().download_and_prepare(
                        download_config=download_config, **kwargs
                    )
                except UserError:
                    partial.remove_partial(self._partial)
                    remove_empty_folders(data_path, Path(self.data_dir_root))
                    raise
            partial.remove_partial(self._partial)

    def _start(self, fingerprint: str) -> None:
        if partial.has_other_work(self._partial, fingerprint):
            partial.empty(self._partial)
        partial.start(self._partial, fingerprint)
        for path in self._partial.glob("*.refused"):
            path.unlink()

    def _write_files(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> dict[str, list[tuple[int, int]]]:
        jobs = {
            split: [
                ShardJob(
                    self._partial / self._file_name(split, index, len(shards)), shard
                )
                for index, shard in enumerate(shards)
            ]
            for split, shards in self._shards(dl_manager).items()
        }
        everything = [job for group in jobs.values() for job in group]
        if download_config.beam_runner or download_config.beam_options:
            _run_on_beam(everything, download_config)
        else:
            workers = getattr(self.builder_config, "workers", None)
            run_in_threads(everything, workers)
        splits = {
            split: [job.summary() for job in group] for split, group in jobs.items()
        }
        # JSON has no tuples.
        findings = [
            Finding(*finding)
            for summaries in splits.values()
            for summary in summaries
            for finding in summary.get("findings", ())
        ]
        self._review(findings, splits)
        metadata: Any = self.info.metadata
        metadata["statistics"] = joined_statistics(splits["train"])
        files = {
            split: self._put_in_place(split, jobs[split], summaries)
            for split, summaries in splits.items()
        }
        return {split: sizes for split, sizes in files.items() if sizes}

    def _put_in_place(
        self, split: str, jobs: Sequence[ShardJob], summaries: Sequence[dict]
    ) -> list[tuple[int, int]]:
        """Link the shards that have samples; return samples and bytes of each."""
        pairs = zip(jobs, summaries, strict=True)
        filled = [(job, summary) for job, summary in pairs if summary["samples"]]
        for index, (job, _) in enumerate(filled):
            name = self._file_name(split, index, len(filled))
            _link(job.path, Path(self.data_path) / name)
        return [(summary["samples"], summary["bytes"]) for _, summary in filled]


def _run_on_beam(
    jobs: Sequence[ShardJob], download_config: tfds.download.DownloadConfig
) -> None:
    beam: Any = import_optional("apache_beam", "`beam_options`", '"keras_depthseg[beam]"')
    options = download_config.beam_options
    try:
        with beam.Pipeline(download_config.beam_runner, options=options) as pipeline:
            # Numbers and not jobs: what all jobs share is sent once. Without a reshuffle
            # one worker would get everything that one `Create` gives.
            _ = (
                pipeline
                | "Shards" >> beam.Create(range(len(jobs)))
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.Map(_run, jobs)
            )
    except Exception as error:
        for job in jobs:
            if _refusal_path(job).exists():
                raise UserError(_refusal_path(job).read_bytes().decode()) from error
        raise


def _run(index: int, jobs: Sequence[ShardJob]) -> None:
    try:
        jobs[index].run()
    except UserError as error:
        # Beam replaces errors of other processes by its own.
        _refusal_path(jobs[index]).write_bytes(str(error).encode())
        raise


def _refusal_path(job: ShardJob) -> Path:
    return job.path.with_name(f"{job.path.name}.refused")


def _link(shard: Path, path: Path) -> None:
    """Put a shard at `path` too, so that a build that fails later still has it.

    Move the shard where the file system has no links.
    """
    try:
        os.link(shard, path)
    except OSError:
        os.replace(shard, path)
