"""The folder of an unfinished data set: locked for one builder, resumed by the next."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: two builds of one data set at once are not kept apart.
    fcntl = None

_LOCK = "lock"


_ATTEMPTS = 1000


@contextlib.contextmanager
def only_builder(folder: Path) -> Iterator[None]:
    """Makes `folder` and waits until no other process works in it.

    The lock goes with the process, also when that is killed.
    """
    if fcntl is None:
        folder.mkdir(parents=True, exist_ok=True)
        yield
        return
    with _locked(folder):
        yield


def _locked(folder: Path) -> IO:
    for attempt in itertools.count():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / _LOCK).open("w")
        except (FileExistsError, FileNotFoundError):
            # The process that has finished removes the folder, at any moment.
            if attempt < _ATTEMPTS:
                continue
            raise
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"waiting for another process that builds {folder.parent}",
                file=sys.stderr,
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # Some network file systems have no locks.
        if _is_open_at(folder / _LOCK, file):
            return file
        file.close()


def _is_open_at(path: Path, file: IO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def empty(folder: Path) -> None:
    """Removes all but the lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink(missing_ok=True)


def remove_partial(folder: Path, *parents: Path) -> None:
    """Removes a folder that this process has locked, and parents that are then empty."""
    empty(folder)
    (folder / _LOCK).unlink(missing_ok=True)
    for path in (folder, *parents):
        # The next process may have its own lock there already.
        with contextlib.suppress(OSError):
            path.rmdir()
