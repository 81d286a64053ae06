"""Builds that leave nothing half-built and lose nothing good."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from keras_depthseg.datasets.building.partial import remove_leftover
from keras_depthseg.datasets.building.tfds_internals import quiet, remove_empty_folders
from keras_depthseg.errors import UserError

logger = logging.getLogger(__name__)


class CleanBuilder(tfds.core.DatasetBuilder, skip_registration=True):
    """A builder to inherit from, whose errors leave `data_dir` as it was before."""

    @functools.cached_property
    def info(self) -> tfds.core.DatasetInfo:  # pyright: ignore
        """What the data set is.

        TFDS keeps that of every builder, and the builder with it, until the process ends.
        It also asks Google's bucket for a data set of this name, for which each builder
        leaves an empty folder among the temporary ones.
        """
        info = self._info()
        vars(info)["initialize_from_bucket"] = lambda: None
        return info

    # TFDS wraps its own method for logging, which changes the type.
    def download_and_prepare(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs,
    ) -> None:
        """Build the data set as the base class does; clean up after an error.

        Raises:
            UserError: the source cannot be used.
        """
        # By default TFDS looks for a finished data set in Google's bucket.
        download_config = dataclasses.replace(
            download_config or tfds.download.DownloadConfig(), try_download_gcs=False
        )
        overwrite = download_config.download_mode.overwrite_dataset
        data_path = Path(self.data_path)
        kept = _put_back_on_error(data_path) if overwrite else contextlib.nullcontext()
        try:
            with kept:
                super().download_and_prepare(download_config=download_config, **kwargs)
        finally:
            remove_empty_folders(data_path, Path(self.data_dir_root))


def data_set_path(
    builder: type[tfds.core.DatasetBuilder],
    config: tfds.core.BuilderConfig,
    data_dir: Path | str,
) -> Path:
    """Return the folder of a data set; TFDS renames a complete one to this."""
    return Path(data_dir) / builder.name / str(config.name) / str(builder.VERSION)


def prepare(
    builder: type[tfds.core.DatasetBuilder],
    config: tfds.core.BuilderConfig,
    data_dir: Path | str,
) -> Path:
    """Build a data set, or find it when it has been built already.

    Args:
        builder: the builder's class.
        config: its name tells this data set from the others of the builder.
        data_dir: where data sets are; created when missing.

    Returns:
        The folder that `tfds.builder_from_directory` opens.

    Raises:
        UserError: the source or the folder cannot be used.
    """
    path = data_set_path(builder, config, data_dir)
    if path.exists():
        remove_leftover(path)
    else:
        _create_folder(Path(data_dir))
        logger.info("Building %s (once)", path)
        try:
            with quiet():
                builder(config=config, data_dir=str(data_dir)).download_and_prepare()
        except OSError as error:
            # Another process may have finished the same data set meanwhile.
            if not path.exists():
                raise UserError(
                    f"{data_dir}: the data set cannot be written there "
                    f"({error.strerror or error}); free some space or choose another "
                    "folder."
                ) from error
    return path


def _create_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"`data_dir` cannot be created: received {data_dir} ({error.strerror}); "
            "expected a folder that can be written to. Choose another."
        ) from error


@contextlib.contextmanager
def _put_back_on_error(path: Path) -> Iterator[None]:
    """Keep an existing data set beside its place until the new one is complete.

    TFDS deletes a data set before it builds the new one.
    """
    if not path.exists():
        yield
        return
    kept = path.with_name(f".{path.name}.kept")
    path.rename(kept)
    try:
        yield
    except BaseException:
        kept.rename(path)
        raise
    shutil.rmtree(kept)
