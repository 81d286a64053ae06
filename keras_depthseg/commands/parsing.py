"""What the commands share: a user's mistake is told in one line."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from keras_depthseg.errors import UserError
from keras_depthseg.text import printable


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """One line, as for every other mistake; argparse would print the usage first."""
        self.exit(2, f"error: {printable(message)}; see {self.prog} --help\n")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples, and options such as `--runner` in one piece."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Runs a command and exits: 2 after a user's mistake, 130 after Ctrl-C."""
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)


def add_command(commands, name: str, help: str, description: str, example: str) -> Parser:
    return commands.add_parser(name, help=help, **described(description, example))


def described(description: str, example: str) -> dict[str, Any]:
    """Arguments of `Parser`."""
    return {
        "description": textwrap.fill(description, 79),
        "epilog": "example:\n" + textwrap.indent(example, "  "),
        "formatter_class": HelpFormatter,
    }
