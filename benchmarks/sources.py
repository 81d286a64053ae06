"""Backgrounds and cutouts of the benchmarks that compose: given, or drawn."""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from PIL import Image

from benchmarks import command


def add_arguments(parser: command.Parser) -> None:
    """Add `--bg` and `--fg`."""
    for name, what in (("bg", "backgrounds"), ("fg", "RGBA cutouts")):
        parser.add_argument(
            f"--{name}",
            type=pathlib.Path,
            metavar="FOLDER",
            help=f"of {what} (default: some drawn for the purpose)",
        )


def parse(parser: command.Parser, argv) -> argparse.Namespace:
    """Parse a command line with `--bg` and `--fg`, of which one alone is refused."""
    arguments = parser.parse_args(argv)
    if (arguments.bg is None) != (arguments.fg is None):
        parser.error("--bg and --fg go together: give both or neither")
    return arguments


def draw_missing(arguments: argparse.Namespace, folder: pathlib.Path) -> None:
    """Draw pictures into a folder if none are given, and set `bg` and `fg` to them."""
    if arguments.bg is None:
        _draw(folder)
        arguments.bg, arguments.fg = folder / "bg", folder / "fg"


def _draw(folder: pathlib.Path) -> None:
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
