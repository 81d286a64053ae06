"""Ctrl-C and a polite kill end a training after the step it is at."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

# A scheduler that takes a machine back sends the second.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether a signal has come.

    The first signal is only noted; a second one acts as it would have before. In threads
    other than the main one Python takes no signals, and nothing is noted.
    """
    asked = threading.Event()
    before = {}

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number, frame):
        asked.set()
        restore()
        print("\nstopping after this step, to go on later …", file=sys.stderr)

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            before[number] = signal.signal(number, note)
    try:
        yield asked.is_set
    finally:
        restore()
