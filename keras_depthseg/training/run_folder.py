"""The folder of a run: who may have it, and one run at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from keras_depthseg.errors import UserError

# What a run leaves there for people and for `report.py`; the report is written last.
CONFIG = "config.json"
HISTORY = "history.csv"
SCORES = "scores.json"
PREDICTIONS = "predictions.png"
PICTURES = "pictures"
REPORT = "report.html"

_LOCK = ".lock"


def check_run_dir(run_dir: str | Path) -> None:
    """Looks whether a new run may have this folder, and makes nothing.

    Raises:
        UserError: if it is not a folder or not empty.
    """
    run_dir = Path(run_dir)
    try:
        # A run that was stopped before it wrote anything leaves its lock.
        names = {path.name for path in run_dir.iterdir()} if run_dir.exists() else set()
    except OSError as error:
        raise _unusable(run_dir, error) from error
    if names - {_LOCK}:
        go_on = ", or go on with the run in it by --resume" if CONFIG in names else ""
        raise UserError(
            f"{run_dir}: this folder is not empty; a run needs one of its own, choose "
            f"another --run-dir{go_on}."
        )


@contextlib.contextmanager
def at_work_in(run_dir: str | Path) -> Iterator[Path]:
    """Makes the folder, if it is not there, and has it for itself.

    The lock is the operating system's: it ends with the process, however that ends.

    Raises:
        UserError: if the folder cannot be made, or another run is at work in it.
    """
    run_dir = Path(run_dir)
    lock = filelock.FileLock(run_dir / _LOCK)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"{run_dir}: another run is at work in this folder; wait for it, or choose "
            "another --run-dir."
        ) from None
    except OSError as error:
        raise _unusable(run_dir, error) from error
    try:
        yield run_dir
    finally:
        lock.release()


@contextlib.contextmanager
def writing_to(
    run_dir: str | Path, remedy: str = "free some space and go on with --resume"
) -> Iterator[None]:
    """Tells in a line that a file could not be written.

    Args:
        run_dir: the run folder.
        remedy: what the user can do then.

    Raises:
        UserError: in place of an `OSError`, of the `RuntimeError` that HDF5 makes, or of
            an error of TensorFlow's, which writes TensorBoard's files.
    """
    import tensorflow as tf

    try:
        yield
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(
            f"{run_dir}: a file cannot be written ({reason}); those before it are whole: "
            f"{remedy}."
        ) from error


def _unusable(run_dir: str | Path, error: OSError) -> UserError:
    return UserError(
        f"{run_dir}: cannot be made a run folder ({error.strerror}); choose another "
        "--run-dir."
    )
