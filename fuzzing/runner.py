"""Runs damaged files through the product in a watched process, and counts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fuzzing.worker import Board, Counts, keep_fault

HANG_SECONDS = 10.0
"""A case that computes for longer hangs."""
_BUSY = 6
"""So many times as long it may wait: for other programs, on a busy machine."""
MOST_MEMORY = 6 * 2**30
"""In bytes: what no small file may make the process take."""

_POLL_SECONDS = 1.0
_TOLD_SECONDS = 60.0


def run(
    out: Path,
    kinds: Mapping[str, int | None],
    seed: int = 0,
    minutes: float = float("inf"),
    first: int | None = None,
    tell: Callable[[str], None] = print,
    hang_seconds: float = HANG_SECONDS,
) -> dict[str, Counts]:
    """Read cases of some kinds until their number or the time is reached.

    Begins where an earlier run with the same seed in `out` has stopped.

    Args:
        out: results: `progress.json`, `faults.jsonl` and `faults/`, with the files.
        kinds: how many cases of each kind in all; `None` for no limit.
        seed: of all draws.
        minutes: to run at most.
        first: the number of the first case, in place of going on.
        tell: called with a line now and then.
        hang_seconds: a case that computes for longer, or waits for six times as long,
            is a fault.

    Returns:
        The counts of each kind.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = list(kinds)
    progress = _Progress(out / f"progress-{seed}.json")
    board = Board(out / "board", len(names), create=True)
    ends = []
    for number, (name, count) in enumerate(kinds.items()):
        counts = Counts(first) if first is not None else progress[name]
        board[number] = counts
        ends.append(2**62 if count is None else (first or 0) + count)
    deadline = min(time.monotonic() + 60 * minutes, 1e9)
    told = time.monotonic()

    def keep() -> None:
        nonlocal told
        if first is None:
            for number, name in enumerate(names):
                progress[name] = board[number]
            progress.save()
        if time.monotonic() - told > _TOLD_SECONDS:
            told = time.monotonic()
            tell(progress.line(names))

    while _unfinished(board, ends) and time.monotonic() < deadline:
        board.begin(-1)
        plan = {"out": str(out), "names": names, "seed": seed, "ends": ends}
        worker = _start({**plan, "deadline": deadline}, out)
        try:
            reason = _watch(worker, board, hang_seconds, keep)
        finally:
            keep()
        kind, _ = board.now
        if reason is not None and kind >= 0:
            counts = board[kind]
            where = (out / "where.txt").read_text("utf-8", "replace")
            title = f"{reason} in {_innermost(where)}"
            keep_fault(out, names[kind], seed, counts.next, title, where, out / "case")
            counts = counts._replace(faults=counts.faults + 1, next=counts.next + 1)
            board[kind] = counts
        elif reason is not None:
            errors = (out / "worker.txt").read_text("utf-8", "replace")
            raise RuntimeError(f"the worker ended outside of a case: {reason}\n{errors}")
        keep()
    return {name: board[number] for number, name in enumerate(names)}


def _unfinished(board: Board, ends: list[int]) -> bool:
    return any(board[kind].next < end for kind, end in enumerate(ends))


def _start(plan: dict, out: Path) -> subprocess.Popen:
    # Files: a pipe that nobody reads fills, and the worker waits.
    with (out / "worker.txt").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "fuzzing.worker", json.dumps(plan)],
            stdout=log,
            stderr=log,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
            cwd=Path(__file__).parent.parent,
        )


def _watch(
    worker: subprocess.Popen,
    board: Board,
    hang_seconds: float,
    keep: Callable[[], None],
) -> str | None:
    """Wait for the end of the worker; end it if it hangs. Return what went wrong."""
    case, computed = 0.0, 0.0
    try:
        while True:
            try:
                status = worker.wait(_POLL_SECONDS)
                return None if status == 0 else f"the interpreter ended with {status}"
            except subprocess.TimeoutExpired:
                keep()
            kind, since = board.now
            # Twice: the worker may be writing.
            time.sleep(0.05)
            if kind < 0 or board.now != (kind, since):
                continue
            if _resident(worker.pid) > MOST_MEMORY:
                return _ended(worker, f"more than {MOST_MEMORY / 2**30:.0f} GB of memory")
            if since != case:
                case, computed = since, _computed(worker.pid)
            if (
                _computed(worker.pid) - computed > hang_seconds
                and time.monotonic() > since + hang_seconds
            ) or time.monotonic() > since + _BUSY * hang_seconds:
                return _ended(worker, f"no answer in {hang_seconds:.0f} s")
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def _ended(worker: subprocess.Popen, reason: str) -> str:
    worker.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    worker.kill()
    worker.wait()
    return reason


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _computed(pid: int) -> float:
    """Return the processor time of a process, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _innermost(where: str) -> str:
    """Return the innermost line of the package in a dump of all threads."""
    place = r'(\w+\.py)", line \d+ in (\w+)'
    match = re.search(f"keras_depthseg/.*?{place}", where) or re.search(place, where)
    if match:
        return f"{match[1]}:{match[2]}"
    return "an unknown place"


class _Progress:
    """The counts of all kinds that were ever run, in a file."""

    def __init__(self, path: Path):
        self._path = path
        self._counts = json.loads(path.read_text()) if path.exists() else {}

    def __getitem__(self, name: str) -> Counts:
        return Counts(*self._counts.get(name, (0,)))

    def __setitem__(self, name: str, counts: Counts) -> None:
        self._counts[name] = list(counts)

    def save(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._counts, indent=1))
        part.replace(self._path)

    def line(self, names: list[str]) -> str:
        texts = [f"{name} {self[name].next:,}" for name in names]
        faults = sum(self[name].faults for name in names)
        return f"{', '.join(texts)}; faults: {faults}"
