"""The process that reads damaged files; `runner` watches it, and survives it."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import json
import logging
import mmap
import os
import re
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SLICE_SECONDS = 3.0
# TensorFlow keeps every function until its process ends.
_MOST_MEMORY = 3 * 2**30
_KEPT_CASES = 3
"""Cases of one fault whose files are kept."""


class Counts(NamedTuple):
    """The progress of a kind.

    Attributes:
        next: the number of the next case.
        accepted, refused: damaged things, of which a case may hold several.
        faults: cases in which something was wrong.
    """

    next: int
    accepted: int = 0
    refused: int = 0
    faults: int = 0


class Board:
    """A file in memory in which the worker says where it is, whatever happens to it.

    Args:
        path: of the file.
        kinds: number of kinds.
        create: whether to make the file.
    """

    _HEAD = struct.Struct("<qd")
    _ROW = struct.Struct("<qqqq")

    def __init__(self, path: Path, kinds: int, create: bool = False):
        size = self._HEAD.size + kinds * self._ROW.size
        if create:
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)

    def begin(self, kind: int, patience: float = 0.0) -> None:
        """Say that a case of a kind begins, -1 for anything else.

        It may take so many seconds longer than others.
        """
        self._HEAD.pack_into(self._map, 0, kind, time.monotonic() + patience)

    @property
    def now(self) -> tuple[int, float]:
        """The kind of the case that runs, or -1, and since when."""
        return self._HEAD.unpack_from(self._map, 0)

    def __getitem__(self, kind: int) -> Counts:
        return Counts(*self._ROW.unpack_from(self._map, self._place(kind)))

    def __setitem__(self, kind: int, counts: Counts) -> None:
        self._ROW.pack_into(self._map, self._place(kind), *counts)

    def _place(self, kind: int) -> int:
        return self._HEAD.size + kind * self._ROW.size


def keep_fault(
    out: Path, kind: str, seed: int, number: int, title: str, text: str, case: Path
) -> None:
    """Keep the files of a case, a few for each title, and its text.

    Args:
        out: the folder of results.
        kind, seed, number: name the case.
        title: the same for the same fault.
        text: the rest.
        case: the folder with the files.
    """
    digest = hashlib.sha256(f"{kind} {title}".encode()).hexdigest()[:10]
    folder = out / "faults" / kind / digest
    folder.mkdir(parents=True, exist_ok=True)
    line = {"kind": kind, "seed": seed, "case": number, "title": title}
    with (out / "faults.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    if len(list(folder.iterdir())) < _KEPT_CASES:
        kept = folder / f"{seed}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(case, kept / "files", symlinks=True)
        command = f"python -m fuzzing {kind} --seed {seed} --from {number} --count 1"
        (kept / "fault.txt").write_text(
            f"{title}\n{command}\n\n{text}\n", "utf-8", "replace"
        )


def title_of(error: BaseException) -> str:
    """Return a line that is the same for the same fault: type and innermost place."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "keras_depthseg/" in frame.filename]
    frame = (ours or frames)[-1]
    place = "/".join(Path(frame.filename).parts[-2:])
    return f"{type(error).__name__} in {place}:{frame.name}"


def run(
    out: Path,
    names: Sequence[str],
    seed: int,
    ends: Sequence[int],
    deadline: float,
) -> None:
    """Read cases of all kinds in turn, a few seconds each, to their ends.

    Args:
        out: the folder of results.
        names: the kinds.
        seed: of all draws.
        ends: the number of the case after the last one, of each kind.
        deadline: the time at which to end, of `time.monotonic`.
    """
    from fuzzing.target import BadLineError, WrongContentError
    from fuzzing.targets import opened_target

    # SIGUSR1 asks where the process hangs.
    dump = (out / "where.txt").open("w")
    faulthandler.enable(dump)
    faulthandler.register(signal.SIGUSR1, dump)
    logging.disable(logging.CRITICAL)
    board = Board(out / "board", len(names))
    board.begin(-1)
    case = out / "case"
    targets = {
        name: opened_target(name, out / "specimens" / name, case) for name in names
    }
    parent = os.getppid()
    # Without its watcher it ends.
    while time.monotonic() < deadline and os.getppid() == parent:
        busy = False
        for kind, name in enumerate(names):
            target, stop = targets[name], min(deadline, time.monotonic() + _SLICE_SECONDS)
            while time.monotonic() < stop and board[kind].next < ends[kind]:
                busy = True
                counts = board[kind]
                board.begin(kind, target.patience)
                try:
                    verdict = target.run_case(seed, counts.next)
                    done = getattr(counts, verdict) + target.items
                    counts = counts._replace(**{verdict: done})
                # Also of what ends a process: nothing of it may come from a file.
                except BaseException as error:
                    title = title_of(error)
                    if isinstance(error, (BadLineError, WrongContentError)):
                        title = re.sub(r"\d[\d,]*", "N", str(error).partition(":")[0])
                    keep_fault(
                        *(out, name, seed, counts.next, title),
                        "".join(traceback.format_exception(error)),
                        case,
                    )
                    counts = counts._replace(faults=counts.faults + 1)
                board[kind] = counts._replace(next=counts.next + 1)
                board.begin(-1)
            if _resident() > _MOST_MEMORY:
                gc.collect()
                return
        if not busy:
            return


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    # As a command does: what is not used is not imported.
    import depthseg

    depthseg.is_running = True
    plan = json.loads(sys.argv[1])
    run(Path(plan["out"]), plan["names"], plan["seed"], plan["ends"], plan["deadline"])
