"""The command `depthseg`, which starts without TensorFlow's messages.

A module of its own, as importing anything of the package imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow, which writes six lines to standard error meanwhile (2.21)."""
    # Without a GPU, TensorFlow reports at length, and as an error, that there is none.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced_standard_error():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _silenced_standard_error() -> Iterator[None]:
    """Sends what native code writes to standard error to nowhere."""
    standard_error = 2
    kept = os.dup(standard_error)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), standard_error)
    try:
        yield
    finally:
        os.dup2(kept, standard_error)
        os.close(kept)


def main() -> None:
    try:
        import_tensorflow_quietly()
        from keras_depthseg.commands import main as cli
        from keras_depthseg.commands import parsing as command_line
    except KeyboardInterrupt:
        sys.exit(130)
    command_line.run(cli.main)


if __name__ == "__main__":
    main()
