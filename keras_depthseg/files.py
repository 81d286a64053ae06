"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; what is there afterwards takes its place.

    What was written is on the disk before it is renamed, so that neither a killed
    process nor a power cut leaves half a file. If the block fails, `path` is as it was
    and nothing is beside it.

    The path that is given ends as `path` does: Keras looks at the end.

    Raises:
        OSError: if the disk is full or the folder cannot be written to.
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


def put_in_place(part: Path, path: Path) -> None:
    """Renames a finished file once the disk has it: a crash leaves all of it or none."""
    # To be read only would be enough, but not on Windows.
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # The rename is on the disk once the folder is. Windows cannot open one.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
