"""SIGKILL at moments drawn at random: the next call must end as if nothing had happened.

    python -m fuzzing.kills --count 100 --seed 0 --out kills

Each job is done once undisturbed. Then again and again, killed at a moment drawn between
its start and its usual end, once to three times, and done to its end by the same command:
the files must be the same bytes, or for training the same weights and history, and no
part may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import importlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fuzzing import drawings

_CLOCKS = ("step_seconds", "images_per_second", "input_wait")
"""Columns of a history that hold times."""


_CONVERT = "keras_depthseg.datasets.original_layout:build"


@dataclasses.dataclass(frozen=True)
class Job:
    """A command that is killed.

    Attributes:
        name: for people.
        arguments: of the command, from the folder of its results; or `MODULE:NAME` of a
            function and what it is called with.
        contents: what must be the same, from the folder of its results.
        again: of the command that follows a kill, where those are others; nothing where
            all was done.
        weight: its share of the kills.
        fresh: whether it needs a process that was not forked: TensorFlow computes with
            threads, which a fork does not have.
    """

    name: str
    arguments: Callable[[Path], list[Any]]
    contents: Callable[[Path], dict[str, Any]]
    again: Callable[[Path], list[Any]] | None = None
    weight: int = 1
    fresh: bool = False


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files, hidden ones too, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_contents(folder: Path) -> dict[str, Any]:
    """Return weights and history of a run, and the names of all its files."""
    import numpy as np

    from keras_depthseg.networks.loading import load_network

    run = folder / "run"
    model = load_network(run / "model.keras")
    weights = [np.array(weight).tobytes() for weight in model.weights]
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    history = [{n: v for n, v in row.items() if n not in _CLOCKS} for row in rows]
    scores = json.loads((run / "scores.json").read_text())
    # TensorBoard names its files after the time; a killed run has more of them.
    names = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts
    )
    # Positions are numbered through, and a killed run has saved more of them.
    names = [name for name in names if "/resume/position-" not in name]
    return {"weights": weights, "history": history, "scores": scores, "names": names}


def evaluation_contents(folder: Path) -> dict[str, Any]:
    """Return the files of an evaluation; where they tell of the command, without that."""
    found = files(folder)
    scores = json.loads(found.pop("scores/scores.json"))
    del scores["command"]
    return {**found, "scores/scores.json": scores}


def make_jobs(sources: Path) -> list[Job]:
    """Return all jobs, of pictures and data in a folder that `write_sources` made."""
    data, model = sources / "data", sources / "model.keras"
    pictures = ["--bg", sources / "bg", "--fg", sources / "fg"]
    depth = ["--depth", f"{sources / 'depth'},step=0.001"]
    size = ["--size", 64, "--fg-height", 30, "--placements", 4]
    compose = ["data", "compose", *pictures, *depth, *size]
    predict = ["predict", "--bg", sources / "bg/0.png", "--model", model, "--force"]
    layout = sources / "layout"
    train = ["train", "--data", data, "--width", 1, "--precision", "float32"]
    train += ["--resolution-schedule", "32:2:16,64:1:16", "--optimizer", "sgd"]
    train += ["--average", 0.9, "--checkpoint-minutes", 0, "--deterministic"]
    evaluate = ["evaluate", model, "--data", data, "--resolution", 64]
    return [
        Job("compose", lambda out: [*compose, "--out", out / "data"], files, weight=3),
        Job(
            "compose, rich",
            lambda out: [
                *("data", "compose", *pictures, *depth, "--variety", "rich"),
                *("--count", 150, "--size", 64, "--out", out / "data"),
            ],
            files,
            weight=2,
        ),
        Job(
            "compose, original layout",
            lambda out: [*compose, "--layout", "original", "--out", out / "data"],
            files,
            weight=2,
        ),
        Job(
            "compose, original layout, zip",
            lambda out: [
                *(*compose, "--layout", "original", "--zip", "--out", out / "data")
            ],
            files,
        ),
        Job("conversion", lambda out: [_CONVERT, layout, out], files, weight=3),
        Job(
            "train",
            lambda out: [*train, "--run-dir", out / "run"],
            run_contents,
            lambda out: _resumed(train, out / "run"),
            weight=3,
            fresh=True,
        ),
        Job(
            "evaluate",
            lambda out: _scored(evaluate, out),
            evaluation_contents,
            # Its folder appears whole, and is not overwritten.
            lambda out: [] if (out / "scores").exists() else _scored(evaluate, out),
            fresh=True,
        ),
        Job(
            "predict, photographs",
            lambda out: [*predict, "--image", sources / "bg", "--out", out],
            files,
            weight=2,
        ),
        Job(
            "predict, video",
            lambda out: [
                *(*predict, "--image", sources / "long.mp4", "--out", out),
                *("--write", "mask,overlay"),
            ],
            files,
            weight=2,
        ),
        Job(
            "card",
            lambda out: ["data", "card", data, "--out", out / "a.html"],
            files,
            fresh=True,
        ),
    ]


def _scored(command: list[Any], out: Path) -> list[Any]:
    return [*command, "--out", out / "scores"]


def _resumed(command: list[Any], run: Path) -> list[Any]:
    """Return the command that follows a kill of training."""
    if (run / "report.html").exists():  # Written last.
        return []
    if (run / "config.json").exists():
        return ["train", "--resume", "--run-dir", run]
    return [*command, "--run-dir", run]


def write_sources(folder: Path) -> None:
    """Write pictures, a video, a network, a data set and one in the original layout."""
    from fuzzing.targets.videos import write_video
    from keras_depthseg.datasets.compose import compose
    from keras_depthseg.model import DSResNet

    drawings.write_sources(folder)
    write_video(folder / "long.mp4", 700)
    DSResNet(width=1).save(folder / "model.keras")
    options = drawings.compose_options(folder, size=64, count=80)
    compose(options, folder / "data")
    whole = dataclasses.replace(options, layout="original", count=240)
    compose(whole, folder / "layout")
    (folder / "layout/fingerprint.json").unlink()


def _command(
    arguments: Sequence[str], preload: Sequence[str], log: Path, started: Any
) -> None:
    """Do a command of `depthseg`, or call a function `MODULE:NAME`, in this process."""
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # What it starts ends with it.
    os.setsid()
    for module in preload:
        importlib.import_module(module)
    module, colon, name = arguments[0].partition(":")
    call = getattr(importlib.import_module(module), name) if colon else None
    started.send(None)
    if call is not None:
        call(*map(Path, arguments[1:]))
        sys.exit(0)
    from keras_depthseg.commands import main

    sys.exit(main.main(list(arguments)) or 0)


class Killer:
    """Starts commands in processes that have imported everything, and kills them.

    Args:
        log: file for what they write.
        preload: modules to import once for all.
    """

    def __init__(self, log: Path, preload: Sequence[str]):
        self._log = log
        self._preload = tuple(preload)
        self._forked = multiprocessing.get_context("forkserver")
        self._forked.set_forkserver_preload(list(preload))
        self._fresh = multiprocessing.get_context("spawn")

    def run(
        self, arguments: Sequence[Any], seconds: float | None = None, fresh: bool = False
    ) -> float | None:
        """Do a command; kill it after some seconds, if it has not ended.

        Args:
            arguments: of the command.
            seconds: counted from when all is imported; `None` lets it end.
            fresh: see `Job`.

        Returns:
            How long it took, in seconds; `None` if it was killed.

        Raises:
            RuntimeError: it ended with another status than 0.
        """
        context: Any = self._fresh if fresh else self._forked
        receiver, sender = context.Pipe(duplex=False)
        texts = list(map(str, arguments))
        process = context.Process(
            target=_command, args=(texts, self._preload, self._log, sender)
        )
        process.start()
        receiver.recv()
        begin = time.monotonic()
        process.join(seconds)
        if process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            return None
        if process.exitcode:
            tail = self._log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{texts}: status {process.exitcode}\n{tail}")
        return time.monotonic() - begin


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return a line for everything that is not the same."""
    return [
        f"{name}: {'missing' if name not in found else 'left'}"
        for name in sorted(expected.keys() ^ found.keys())
    ] + [
        f"{name}: differs"
        for name in sorted(expected.keys() & found.keys())
        if expected[name] != found[name]
    ]


