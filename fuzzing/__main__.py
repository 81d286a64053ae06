"""`python -m fuzzing [KIND[:CASES] ...]`: damaged files of all kinds, see README.md."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from fuzzing import runner
from fuzzing.targets import KINDS


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 1 if a fault was found."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzzing",
        description="Read damaged files of all kinds as the product does.",
        epilog=f"kinds: {', '.join(KINDS)}",
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND[:CASES]", help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="at most")
    parser.add_argument("--from", type=int, dest="first", help="number of the first case")
    parser.add_argument("--count", type=int, help="cases of each kind")
    parser.add_argument("--out", type=Path, help="results, to go on later")
    args = parser.parse_args(argv)
    kinds = {}
    for text in args.kinds or KINDS:
        name, _, cases = text.partition(":")
        if name not in KINDS:
            parser.error(f"{name}: unknown; accepted are {', '.join(KINDS)}")
        kinds[name] = int(cases) if cases else args.count
    out = args.out or Path(tempfile.gettempdir()) / "keras_depthseg_fuzzing"
    results = runner.run(out, kinds, args.seed, args.minutes, args.first)
    faults = 0
    for name, counts in results.items():
        print(
            f"{name}: {counts.accepted:,} accepted, {counts.refused:,} refused, "
            f"{counts.faults} faults"
        )
        faults += counts.faults
    if faults:
        print(f"the files are in {out / 'faults'}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
