"""What a kind of damaged file is: healthy ones, how they are damaged and read."""

from __future__ import annotations

import abc
import random
import shutil
from pathlib import Path

from keras_depthseg.errors import UserError

LONGEST_LINE = 1500
"""Characters of a message; a longer one repeats the file at the user."""


class WrongContentError(Exception):
    """Something was accepted that is not what a checksum in the file says."""


class BadLineError(Exception):
    """A message to the user that is not one readable line."""


class Target(abc.ABC):
    """A kind of file.

    Attributes:
        name: in commands.
        items: how many damaged things a case holds.
        patience: seconds that a case may take beyond those of others.
        folder: where `prepare` wrote the healthy files, the same for all cases.
        case: a folder for the files of one case.
    """

    name: str
    items = 1
    patience = 0.0

    def __init__(self, folder: Path, case: Path):
        self.folder = folder
        self.case = case

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write healthy files to `folder`, the same bytes each time; done once."""

    @abc.abstractmethod
    def load(self) -> None:
        """Read what `damage` needs from `folder`; done once a process."""

    @abc.abstractmethod
    def damage(self, rng: random.Random) -> None:
        """Write the damaged files of a case to `case`, which is empty."""

    @abc.abstractmethod
    def read(self) -> None:
        """Read `case` as the product does.

        Raises:
            UserError: it was refused, which is right.
            WrongContentError: it was accepted, and should not have been.
        """

    def run_case(self, seed: int, number: int) -> str:
        """Write the damaged files of a case and read them.

        Args:
            seed, number: determine the case.

        Returns:
            `"accepted"` or `"refused"`.

        Raises:
            Exception: anything that the user must not see.
        """
        self._clear()
        self.damage(random.Random(f"{self.name} {seed} {number}"))
        try:
            self.read()
        except UserError as error:
            check_line(str(error))
            return "refused"
        return "accepted"

    def _clear(self) -> None:
        """Empty the folder of the case."""
        self.case.mkdir(exist_ok=True)
        for path in self.case.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def check_line(line: str) -> None:
    """Raise `BadLineError` unless a message is one line of bearable length."""
    if not line.strip():
        raise BadLineError("an empty message")
    if len(line.splitlines()) > 1:
        raise BadLineError(f"a message of several lines: {line[:300]!r}")
    if len(line) > LONGEST_LINE:
        raise BadLineError(f"a message of {len(line):,} characters: {line[:300]!r}")


def refuse_for(lines: list[str]) -> None:
    """Raise `UserError` with the first of the lines that were reported, if any."""
    for line in lines:
        check_line(line)
    if lines:
        raise UserError(lines[0])
