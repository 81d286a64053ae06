"""Options made from dataclasses, and names of arguments turned into options."""

import argparse
import dataclasses
from pathlib import Path
from typing import Literal

from absl.testing import parameterized

from keras_depthseg.commands.parsing import (
    Parser,
    field_options,
    field_texts,
    name_options,
)
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Options:
    """Some options.

    Attributes:
        folder: Folder of pictures, or with
            `taste` sour of others.
        taste: sweet or sour.
        part: Share of them, 10% or more.
        seed: Seed.
        fast: Be quick.
        most: Most of them; by default all.
    """

    folder: Path
    taste: Literal["sweet", "sour"] = "sweet"
    part: float = dataclasses.field(default=0.5, metadata={"option": "--share"})
    seed: int = 0
    fast: bool = False
    most: int | None = None


def make_parser():
    parser = Parser(prog="cook", argument_default=argparse.SUPPRESS)
    metavars = {"folder": "DIR", "taste": None, "part": "SHARE", "seed": "N"}
    parser.add_options("food", field_options(Options, metavars))
    parser.add_options("rest", field_options(Options, {"fast": None, "most": "N"}))
    return parser


class FieldOptionsTest(parameterized.TestCase):
    def test_values(self):
        text = "--folder a --taste sour --share 1 --seed 3 --fast --most 4"
        args = make_parser().parse_args(text.split())
        self.assertEqual(Options(**vars(args)), Options(Path("a"), "sour", 1, 3, True, 4))
        args = make_parser().parse_args(["--folder", "a"])
        self.assertEqual(vars(args), {"folder": Path("a")})

    def test_help(self):
        text = " ".join(make_parser().format_help().split())
        for part in (
            "--folder DIR Folder of pictures, or with --taste sour of others --taste",
            "--taste {sweet,sour} sweet or sour (default: sweet)",
            "--share SHARE Share of them, 10% or more (default: 0.5)",
            "--seed N Seed (default: 0)",
            "--fast Be quick --most N Most of them; by default all",
        ):
            self.assertIn(part, text)

    def test_options_by_name(self):
        options = make_parser().options()
        self.assertEqual(options["part"], "--share")
        self.assertEqual(options["fast"], "--fast")
        self.assertLen(options, 6)

    @parameterized.parameters(Recipe, RunConfig, ComposeOptions)
    def test_every_field_is_described(self, cls):
        texts = field_texts(cls)
        self.assertEqual(list(texts), [field.name for field in dataclasses.fields(cls)])
        for text in texts.values():
            self.assertEndsWith(text, ".")


class NameOptionsTest(parameterized.TestCase):
    @parameterized.parameters(
        ("`clip_norm` must be 0", "--clip-norm must be 0"),
        (
            "`schedule`: choose `clip_norm` 1",
            "--resolution-schedule: choose --clip-norm 1",
        ),
        ("run `pip install x`; `other`", "run `pip install x`; `other`"),
        ("clip_norm", "clip_norm"),
    )
    def test_backquoted_arguments(self, message, expected):
        options = {"clip_norm": "--clip-norm", "schedule": "--resolution-schedule"}
        self.assertEqual(name_options(message, options), expected)
