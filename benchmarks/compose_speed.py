"""Composing speed of `depthseg data compose` against the original's notebook procedure.

    python -m benchmarks.compose_speed --rounds 3 --json compose_speed.json
    python -m benchmarks.compose_speed --bg FOLDER --fg FOLDER

Both make composites and masks of 224 px from the same pictures, no depth. Ours reads and
checks all sources, hashes them for near-duplicates and writes TFRecord shards of JPEG
(quality 95, full colour resolution) and lossless masks, one thread for each core; the
peer resizes them first, which its author did by hand. A turn is all of that, from the two
folders to the finished data set.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Sequence

from benchmarks import command, original_compose, pairs, sources


def keras_side(bg: str, fg: str, out: str, count: int) -> Callable[[], int]:
    """Our side: a data set of `count` samples."""
    from keras_depthseg.datasets.compose import compose
    from keras_depthseg.datasets.composites.options import ComposeOptions

    options = ComposeOptions(bg=bg, fg=pathlib.Path(fg), flip=True, count=count)

    def run() -> int:
        shutil.rmtree(out, ignore_errors=True)
        compose(options, pathlib.Path(out))
        return count

    return run


def original_side(bg: str, fg: str, out: str, count: int) -> Callable[[], int]:
    """The peer: the notebook's procedure."""
    prepared, target = (pathlib.Path(out, name) for name in ("prepared", "composed"))

    def run() -> int:
        shutil.rmtree(out, ignore_errors=True)
        original_compose.prepare(pathlib.Path(bg), pathlib.Path(fg), prepared)
        original_compose.compose(prepared, target, count, places=40)
        return count

    return run


def cases(
    arguments: argparse.Namespace,
) -> Sequence[tuple[str, Sequence[pairs.Side]]]:
    """One case: ours, the original's."""
    options = {"bg": str(arguments.bg), "fg": str(arguments.fg), "count": arguments.count}
    sides = [
        pairs.Side("compose", keras_side, {**options, "out": f"{arguments.out}/ours"}),
        pairs.Side("notebook", original_side, {**options, "out": f"{arguments.out}/its"}),
    ]
    return [(f"{arguments.count} composites of 224 px", sides)]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = command.Parser("Composing speed: ours against the original's.", rounds=3)
    sources.add_arguments(parser)
    parser.add_argument(
        "--count", type=command.positive, default=20000, help="composites of a turn"
    )
    arguments = sources.parse(parser, argv)
    with tempfile.TemporaryDirectory(prefix="compose-speed-") as scratch:
        arguments.out = pathlib.Path(scratch)
        sources.draw_missing(arguments, arguments.out / "drawn")
        return command.run(parser, arguments, cases, unit="samples/s")


if __name__ == "__main__":
    raise SystemExit(main())
