"""Parsers of the command line; options are made from the fields of dataclasses.

A field is described once, in the docstring of its dataclass. `NAME` in backquotes there,
or in the message of an error, names another field: people at a command line read
`--name`.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

import docstring_parser

from keras_depthseg.choices import choices
from keras_depthseg.text import printable

CACHE_DIR = {
    "type": Path,
    "metavar": "DIR",
    "help": "Folder for records made from other data (default: $KERAS_DEPTHSEG_CACHE, or "
    "~/.cache/keras_depthseg)",
}
"""The option `--cache-dir` of several sub-commands."""

SKIP_DAMAGED = {
    "action": "store_true",
    "help": "Leave samples of the original layout out that cannot be used, and name them",
}
"""The option `--skip-damaged` of sub-commands that only read data."""

_BACKQUOTED = re.compile(r"`(\w+)`")


class Parser(argparse.ArgumentParser):
    """Reports a mistake in the arguments in one line.

    Attributes:
        groups: the options of each group, in order; without --help.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.groups: dict[str, list[argparse.Action]] = {}

    def error(self, message: str) -> NoReturn:
        """Exit with one line, as every other mistake; argparse prints the usage, too."""
        self.exit(2, f"error: {printable(message)}; see {self.prog} --help\n")

    def refuse_unknown(self, arguments: list[str]) -> NoReturn:
        """Exit with one line that names unknown arguments and the nearest option."""
        known = list(self.options().values())
        near = difflib.get_close_matches(arguments[0].partition("=")[0], known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        self.error(f"unrecognized arguments: {' '.join(arguments)}{meant}")

    def add_options(self, title: str, options: Mapping[str, Mapping[str, Any]]) -> None:
        """Add a group of options.

        Args:
            title: heading of the group.
            options: arguments of `add_argument` by the name of the option (`--name`) or
                the positional argument (`name`).
        """
        group = self.add_argument_group(title)
        self.groups[title] = [
            group.add_argument(name, **arguments) for name, arguments in options.items()
        ]

    def options(self) -> dict[str, str]:
        """Return the option of each name that it sets: `clip_norm`, `--clip-norm`."""
        return {
            action.dest: action.option_strings[0]
            for group in self.groups.values()
            for action in group
            if action.option_strings
        }


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples, and options such as `--runner` in one piece."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def described(description: str, example: str) -> dict[str, Any]:
    """Return arguments of `Parser`: a description and an example after the options."""
    return {
        "description": textwrap.fill(description, 79),
        "epilog": "example:\n" + textwrap.indent(example, "  "),
        "formatter_class": HelpFormatter,
    }


def name_options(message: str, options: Mapping[str, str]) -> str:
    """Return a message with the names of options in place of those of arguments.

    Args:
        message: in which arguments are named in backquotes.
        options: the option of each argument; other words in backquotes stay.
    """
    return _BACKQUOTED.sub(lambda word: options.get(word[1], word[0]), message)


def field_options(
    cls: type, metavars: Mapping[str, str | None], show_defaults: bool = True
) -> dict[str, dict[str, Any]]:
    """Return arguments of `Parser.add_options` for fields of a dataclass.

    The defaults are left to the dataclass: an option that is not given is not set.

    Args:
        cls: the dataclass; its docstring describes the fields. A field whose option is
            not called like it has the `metadata` `option`.
        metavars: what stands for the value in --help, by field; `None` where there is
            none: a switch, or a choice.
        show_defaults: whether --help ends the descriptions with the defaults.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints, texts = get_type_hints(cls), field_texts(cls)
    names = {
        name: field.metadata.get("option", f"--{name.replace('_', '-')}")
        for name, field in fields.items()
    }
    options = {}
    for name, metavar in metavars.items():
        default = fields[name].default
        text = name_options(texts[name], names).removesuffix(".")
        arguments: dict[str, Any] = {"dest": name}
        if default is dataclasses.MISSING and show_defaults:
            arguments["required"] = True
        elif default is not None and default is not False and show_defaults:
            text += f" (default: {default})"
        if hints[name] is bool:
            arguments["action"] = "store_true"
        elif name in choices(cls):
            arguments["choices"] = choices(cls)[name]
        else:
            arguments |= {"type": _value_type(hints[name]), "metavar": metavar}
        options[names[name]] = {**arguments, "help": text.replace("%", "%%")}
    return options


def given_fields(cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a dataclass's fields that a command line sets.

    Args:
        cls: the dataclass, of `field_options`.
        given: all values, as of `vars` of what was parsed.
    """
    names = (field.name for field in dataclasses.fields(cls))
    return {name: given[name] for name in names if name in given}


@functools.cache
def field_texts(cls: type) -> dict[str, str]:
    """Return the description of each field, from the docstring of its dataclass."""
    doc = docstring_parser.parse(
        cls.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE
    )
    return {
        param.arg_name: " ".join((param.description or "").split())
        for param in doc.params
    }


def _value_type(hint: Any) -> type:
    """Return the type that reads a value: `int` for `int` and for `int | None`."""
    (kind,) = {kind for kind in get_args(hint) or (hint,) if kind is not type(None)}
    if kind not in (str, int, float, Path):
        raise TypeError(f"an option cannot have the type {hint}")
    return kind
