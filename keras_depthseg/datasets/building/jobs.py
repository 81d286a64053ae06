"""Runs jobs on threads."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any, Protocol

from tqdm.auto import tqdm


class Job(Protocol):
    """A part of a data set that is written on its own."""

    def __len__(self) -> int:
        """Number of samples."""

    def run(self, progress: tqdm, stop: threading.Event) -> None:
        """Writes it, telling `progress` of every sample; gives up once `stop` is set."""


def run_in_threads(jobs: Sequence[Job], workers: int | None) -> None:
    """Runs jobs in threads, one for each core if `workers` is `None`.

    Threads and not processes: OpenCV, NumPy and TensorFlow let go of the interpreter
    for most of the work, a fork after TensorFlow has started its own threads can hang,
    and a fresh process would import the caller's main module again. They share the
    interpreter's lock, though: two compose 2,200 samples/s where two processes make
    3,100, and one thread 1,700. Beam has processes.
    """
    _keep_freed_memory()
    stop = threading.Event()

    def run(job: Job) -> None:
        if stop.is_set():
            return
        try:
            job.run(progress, stop)
        except BaseException:
            stop.set()
            raise

    # Only on a terminal.
    progress = tqdm(total=sum(map(len, jobs)), unit=" samples", disable=None)
    pool = futures.ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        with progress:
            tasks = [pool.submit(run, job) for job in jobs]
            for task in futures.as_completed(tasks):
                task.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _keep_freed_memory() -> None:
    """Has glibc keep what pictures free instead of giving it back to the system, which
    it would ask for again at the next picture: a tenth of the time with two threads.

    Elsewhere nothing happens. Memory does not grow by it: 690 MB at most for 2,000 and
    for 20,000 composites.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    with contextlib.suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(trim_threshold, 2**28)
        libc.mallopt(mmap_threshold, 2**25)


def in_threads(function: Callable[..., Any], tasks: Iterable[tuple]) -> Iterator[Any]:
    """`function(*task)` for every task on all cores, in order, only a few ahead.

    `tasks` is drawn by the calling thread.
    """
    workers = os.cpu_count() or 1
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(function, *task))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
