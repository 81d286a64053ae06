"""Where files are kept, and how they are written: atomically."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from keras_depthseg.errors import UserError

_TEMPORARY = ".depthseg-"

_ABANDONED = 24 * 60 * 60
"""Seconds after which nobody writes to a temporary folder any more."""


def default_cache_dir() -> Path:
    """Return the folder of what is made from something else, and can be made again.

    `$KERAS_DEPTHSEG_CACHE`, else `keras_depthseg` in `$XDG_CACHE_HOME` or `~/.cache`.

    Raises:
        UserError: there is none of these.
    """
    if path := os.environ.get("KERAS_DEPTHSEG_CACHE"):
        return Path(path)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:  # As in containers: neither HOME nor a user's name.
        raise UserError(
            "this user has no home folder to keep data in that is made once; set HOME, "
            "or KERAS_DEPTHSEG_CACHE to a folder that can be written."
        ) from error
    return Path(base) / "keras_depthseg"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a whole file, as hexadecimal digits.

    An unchanged file is read once: a start asks for it several times.

    Raises:
        OSError: it cannot be read.
    """
    state = path.stat()
    return _sha256(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=32)
def _sha256(path: Path, modified: int, size: int) -> str:
    del modified, size  # arguments, so that a file written again is read again
    return read_sha256(path)


def read_sha256(path: Path) -> str:
    """Return the SHA-256 of a whole file, read anew.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; the written file replaces `path`.

    The file is on the disk before the rename, so neither a killed process nor a power
    cut leaves half a file. If the block fails, `path` is unchanged and the part is
    removed. The yielded path has the suffix of `path`, which Keras needs.

    Raises:
        OSError: the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        put_in_place(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def temporary_folder(place: Path) -> Iterator[Path]:
    """Yield a new folder in `place`, to write what is then renamed.

    It is removed with what is left in it. So are those of killed processes that are older
    than a day: in younger ones another process may be writing.

    Raises:
        OSError: `place` cannot be made or written to.
    """
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob(f"{_TEMPORARY}????????"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _ABANDONED:
                shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(part: Path, path: Path) -> None:
    """Rename a finished file once the disk has it, so that the rename is atomic."""
    # Opening for reading would be enough, but not on Windows.
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # The folder holds the rename. Windows cannot open folders.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
