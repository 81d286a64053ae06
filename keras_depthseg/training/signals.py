"""Lets Ctrl-C and SIGTERM stop a training run after the current step."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

# Cluster schedulers send the second before they take a machine back.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a signal has arrived.

    The first signal is only recorded; a second one acts as without this context. Python
    handles signals in the main thread only; in other threads nothing is recorded.
    """
    asked = threading.Event()
    before = {}

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    def record(number, frame):
        asked.set()
        restore()
        logger.info("\nStopping after this step …")

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            before[number] = signal.signal(number, record)
    try:
        yield asked.is_set
    finally:
        restore()
