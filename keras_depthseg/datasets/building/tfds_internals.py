"""Private API of TensorFlow Datasets (TFDS): all of it that building data sets uses.

`tests/datasets/building/tfds_internals_test.py` has a test for each assumption:

- `DatasetBuilder._download_and_prepare` is called by `download_and_prepare` while
  `data_path` is a temporary folder beside the data set, which is renamed afterwards;
- `DatasetBuilder._get_filename_template` names the files of a split;
- `FileReaderBuilder` is in `tfds.core.dataset_builder`;
- a killed build leaves `incomplete.…_VERSION`;
- `downloads/extracted` is created, also when nothing is downloaded;
- configurations outside `BUILDER_CONFIGS` are warned of through absl, in these words.
"""

from __future__ import annotations

import abc
import contextlib
import io
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.splits import SplitDict


class FileWriterBuilder(FileReaderBuilder, abc.ABC, skip_registration=True):
    """A TFDS builder that writes the files of its splits itself."""

    @abc.abstractmethod
    def _write_files(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> Mapping[str, Sequence[tuple[int, int]]]:
        """Write the files of all splits into `data_path`, named by `_file_name`.

        Returns:
            For each split, the number of samples and of bytes of each of its files.
        """

    def _file_name(self, split: str, index: int, count: int) -> str:
        template = self._get_filename_template(split_name=split)
        return str(template.relative_filepath(shard_index=index, num_shards=count))

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig | None = None,
    ) -> None:
        files = self._write_files(
            dl_manager, download_config or tfds.download.DownloadConfig()
        )
        splits = [
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[samples for samples, _ in sizes],
                num_bytes=sum(size for _, size in sizes),
                filename_template=self._get_filename_template(split_name=split),
            )
            for split, sizes in files.items()
        ]
        self.info.set_splits(SplitDict(splits))


def remove_incomplete(data_path: Path) -> None:
    """Remove the temporary folders that killed builds of a data set have left."""
    for folder in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_empty_folders(data_path: Path, root: Path) -> None:
    """Remove the folders under `root` that a build has created and left empty.

    Args:
        data_path: the folder of the data set.
        root: the `data_dir` of its builder.
    """
    parents = [path for path in data_path.parents if root in path.parents]
    downloads = root / "downloads"
    for folder in (downloads / "extracted", downloads, *parents):
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the notices of TFDS about data sets that are not downloaded.

    TFDS prints that a data set of unknown size is prepared, and warns at length that the
    configuration is not one of a fixed list.
    """

    def is_other(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Using custom data configuration")

    logger = logging.getLogger("absl")
    logger.addFilter(is_other)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.removeFilter(is_other)
