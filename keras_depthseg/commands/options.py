"""The options of a sub-command as a table for the documentation."""

from __future__ import annotations

import argparse

from keras_depthseg.commands.main import make_parsers


def option_table(command: str) -> str:
    """Return a Markdown table of group, option, meaning and default.

    Args:
        command: such as `"train"` or `"data compose"`.

    Raises:
        KeyError: there is no such sub-command.
    """
    rows = [("group", "option", "meaning", "default"), ("---",) * 4]
    for title, options in make_parsers()[command].groups.items():
        rows += [(title, f"`{_usage(option)}`", *_texts(option)) for option in options]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _usage(option: argparse.Action) -> str:
    value = option.metavar or ",".join(option.choices or ())
    if option.nargs == "?":
        value = f"[{value}]"
    return " ".join([*option.option_strings[:1], str(value)]).strip()


def _texts(option: argparse.Action) -> tuple[str, str]:
    text = (option.help or "") % vars(option)
    meaning, _, default = text.removesuffix(")").partition(" (default: ")
    if default:
        return meaning, f"`{default}`"
    return text, "required" if option.required else ""
