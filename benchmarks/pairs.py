"""Measures several sides in turns: each in its own process, one at work at a time.

TensorFlow and PyTorch in one process fight over its threads, and one after the other
they meet a machine whose clock and neighbours have changed meanwhile. Here every side
lives in its own subprocess for a whole case and waits, blocked on a pipe, while another
works; the turns alternate, so that what drifts, drifts for all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

# Reported with the results when a side has imported them.
_LIBRARIES = ("tensorflow", "keras", "torch", "numpy", "albumentations", "cv2", "PIL")


class UserError(Exception):
    """A mistake of whoever called; its text is the one line to show."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the things compared.

    Attributes:
        name: how the report calls it.
        setup: a function at the top level of a module, called once in the side's own
            process with `options`. It returns the function that does one pass and
            returns how many items (images, samples) it worked through.
        options: keyword arguments of `setup`; they travel to the process.
    """

    name: str
    setup: Callable[..., Callable[[], int]]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Turn:
    """One pass of one side: items, seconds, and its CPU use while it waited before."""

    items: int
    seconds: float
    idle_cpu_seconds: float
    idle_seconds: float

    @property
    def rate(self) -> float:
        return self.items / self.seconds


def _library_versions() -> dict[str, str]:
    loaded = {name: sys.modules.get(name) for name in _LIBRARIES}
    versions = {n: getattr(m, "__version__", "?") for n, m in loaded.items() if m}
    if "keras" in versions:
        versions["keras backend"] = sys.modules["keras"].config.backend()
    if "torch" in versions:
        versions["torch threads"] = str(sys.modules["torch"].get_num_threads())
    return versions


def _serve(connection: Connection, side: Side, log: str) -> None:
    """What a side's process does: set up, then one pass for every request.

    What it and its libraries write to standard output and error goes to the file `log`.
    """
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        run = side.setup(**side.options)
        connection.send(_library_versions())
        cpu, wall = time.process_time(), time.perf_counter()
        # None ends it, so does a parent that is gone.
        while connection.recv() is not None:
            idle_cpu = time.process_time() - cpu
            start = time.perf_counter()
            items = run()
            end = time.perf_counter()
            connection.send(Turn(items, end - start, idle_cpu, start - wall))
            cpu, wall = time.process_time(), time.perf_counter()
    except (EOFError, KeyboardInterrupt):
        return
    except UserError as error:
        connection.send(error)
    except ModuleNotFoundError as error:
        connection.send(
            UserError(
                f"the side {side.name!r} needs the module {error.name!r}, which is not "
                "installed: install the project with its `torch` extra, in this "
                "environment, and run from the repository's root"
            )
        )
    except Exception:
        connection.send(RuntimeError(f"{side.name} failed:\n{traceback.format_exc()}"))


class Worker:
    """A side's process, from its start to its end, as a context manager."""

    def __init__(self, side: Side):
        self.side = side

    def __enter__(self) -> Worker:
        # A forked TensorFlow or OpenMP deadlocks: every side starts from nothing.
        context = multiprocessing.get_context("spawn")
        self._connection, child = context.Pipe()
        # The libraries' messages would bury the report; they are shown if the process
        # dies.
        self._log = tempfile.NamedTemporaryFile(prefix="benchmark-", suffix=".log")
        self._process = context.Process(
            target=_serve, args=(child, self.side, self._log.name)
        )
        self._process.start()
        child.close()
        try:
            self.versions = self._receive()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._connection.close()
        self._process.join(timeout=20)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._log.close()

    def turn(self) -> Turn:
        """Lets the side do one pass."""
        self._connection.send("pass")
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            log = pathlib.Path(self._log.name).read_text(errors="replace")
            raise RuntimeError(
                f"{self.side.name} ended without an answer, exit code "
                f"{self._process.exitcode} (-9: most likely out of memory)\n{log}"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def measure(sides: Sequence[Side], rounds: int) -> dict[str, Any]:
    """Measures `sides` in turns, after one pass of each that does not count.

    Returns:
        `sides`: for each name the `median` items per second, the `rates` of its turns,
        the `items` of a turn and `idle_cpu`, the share of a core it used while it
        should have slept. `ratios`: for each side but the first, the first's median
        over its median (`of_medians`), and the smallest and largest ratio of two
        turns of one round (`pair_min`, `pair_max`). `versions`: of each side.
    """
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(side)) for side in sides]
        for worker in workers:
            worker.turn()
        turns: dict[str, list[Turn]] = {side.name: [] for side in sides}
        for number in range(rounds):
            # Every second round backwards: a steady drift then favours no side.
            for worker in workers[:: -1 if number % 2 else 1]:
                turns[worker.side.name].append(worker.turn())
        versions = {worker.side.name: worker.versions for worker in workers}
    return {"versions": versions, **summarise(turns)}


def summarise(turns: Mapping[str, Sequence[Turn]]) -> dict[str, Any]:
    """The `sides` and `ratios` of `measure`, from every side's turns in order."""
    sides = {}
    for name, own in turns.items():
        waited = sum(turn.idle_seconds for turn in own)
        used = sum(turn.idle_cpu_seconds for turn in own)
        sides[name] = {
            "median": statistics.median(turn.rate for turn in own),
            "rates": [turn.rate for turn in own],
            "items": own[0].items,
            "idle_cpu": used / waited if waited else 0.0,
        }
    first, *peers = sides
    ratios = {}
    for peer in peers:
        pairs = [
            ours / theirs
            for ours, theirs in zip(
                sides[first]["rates"], sides[peer]["rates"], strict=True
            )
        ]
        ratios[peer] = {
            "of_medians": sides[first]["median"] / sides[peer]["median"],
            "pair_min": min(pairs),
            "pair_max": max(pairs),
        }
    return {"sides": sides, "ratios": ratios}


def require_finite(loss: float) -> None:
    """Refuses a speed at which the loss overflowed: NaN arithmetic is no training."""
    if not math.isfinite(loss):
        raise RuntimeError(f"the loss must stay finite. Received: loss={loss}")