def kill_all(
    jobs: Sequence[Job],
    work: Path,
    count: int,
    seed: int,
    tell: Callable[[str], None] = print,
    preload: Sequence[str] = ("fuzzing.preload",),
) -> list[str]:
    """Kill jobs in turn until there were `count` kills.

    Returns:
        A line for each that did not end as if undisturbed.
    """
    work.mkdir(parents=True, exist_ok=True)
    rng, killer = random.Random(seed), Killer(work / "log.txt", preload)
    expected: dict[str, dict[str, Any]] = {}
    seconds: dict[str, float] = {}
    wrong, kills, found = [], 0, None
    turns = [job for job in jobs for _ in range(job.weight)]
    for number, job in enumerate(itertools.cycle(turns)):
        if kills >= count:
            return wrong
        out = work / "out"
        if job.name not in expected:
            # Twice: the first may fill caches.
            for _ in range(2):
                out.mkdir()
                seconds[job.name] = killer.run(job.arguments(out), fresh=job.fresh) or 0.0
                found, expected[job.name] = expected.get(job.name), job.contents(out)
                shutil.rmtree(out)
            tell(f"{job.name}: {seconds[job.name]:.1f} s undisturbed")
            if found != expected[job.name]:
                wrong.append(f"{job.name}: it is not the same twice")
        out.mkdir()
        moments, arguments = [], job.arguments(out)
        for _ in range(rng.randint(1, 3)):
            moment = rng.random() * seconds[job.name]
            took = killer.run(arguments, moment, job.fresh)
            if took is not None:
                # The machine has more time than before.
                seconds[job.name] = took if not moments else seconds[job.name]
                break
            moments.append(round(moment, 2))
            arguments = job.again(out) if job.again else arguments
            if not arguments:
                break
        else:
            killer.run(arguments, fresh=job.fresh)
        kills += len(moments)
        lines = differences(expected[job.name], job.contents(out))
        tell(
            f"{kills}: {job.name}, killed after {moments} s: {'; '.join(lines) or 'same'}"
        )
        if lines:
            wrong.append(f"{job.name}, killed after {moments} s: {'; '.join(lines)}")
            shutil.copytree(out, work / f"wrong-{number}")
        shutil.rmtree(out)
    return wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a job did not end as if undisturbed."""
    parser = argparse.ArgumentParser(prog="python -m fuzzing.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", action="append", help="begins so; default: all")
    parser.add_argument("--out", type=Path, help="for logs and what went wrong")
    args = parser.parse_args(argv)
    work = args.out or Path(tempfile.mkdtemp(prefix="kills-"))
    sources = work / "sources"
    os.environ["KERAS_DEPTHSEG_CACHE"] = str(work / "cache")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not sources.exists():
        write_sources(sources)
    chosen = tuple(args.job or [""])
    jobs = [job for job in make_jobs(sources) if job.name.startswith(chosen)]
    if not jobs:
        parser.error(f"--job: received {', '.join(chosen)}; no job begins so")
    wrong = kill_all(jobs, work, args.count, args.seed)
    print("\n".join(wrong) or "all as if undisturbed")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
