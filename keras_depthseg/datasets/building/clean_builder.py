"""Building a data set so that nothing half-built is left and nothing good is lost."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from keras_depthseg.errors import UserError


class CleanBuilder(tfds.core.DatasetBuilder, skip_registration=True):
    """To mix into a builder, after whose errors `data_dir` is then as it was before."""

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs,
    ) -> None:
        """As the base class's; on an error `data_dir` is as it was before.

        Raises:
            UserError: the source cannot be used.
        """
        overwrite = download_config and download_config.download_mode.overwrite_dataset
        data_path = Path(self.data_path)
        root = Path(self.data_dir_root)
        kept = _put_back_on_error(data_path) if overwrite else contextlib.nullcontext()
        try:
            with kept:
                super().download_and_prepare(download_config=download_config, **kwargs)
        finally:
            downloads = root / "downloads"
            _remove_if_empty(downloads / "extracted", downloads)
            _remove_if_empty(*[p for p in data_path.parents if root in p.parents])


def data_set_path(
    builder: type[CleanBuilder], config: tfds.core.BuilderConfig, data_dir: Path | str
) -> Path:
    """The folder of a data set; TFDS renames it to this when it is complete."""
    return Path(data_dir) / builder.name / config.name / str(builder.VERSION)


def prepare(
    builder: type[CleanBuilder], config: tfds.core.BuilderConfig, data_dir: Path | str
) -> Path:
    """Builds a data set, or finds it when it is built already.

    Args:
        builder: the builder's class.
        config: its name tells this data set from the builder's others.
        data_dir: where data sets go; made when missing.

    Returns:
        The folder that `tfds.builder_from_directory` opens.

    Raises:
        UserError: the source or the folder cannot be used.
    """
    path = data_set_path(builder, config, data_dir)
    if not path.exists():
        _make_folder(Path(data_dir))
        try:
            with quiet():
                builder(config=config, data_dir=data_dir).download_and_prepare()
        except OSError as error:
            # Another process may have finished the same data set meanwhile.
            if not path.exists():
                raise UserError(
                    f"{data_dir}: the data set cannot be written there "
                    f"({error.strerror or error}); free some space or choose another "
                    "folder."
                ) from error
    return path


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"data_dir: received {data_dir}, which cannot be made ({error.strerror}); "
            "expected a folder that can be written. Choose another."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences what TFDS tells of data sets that are not downloaded.

    It prints that something of unknown size is prepared, and warns, at length, that the
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


@contextlib.contextmanager
def _put_back_on_error(path: Path) -> Iterator[None]:
    """Keeps an existing data set beside its place until the new one is complete.

    TFDS deletes it before it generates.
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


def _remove_if_empty(*folders: Path) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
