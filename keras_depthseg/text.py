"""Text for people: tables, headings and single lines."""

from __future__ import annotations

from collections.abc import Container, Sequence


def text_table(rows: Sequence[Sequence[str]], left: Container[int] = ()) -> str:
    """A line a row, columns aligned to the right but for those numbered in `left`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def column_title(name: str) -> str:
    """Return the heading of a column of the history or of scores: `mask hard IoU`."""
    words = {"iou": "IoU", "rmse": "RMSE", "f1": "F1", "abs": "Abs", "rel": "Rel"}
    words |= {word: word.upper() for word in ("mae", "mad", "mse")}
    return " ".join(words.get(word, word) for word in name.split("_"))


def printable(text: str, keep: str = "") -> str:
    r"""Return text on one line: characters that do not print are escaped, as `\n`.

    Those in the names of files would colour or clear a terminal, or turn round what
    follows, as U+202E does.

    Args:
        text: any text.
        keep: characters that are left alone, such as `"\n"`.
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in keep
        else char.encode("unicode_escape").decode()
        for char in text
    )


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names on one line, as `a, b and 3 more`; characters as by `printable`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return printable(", ".join(names[:most])) + more


def shortened(text: str, most: int = 80) -> str:
    """Return text of at most `most` characters: names in damaged files may be long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def reason(error: BaseException, most: int = 150) -> str:
    """Return what an error of another package says, in one short line."""
    return shortened(printable(" ".join(str(error).split())), most)


def split_option(text: str) -> tuple[str, list[str]]:
    """The name in `NAME,KEY=VALUE,…`, in which there may be commas, and what follows."""
    parts = text.split(",")
    count = next((i for i, part in enumerate(parts[1:], 1) if "=" in part), len(parts))
    return ",".join(parts[:count]), parts[count:]
