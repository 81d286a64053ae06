"""The terminal: quiet imports, log messages, errors in one line, exit status."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from keras_depthseg.commands.machine import (
    TerminatedError,
    forget_output,
    machine_error,
    terminating,
)
from keras_depthseg.commands.parsing import name_options
from keras_depthseg.errors import UserError
from keras_depthseg.text import printable


def run(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit.

    The status is 2 after a mistake of the user or an error of the machine, such as a full
    disk, 130 after Ctrl-C, 143 after SIGTERM, and 1 after a bug, which shows its
    traceback.
    """
    status = _status(command)
    # The error is forgotten by now, and what it held goes here. Threads of TensorFlow
    # that still read data would call into an interpreter that ends: the process aborted
    # (status 134) or hung.
    gc.collect()
    try:
        sys.stdout.flush()
    except OSError:  # Reported above; Python would try again, and complain.
        forget_output()
    sys.exit(status)


def _status(command: Callable[[], int | None]) -> int | None:
    try:
        with terminating():
            status = command()
            sys.stdout.flush()
            return status
    except UserError as error:
        return _refuse(error)
    except TerminatedError:
        print("\nstopped by SIGTERM", file=sys.stderr)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # As of `depthseg … | head`.
        forget_output()
        return 128 + signal.SIGPIPE
    except Exception as error:
        if (refused := machine_error(error)) is not None:
            return _refuse(refused)
        traceback.print_exc()
        return 1


def _refuse(error: UserError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


class TerminalHandler(logging.Handler):
    """Writes information as plain text to standard output, warnings to standard error.

    Args:
        options: see `name_options`.
    """

    def __init__(self, options: Mapping[str, str]):
        super().__init__()
        self._options = options

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message, and flush: Keras's progress bar writes to the same stream."""
        text = name_options(record.getMessage(), self._options)
        # Names of files and texts in them; messages have lines.
        text = printable(text, keep="\n\t")
        if record.levelno >= logging.WARNING:
            print(f"{record.levelname.lower()}: {text}", file=sys.stderr, flush=True)
        else:
            print(text, flush=True)


@contextlib.contextmanager
def terminal_messages(options: Mapping[str, str]) -> Iterator[None]:
    """Show what the package logs, and name options in the errors that it raises.

    Args:
        options: see `name_options`.

    Raises:
        UserError: that of the block.
    """
    logger = logging.getLogger("keras_depthseg")
    handler = TerminalHandler(options)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # TensorFlow's handler of the root would write every line again.
    logger.propagate = False
    try:
        yield
    except UserError as error:
        raise UserError(name_options(str(error), options)) from error
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def import_tensorflow_quietly() -> None:
    """Import TensorFlow, whose import writes six lines to standard error (2.21)."""
    # Without a GPU, TensorFlow reports at length, and as an error, that there is none.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced_standard_error():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _silenced_standard_error() -> Iterator[None]:
    """Discard what native code writes to standard error."""
    standard_error = 2
    kept = os.dup(standard_error)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), standard_error)
    try:
        yield
    finally:
        os.dup2(kept, standard_error)
        os.close(kept)
