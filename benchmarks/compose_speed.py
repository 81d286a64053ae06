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

import numpy as np
from PIL import Image

from benchmarks import command, original_compose, pairs


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


def draw_sources(folder: pathlib.Path) -> None:
    """Rendered rooms as backgrounds and rendered figures as cutouts."""
    from keras_depthseg.datasets.rooms import cutouts, scene

    for name in ("bg", "fg"):
        (folder / name).mkdir(parents=True)
    for index in range(24):
        room = scene.make_room(0, index, 320)
        Image.fromarray(room.bg).save(folder / f"bg/{index:03d}.jpg", quality=92)
    for index in range(60):
        rgba = np.array(cutouts.make_cutout(0, index, 256).rgba)
        Image.fromarray(rgba).save(folder / f"fg/{index:03d}.png")


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
    for name, what in (("bg", "backgrounds"), ("fg", "RGBA cutouts")):
        parser.add_argument(
            f"--{name}",
            type=pathlib.Path,
            metavar="FOLDER",
            help=f"of {what} (default: some drawn for the purpose)",
        )
    parser.add_argument(
        "--count", type=command.positive, default=20000, help="composites of a turn"
    )
    arguments = parser.parse_args(argv)
    if (arguments.bg is None) != (arguments.fg is None):
        parser.error("--bg and --fg go together: give both or neither")
    with tempfile.TemporaryDirectory(prefix="compose-speed-") as scratch:
        arguments.out = pathlib.Path(scratch)
        if arguments.bg is None:
            draw_sources(arguments.out / "drawn")
            arguments.bg, arguments.fg = (
                arguments.out / "drawn" / name for name in ("bg", "fg")
            )
        return command.run(parser, arguments, cases, unit="samples/s")


if __name__ == "__main__":
    raise SystemExit(main())
