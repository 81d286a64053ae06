"""An hour of use under a memory limit: nothing may grow.

    python -m fuzzing.soak --minutes 60 --out soak

One process uses the package as a notebook does, round after round; after each the next
command runs, training killed and resumed. Then memory, open files and threads of the
notebook's process are written to `soak.csv`, with the temporary files, shared memory and
leftovers of all; `soak.png` shows them.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import drawings

ROOT = Path(__file__).parent.parent
MEMORY_LIMIT = 6 * 2**30
"""Bytes of data that each process may have."""
WARM_UP = 3
"""Rounds in which libraries are loaded and caches filled."""
_GROWTH = 0.05
"""Share by which memory may grow from the second to the last third of the rounds."""
_KNOWN = {"sources", "temporary", "temporary-commands", "cache", "commands"}


def soak(out: Path, minutes: float) -> list[dict[str, float]]:
    """Go rounds for a time; return what was measured after each.

    Args:
        out: for `soak.csv` and `soak.png`.
        minutes: no round begins later.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        work = Path(name)
        sources, temporary = work / "sources", work / "temporary"
        write_sources(sources)
        temporary.mkdir()
        environment = {
            **os.environ,
            "TMPDIR": str(temporary),
            "KERAS_DEPTHSEG_CACHE": str(work / "cache"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONPATH": str(ROOT),
        }
        with (out / "notebook.txt").open("w") as log:
            notebook = subprocess.Popen(
                [sys.executable, "-m", "fuzzing.notebook", str(sources)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                cwd=work,
                preexec_fn=limit_memory,
            )
        of_commands = work / "temporary-commands"
        of_commands.mkdir()
        commands = _Commands(
            sources, work / "commands", {**environment, "TMPDIR": str(of_commands)}
        )
        try:
            begin, number = time.monotonic(), 0
            while time.monotonic() < begin + 60 * minutes:
                started = time.monotonic()
                _ask(notebook, number, out)
                commands.next(number)
                rows.append(
                    {
                        "round": number,
                        "seconds": time.monotonic() - started,
                        **_measured(notebook.pid, work),
                    }
                )
                _write(out, rows)
                number += 1
        finally:
            notebook.kill()
            notebook.communicate()
    draw(out / "soak.png", rows)
    return rows


def limit_memory() -> None:
    """Limit the data of this process, and of those that it starts."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))


def write_sources(folder: Path) -> None:
    """Write pictures, a video and a network."""
    from fuzzing.targets.videos import write_video
    from keras_depthseg.model import DSResNet

    drawings.write_sources(folder)
    for path in (folder / "bg").iterdir():
        number = int(path.stem)
        path.write_bytes(drawings.encoded(drawings.plate(number, (96, 96))))
    for path in (folder / "depth").iterdir():
        number = int(path.stem)
        path.write_bytes(drawings.encoded(drawings.millimetres(number, (96, 96))))
    write_video(folder / "a.mp4", 20)
    DSResNet(width=1).save(folder / "model.keras")


def _ask(notebook: subprocess.Popen, number: int, out: Path) -> None:
    """Let the notebook go a round."""
    asked, answered = notebook.stdin, notebook.stdout
    if asked is None or answered is None:
        raise AssertionError("a process without pipes")
    asked.write(f"{number}\n")
    asked.flush()
    for line in answered:
        if line == f"round {number} done\n":
            return
    raise RuntimeError(f"the notebook ended; see {out / 'notebook.txt'}")


class _Commands:
    """Commands in turn, one a round; training is killed once and resumed.

    Args:
        sources: what they read.
        folder: for their results, emptied when all had their turn.
        environment: of their processes.
    """

    def __init__(self, sources: Path, folder: Path, environment: Mapping[str, str]):
        self._sources, self._folder = sources, folder
        self._environment = dict(environment)
        self._turn = 0

    def next(self, seed: int) -> None:
        """Run the next command.

        Raises:
            RuntimeError: it ended with another status than 0.
        """
        turns = [
            self._compose,
            self._validate,
            lambda: self._train(random.Random(seed).uniform(3, 30)),
            lambda: self._train(None),
            self._evaluate,
            lambda: self._predict("bg"),
            lambda: self._predict("a.mp4"),
        ]
        self._folder.mkdir(exist_ok=True)
        turns[self._turn]()
        self._turn = (self._turn + 1) % len(turns)
        if self._turn == 0:
            shutil.rmtree(self._folder)

    def _compose(self) -> None:
        command = ["data", "compose", "--bg", self._sources / "bg", "--count", 32]
        command += ["--fg", self._sources / "fg", "--size", 64, "--out", self._data]
        self._run(*command, "--depth", f"{self._sources / 'depth'},step=0.001")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _validate(self) -> None:
        self._run("data", "validate", self._data)

    def _train(self, seconds: float | None) -> None:
        run = self._folder / "run"
        command = ["train", "--data", self._data, "--width", 1, "--run-dir", run]
        command += ["--resolution-schedule", "32:3:4", "--checkpoint-minutes", 0.01]
        if (run / "report.html").exists():
            return
        if (run / "config.json").exists():
            command = ["train", "--resume", "--run-dir", run]
        self._run(*command, kill_after=seconds)

    def _evaluate(self) -> None:
        out = ["--samples", 4, "--no-baselines"]
        self._run("evaluate", self._folder / "run", "--data", self._data, *out)

    def _predict(self, name: str) -> None:
        command = ["predict", "--bg", self._sources / "bg/0.png", "--out", self._folder]
        command += ["--model", self._sources / "model.keras"]
        self._run(*command, "--image", self._sources / name)

    def _run(self, *arguments: Any, kill_after: float | None = None) -> None:
        # In a session of its own, to be killed with all that it has started.
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "depthseg.py"), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            cwd=self._folder,
            start_new_session=True,
            preexec_fn=limit_memory,
        )
        try:
            output, _ = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return
        if process.returncode:
            text = output.decode(errors="replace")[-2000:]
            raise RuntimeError(f"{arguments}: status {process.returncode}: {text}")


def _measured(pid: int, work: Path) -> dict[str, float]:
    process = Path(f"/proc/{pid}")
    fields = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines()
    )
    return {
        "memory_mb": int(fields["VmRSS"].split()[0]) / 1024,
        "open_files": len(list((process / "fd").iterdir())),
        "threads": int(fields["Threads"]),
        "temporary_files": _count_temporary(work / "temporary"),
        "commands_temporary_files": _count_temporary(work / "temporary-commands"),
        "shared_memory_files": len(os.listdir("/dev/shm")),
        "cached_files": len([p for p in (work / "cache").rglob("*") if p.is_file()]),
        # What rounds leave beside what they are given and asked for.
        "left_files": len({p.name for p in work.iterdir()} - _KNOWN),
    }


def _count_temporary(folder: Path) -> int:
    # TensorFlow removes its copies of functions when a process ends, unless it is killed.
    names = (path.name for path in folder.rglob("*"))
    return sum(not name.startswith("__autograph_generated_file") for name in names)


def _write(out: Path, rows: Sequence[Mapping[str, float]]) -> None:
    with (out / "soak.csv").open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw a curve of every column over the rounds."""
    from matplotlib.figure import Figure

    names = [name for name in rows[0] if name not in ("round", "seconds")]
    figure = Figure(figsize=(8, 1.6 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), sharex=True), names, strict=True):
        axes.plot([row[name] for row in rows], marker=".")
        axes.set_ylabel(name.replace("_", " "))
        axes.set_ylim(0, 1.2 * max(row[name] for row in rows) + 1)
        axes.grid(alpha=0.3)
    axes.set_xlabel("round")
    figure.savefig(path, dpi=90)


def growth(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Return a line for each thing that grew, after the rounds of `WARM_UP`."""
    rows = rows[WARM_UP:]
    if len(rows) < 3:
        return []
    third = len(rows) // 3
    before, after = rows[third : 2 * third], rows[-third:]
    found = []
    for name in rows[0]:
        if name in ("round", "seconds"):
            continue
        first, last = (
            float(np.median([row[name] for row in r])) for r in (before, after)
        )
        allowed = _GROWTH * first if name == "memory_mb" else 0
        if last > first + allowed:
            found.append(f"{name} grew from {first:,.1f} to {last:,.1f}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if something grew."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("soak"))
    args = parser.parse_args(argv)
    rows = soak(args.out, args.minutes)
    found = growth(rows)
    print("\n".join(found) or f"{len(rows)} rounds: nothing grew; see {args.out}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
