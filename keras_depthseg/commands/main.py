"""The command `depthseg`."""

from __future__ import annotations

import argparse

from keras_depthseg.commands.data import add_card, add_compose, add_validate
from keras_depthseg.commands.parsing import Parser, described


def main(argv: list[str] | None = None) -> int | None:
    """Runs a command; returns its exit status, `None` for 0.

    Raises:
        UserError: a mistake of the user's.
    """
    args = parse_args(argv)
    return args.run(args)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(
        prog="depthseg",
        **described(
            "Foreground mask and scene depth from a background plate and a picture.",
            "depthseg data --help\ndepthseg data validate my_data",
        ),
    )
    groups = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data = groups.add_parser(
        "data",
        help="make and check data sets",
        **described(
            "Make data sets, look at them and check them.",
            "depthseg data compose --bg backgrounds --fg cutouts --out my_data\n"
            "depthseg data card my_data\n"
            "depthseg data validate my_data",
        ),
    )
    commands = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_compose(commands)
    add_card(commands)
    add_validate(commands)
    return parser.parse_args(argv)
