"""The folder of an unfinished data set: locked for one process, resumed by the next.

A data set grows in a hidden folder beside its place, `.NAME.partial`:

    lock            held by the process that builds; ends with that process
    fingerprint     the settings; work of other settings is not resumed
    …               finished parts, each with a summary that is written after it

Parts and the data set itself are renamed to their places once they are complete, so a
process that is killed at any moment leaves nothing half-written there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from keras_depthseg.files import put_in_place

_LOCK = "lock"
_PART = ".part"
_POLL_SECONDS = 0.05

# Errors of file systems without locks, such as some network file systems.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)

_logger = logging.getLogger(__name__)


def partial_folder(path: Path) -> Path:
    """Return the folder in which the data set at `path` grows."""
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def only_builder(folder: Path) -> Iterator[None]:
    """Create `folder` and lock it; wait while another process has the lock.

    The lock is the operating system's and ends with the process, also when that is
    killed. Where the file system has no locks, log a warning and go without.

    Raises:
        OSError: the folder cannot be created.
    """
    lock = filelock.FileLock(folder / _LOCK)
    try:
        _acquire(lock, folder)
        yield
    finally:
        lock.release()
        # Windows deletes the lock file only now.
        with contextlib.suppress(OSError):
            folder.rmdir()


def _acquire(lock: filelock.BaseFileLock, folder: Path) -> None:
    waiting = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # filelock from 3.21 retries when the process before has deleted the file.
            lock.acquire(timeout=0)
            return
        except filelock.Timeout:
            if not waiting:
                _logger.warning(
                    "waiting for another process that builds %s", folder.parent
                )
                waiting = True
        except (FileNotFoundError, FileExistsError):
            # The process before has finished and removed the folder; `mkdir` raises the
            # second error where that happens between its attempt and its check.
            if os.path.lexists(folder) and not folder.is_dir():
                raise
        except (OSError, NotImplementedError) as error:
            if getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
                raise
            _logger.warning(
                "%s: the file system has no locks; do not build the same data set twice "
                "at once.",
                folder,
            )
            return
        time.sleep(_POLL_SECONDS)


def has_other_work(folder: Path, fingerprint: str, name: str = "fingerprint") -> bool:
    """Return whether a locked folder holds unfinished work of other settings.

    Args:
        folder: an unfinished data set.
        fingerprint: a text that differs when the data sets do.
        name: of the file that holds the fingerprint.
    """
    try:
        return (folder / name).read_bytes() != fingerprint.encode()
    except FileNotFoundError:
        return False


def start(folder: Path, fingerprint: str, name: str = "fingerprint") -> None:
    """Resume the work in a locked folder, or start it where none has been started.

    A folder without a fingerprint is emptied first. Half-written files of a killed
    process are removed. For the arguments see `has_other_work`.
    """
    mark = folder / name
    if not mark.exists():
        empty(folder)
        _write_whole(mark, fingerprint.encode())
    for part in folder.glob(f"*{_PART}"):
        part.unlink()


def part_path(path: Path) -> Path:
    """Return a path beside `path` to write to before a rename, a new one each time.

    Apache Beam may write a part twice at once when it believes the first try to be lost.
    """
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PART}")


def _write_whole(path: Path, data: bytes, sync: bool = True) -> None:
    part = part_path(path)
    part.write_bytes(data)
    if sync:
        put_in_place(part, path)
    else:
        os.replace(part, path)


def empty(folder: Path) -> None:
    """Remove everything in a locked folder but the lock."""
    for path in folder.iterdir():
        # Of a link only itself: what it leads to is not ours.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink(missing_ok=True)


def remove_partial(folder: Path, *parents: Path) -> None:
    """Remove a locked folder, and then those of `parents` that are empty."""
    empty(folder)
    # An open file cannot be deleted on Windows.
    with contextlib.suppress(OSError):
        (folder / _LOCK).unlink(missing_ok=True)
    for path in (folder, *parents):
        # The next process may have its own lock there already.
        with contextlib.suppress(OSError):
            path.rmdir()


def remove_leftover(path: Path) -> None:
    """Remove what a process that was killed at its very end left beside a data set.

    Waits while another process is cleaning up there.
    """
    folder = partial_folder(path)
    # On a disk that is read-only it stays.
    with contextlib.suppress(OSError):
        if folder.exists():
            with only_builder(folder):
                remove_partial(folder)


class Summaries:
    """Summaries of finished parts: a part that has one is complete.

    Args:
        folder: where the summaries are, one JSON file a part.
        sync: wait for the disk. Leave it out only where the parts do not wait either: a
            summary must not survive a power cut that its part does not.
    """

    def __init__(self, folder: Path, sync: bool = True):
        self._folder = folder
        self._sync = sync

    def __contains__(self, part: str) -> bool:
        return self._path(part).exists()

    def __getitem__(self, part: str) -> Any:
        return json.loads(self._path(part).read_bytes())

    def __setitem__(self, part: str, summary: Any) -> None:
        _write_whole(self._path(part), json.dumps(summary).encode(), self._sync)

    def _path(self, part: str) -> Path:
        return self._folder / f"{part}.json"
