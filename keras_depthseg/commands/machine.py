"""What the machine does to a command: errors of disk and rights, signals that end it."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator

from keras_depthseg.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_KNOWN = (*_FULL, *_REFUSED, errno.EIO, errno.EMFILE)


class TerminatedError(KeyboardInterrupt):
    """SIGTERM has arrived. Where Ctrl-C is noticed, this is, too."""


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: by an error, so that it can clean up.

    By default the process would be gone, and its half-written and temporary files left.
    Python handles signals in the main thread only; in others nothing changes, nor where
    somebody else handles the signal.

    Raises:
        TerminatedError: the signal has arrived.
    """

    def terminate(number, frame):
        raise TerminatedError

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def machine_error(error: Exception) -> UserError | None:
    """Return an error about the machine for one that can be no bug; `None` for others.

    A net below the messages that say more about what was being done: a disk may fill up
    at any moment.

    Args:
        error: `OSError`, or one of TensorFlow or HDF5, which tell the reason in words.
    """
    number = error.errno if isinstance(error, OSError) else None
    words = str(error)
    if number not in _KNOWN:
        number = next((each for each in _KNOWN if os.strerror(each) in words), None)
    if "No usable temporary directory" in words:
        return UserError(
            "there is no folder for temporary files that can be written; make one, and "
            "set TMPDIR to it."
        )
    if number is None:
        return None
    where = getattr(error, "filename", None) or "a file"
    problem = f"{where}: received an error of the system ({os.strerror(number)})"
    if number in _FULL:
        return UserError(
            f"{problem}; what was finished before is complete. Free some space, or give "
            "another place."
        )
    if number in _REFUSED:
        return UserError(
            f"{problem}; expected a place that this user may read and write. Change its "
            "permissions, or give another place."
        )
    if number == errno.EMFILE:
        return UserError(f"{problem}. Allow more open files: ulimit -n 4096.")
    return UserError(f"{problem}; the disk may be damaged. Look at the system's log.")


def forget_output() -> None:
    """Send what is still to be printed nowhere, as where it should go takes no more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):  # Standard output may be no file.
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
