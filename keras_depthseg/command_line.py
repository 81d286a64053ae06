"""What the commands share: a user's mistake is told in one line."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from typing import NoReturn

from keras_depthseg.errors import UserError


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


def printable(text: str) -> str:
    r"""On one line, whatever is in the names of files: a newline becomes `\n`."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def split_option(text: str) -> tuple[str, list[str]]:
    """The name in `NAME,KEY=VALUE,…`, in which there may be commas, and what follows."""
    parts = text.split(",")
    count = next((i for i, part in enumerate(parts[1:], 1) if "=" in part), len(parts))
    return ",".join(parts[:count]), parts[count:]
