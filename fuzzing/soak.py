"""An hour of use under a memory limit: nothing may grow.

    python -m fuzzing.soak --minutes 60 --out soak

One process uses the package as a notebook does, round after round; beside it the commands
run, training killed and resumed. After each round the memory, open files and threads of the
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
"""Share by which memory may differ between the second and the last third of the rounds."""


def soak(out: Path, minutes: float, with_commands: bool = True) -> list[dict[str, float]]:
    """Go rounds for a time; return what was measured after each.

    Args:
        out: for `soak.csv` and `soak.png`.
        minutes: no round begins later.
        with_commands: whether commands run beside the notebook.
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
        try:
            begin, number = time.monotonic(), 0
            while time.monotonic() < begin + 60 * minutes:
                started = time.monotonic()
                _ask(notebook, number, out)
                if with_commands:
                    _commands(sources, work / "commands", environment, number)
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


def _commands(
    sources: Path, folder: Path, environment: Mapping[str, str], number: int
) -> None:
    """Run the commands, training killed once and resumed."""
    folder.mkdir()
    rng = random.Random(number)
    data, run = folder / "data", folder / "run"
    compose = ["data", "compose", "--bg", sources / "bg", "--fg", sources / "fg"]
    compose += ["--depth", f"{sources / 'depth'},step=0.001", "--size", 64, "--count", 32]
    train = ["train", "--data", data, "--width", 1, "--resolution-schedule", "32:3,64:3"]
    train += ["--batch-size", 4, "--checkpoint-minutes", 0.01]
    predict = ["predict", "--bg", sources / "bg/0.png", "--model", sources / "model.keras"]

    def command(*arguments: Any, kill_after: float | None = None) -> int:
        # In a session of its own, to be killed with all that it has started.
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "depthseg.py"), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            preexec_fn=limit_memory,
        )
        try:
            output, _ = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return -signal.SIGKILL
        if process.returncode not in (0, None):
            text = output.decode(errors="replace")[-2000:]
            raise RuntimeError(f"{arguments}: status {process.returncode}: {text}")
        return 0

    command(*compose, "--out", data)
    command("data", "validate", data)
    if command(*train, "--run-dir", run, kill_after=rng.uniform(5, 25)):
        started = (run / "config.json").exists()
        again = ["train", "--resume", "--run-dir", run]
        command(*(again if started else [*train, "--run-dir", run]))
    command("evaluate", run, "--data", data, "--samples", 4, "--no-baselines")
    command(*predict, "--image", sources / "bg", "--out", folder / "pictures")
    command(*predict, "--image", sources / "a.mp4", "--out", folder / "video")
    shutil.rmtree(folder)


def _measured(pid: int, work: Path) -> dict[str, float]:
    process = Path(f"/proc/{pid}")
    fields = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines()
    )
    return {
        "memory_mb": int(fields["VmRSS"].split()[0]) / 1024,
        "open_files": len(list((process / "fd").iterdir())),
        "threads": int(fields["Threads"]),
        "temporary_files": len(list((work / "temporary").rglob("*"))),
        "shared_memory_files": len(os.listdir("/dev/shm")),
        "cached_files": len([p for p in (work / "cache").rglob("*") if p.is_file()]),
        # What rounds leave beside the sources, the cache and the temporary files.
        "left_files": len(list(work.iterdir())) - 3,
    }


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
        first, last = (float(np.median([row[name] for row in r])) for r in (before, after))
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
