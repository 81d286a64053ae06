"""What every benchmark's command shares: its arguments, its report, its exit status."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import pairs

# A waiting side that used more of a core than this has disturbed the other's turn.
_IDLE_LIMIT = 0.02
# Of all cores' time, taken by others. With more, PyTorch's OpenMP threads wait for each
# other at every barrier and it falls far behind: a ratio in our favour that is no merit.
_BUSY_LIMIT = 0.05


def machine() -> dict[str, Any]:
    """The processor's model, the cores this process may use, the system, its load."""
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.partition(":")[2] for line in lines if "model name" in line]
        model = names[0].strip() if names else model
    usable = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": model,
        "cores": len(usable(0)) if usable else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def busy_share(seconds: float = 1.0) -> float | None:
    """The share of all cores' time in use, over the next `seconds`; `None` if unknown.

    Taken while no side runs, it is what other programs use.
    """
    counters = pathlib.Path("/proc/stat")
    if not counters.exists():
        return None

    def sample() -> list[int]:
        return [int(part) for part in counters.read_text().split("\n")[0].split()[1:9]]

    before = sample()
    time.sleep(seconds)
    spent = [new - old for new, old in zip(sample(), before, strict=True)]
    # Columns 3 and 4 are idling and waiting for a disk.
    return 1.0 - (spent[3] + spent[4]) / max(sum(spent), 1)


def format_case(title: str, result: Mapping[str, Any], unit: str) -> str:
    """A few lines of text for one result of `pairs.measure`.

    To it belongs `others_busy`: `busy_share` before and after.
    """
    lines = [title]
    for name, side in result["sides"].items():
        line = f"  {name:<22}{side['median']:9.1f} {unit}"
        if name in result["ratios"]:
            ratio = result["ratios"][name]
            line += (
                f"   ours / this {ratio['of_medians']:.2f}"
                f"   pairs {ratio['pair_min']:.2f} to {ratio['pair_max']:.2f}"
            )
        if side["idle_cpu"] > _IDLE_LIMIT:
            line += f"   WARNING: used {side['idle_cpu']:.0%} of a core while waiting"
        lines.append(line)
    busy = max(share or 0.0 for share in result["others_busy"])
    if busy > _BUSY_LIMIT:
        lines.append(
            f"  WARNING: other programs used {busy:.0%} of the machine before or after "
            "this case: its ratios do not count, measure again alone"
        )
    return "\n".join(lines)


def format_machine(description: Mapping[str, Any]) -> str:
    """One line of text for a result of `machine`."""
    return "machine: " + ", ".join(f"{k} {v}" for k, v in description.items())


def format_versions(versions: Mapping[str, Mapping[str, str]]) -> str:
    """A line of text for each side's libraries."""
    return "\n".join(
        f"{name}: " + ", ".join(f"{k} {v}" for k, v in own.items())
        for name, own in versions.items()
    )


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with what every benchmark takes."""

    def __init__(self, description: str, rounds: int):
        super().__init__(
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        self.add_argument(
            "--rounds", type=positive, default=rounds, help="turns of each side"
        )
        self.add_argument(
            "--json", type=pathlib.Path, metavar="FILE", help="write the results here"
        )

    def add_resolutions(self) -> None:
        """Add `--resolutions`, a case each."""
        self.add_argument(
            "--resolutions",
            type=positive,
            nargs="+",
            default=[96, 224],
            metavar="SIZE",
            help="pixels of each case",
        )

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message} (--help lists what is accepted)\n")


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"must be an integer of at least 1. Received: {text!r}"
        )
    return int(text)


def run(
    parser: Parser,
    arguments: argparse.Namespace,
    cases: Callable[[argparse.Namespace], Sequence[tuple[str, Sequence[pairs.Side]]]],
    unit: str,
) -> int:
    """A benchmark's command: measures its cases, prints them, writes them.

    Args:
        parser: its name begins error messages.
        arguments: the parsed command line.
        cases: makes of it the cases: a title and the sides, ours first.
        unit: of the rates, such as `img/s`.

    Returns:
        The exit status: 0, or 2 after a mistake of the caller.
    """
    # Albumentations asks the network for a newer version when it is imported.
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    # The peer is PyTorch's CPU build: a GPU would speed up one side only.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    report = {"machine": machine(), "arguments": vars(arguments), "unit": unit}
    try:
        if arguments.json and not arguments.json.absolute().parent.is_dir():
            raise pairs.UserError(
                f"--json must name a file in a folder that exists. Received: "
                f"{arguments.json}; make {arguments.json.parent} first"
            )
        print(format_machine(report["machine"]), flush=True)
        report["cases"] = {}
        for title, sides in cases(arguments):
            before = busy_share()
            result = pairs.measure(sides, arguments.rounds)
            result["others_busy"] = (before, busy_share())
            if not report["cases"]:
                print(format_versions(result["versions"]))
            report["cases"][title] = result
            print(format_case(title, result, unit), flush=True)
    except pairs.UserError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        part = arguments.json.with_name(arguments.json.name + ".part")
        part.write_text(json.dumps(report, indent=2, default=str) + "\n")
        part.replace(arguments.json)
    return 0
