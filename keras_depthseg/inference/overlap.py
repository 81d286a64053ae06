"""Reading, predicting and writing side by side, in three threads.

Decoders, the network and encoders release the interpreter lock while they work.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

# Items that are read ahead, and that wait to be written. Three pairs of 12 megapixels
# are 0.5 GB, and more of them gain nothing.
_WAITING = 1


class Stages:
    """Measures how long each stage works; stages overlap.

    Attributes:
        busy: seconds by stage.
    """

    def __init__(self):
        self.busy: dict[str, float] = {"reading": 0, "predicting": 0, "writing": 0}
        self._begin = time.perf_counter()

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage; only one thread works at each."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.busy[stage] += time.perf_counter() - begin

    def summary(self, count: int, unit: str) -> str:
        """Return a line: `12 frames in 3.0 s, 4.0 a second; reading 10 %, …`."""
        seconds = max(time.perf_counter() - self._begin, 1e-6)
        shares = (
            f"{name} {100 * busy / seconds:.0f} %" for name, busy in self.busy.items()
        )
        return (
            f"{count} {unit}{'s' * (count != 1)} in {seconds:.1f} s, "
            f"{count / seconds:.1f} a second; {', '.join(shares)} of it, side by side"
        )


def read_ahead(items: Iterable[Item], stages: Stages) -> Iterator[Item]:
    """Yield items that another thread makes while the last one is worked on."""
    iterator, end = iter(items), object()

    def read() -> Any:
        with stages.timed("reading"):
            return next(iterator, end)

    with ThreadPoolExecutor(1, "reading") as thread:
        coming = collections.deque(thread.submit(read) for _ in range(1 + _WAITING))
        while (item := coming.popleft().result()) is not end:
            coming.append(thread.submit(read))
            yield item


@contextlib.contextmanager
def write_behind(stages: Stages) -> Iterator[Callable[..., None]]:
    """Yield a function that calls another one in a thread: `write(function, *args)`.

    It waits while two calls are not finished. At the end of the block all are; the error
    of one is raised by the next call, or there.
    """
    calls: collections.deque[Future[None]] = collections.deque()

    def timed(function: Callable[..., None], *args: Any) -> None:
        with stages.timed("writing"):
            function(*args)

    with ThreadPoolExecutor(1, "writing") as thread:

        def write(function: Callable[..., None], *args: Any) -> None:
            while len(calls) > _WAITING:
                calls.popleft().result()
            calls.append(thread.submit(timed, function, *args))

        try:
            yield write
            while calls:
                calls.popleft().result()
        finally:
            for call in calls:
                call.cancel()
