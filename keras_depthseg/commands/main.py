"""The command `depthseg`: its sub-commands, and what every one of them does first."""

from __future__ import annotations

import argparse

import keras_depthseg
from keras_depthseg.commands import data, demo, evaluate, export, predict, train
from keras_depthseg.commands.parsing import Parser, described
from keras_depthseg.commands.terminal import terminal_messages


def main(argv: list[str] | None = None) -> int | None:
    """Run a sub-command; return its exit status, `None` for 0.

    The arguments are parsed before TensorFlow is imported, which takes seconds.

    Args:
        argv: the arguments; those of the process by default.

    Raises:
        UserError: after a mistake of the user.
    """
    args = parse_args(argv)
    with terminal_messages(args.parser.options()):
        return args.run(args)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options, with the sub-command's `run` and `parser`."""
    args, unknown = make_parsers()[""].parse_known_args(argv)
    if unknown:
        args.parser.refuse_unknown(unknown)
    return args


def make_parsers() -> dict[str, Parser]:
    """Return the parser of each sub-command by its name, of `depthseg` itself by `""`."""
    parser = Parser(
        prog="depthseg",
        **described(
            "Foreground mask and scene depth from a background plate and a picture.",
            "depthseg predict --bg plate.jpg --image photo.jpg --out out\n"
            "depthseg train\ndepthseg evaluate runs/NAME --data my_data\n"
            "depthseg data validate my_data",
        ),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {keras_depthseg.__version__}",
        help="show the version and exit",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data_parser = commands.add_parser(
        "data",
        help="make and check data sets",
        **described(
            "Make data sets, look at them and check them.",
            "depthseg data compose --bg backgrounds --fg cutouts --out my_data\n"
            "depthseg data card my_data\n"
            "depthseg data validate my_data",
        ),
    )
    data_commands = data_parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True
    )
    return {
        "": parser,
        "train": train.add_train(commands),
        "evaluate": evaluate.add_evaluate(commands),
        "predict": predict.add_predict(commands),
        "export": export.add_export(commands),
        "demo": demo.add_demo(commands),
        "data": data_parser,
        "data compose": data.add_compose(data_commands),
        "data card": data.add_card(data_commands),
        "data validate": data.add_validate(data_commands),
    }
