"""`depthseg data`: compose, card and validate."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from keras_depthseg.commands.parsing import (
    CACHE_DIR,
    SKIP_DAMAGED,
    Parser,
    described,
    field_options,
    given_fields,
)
from keras_depthseg.commands.terminal import import_tensorflow_quietly
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.locate import check_data, locate_records, split_larger
from keras_depthseg.files import default_cache_dir
from keras_depthseg.pictures.folders import list_pictures
from keras_depthseg.text import printable


def add_compose(commands: Any) -> Parser:
    """Add `depthseg data compose`."""
    parser: Parser = commands.add_parser(
        "compose",
        help="compose a data set of backgrounds and cutouts",
        argument_default=argparse.SUPPRESS,
        usage="depthseg data compose --bg DIR --fg DIR --out DIR [OPTION ...]",
        **described(
            "Put every cutout on every background at several random places and write "
            "background, composite, mask and, if asked for, depth. Pictures that cannot "
            "be used are named and left out. Killed and started again, the command "
            "resumes where it stopped; the same seed gives the same bytes.",
            "depthseg data compose --bg backgrounds --fg cutouts --count 20000 \\\n"
            "    --depth depth_maps,step=0.001 --out my_data\n"
            "depthseg train --data my_data",
        ),
    )
    groups = {
        "pictures": {
            "bg": "DIR",
            "fg": "DIR",
            "fg_mask": "DIR",
            "depth": "SOURCE",
            "bg_licence": "TEXT",
            "fg_licence": "TEXT",
        },
        "samples": {
            "variety": None,
            "placements": "N",
            "flip": None,
            "count": "N",
            "size": "PX",
            "fg_height": "PX",
            "placement": None,
            "shadow": "SHARE",
            "seed": "N",
        },
        "splits": {"split": None, "val_fraction": "SHARE", "unseen_fraction": "SHARE"},
        "output": {
            "layout": None,
            "zip": None,
            "lossless": None,
            "workers": "N",
            "beam": "OPTIONS",
        },
    }
    out = {"--out": {"type": Path, "required": True, "metavar": "DIR"}}
    out["--out"]["help"] = "New folder for the data set"
    for title, metavars in groups.items():
        first = out if title == "output" else {}
        parser.add_options(title, {**first, **field_options(ComposeOptions, metavars)})
    parser.set_defaults(run=_compose, parser=parser)
    return parser


def _compose(args: argparse.Namespace) -> None:
    options = ComposeOptions(**given_fields(ComposeOptions, vars(args)))
    rendered = options.bg.partition(":")[0] == "rooms"
    for source in (None if rendered else options.bg, options.fg, options.fg_mask):
        if source is not None and not os.path.exists(source):
            list_pictures(Path(source), refuse=print)  # Raises the error of this path.
    import_tensorflow_quietly()
    from keras_depthseg.datasets.compose import compose

    existed = os.path.lexists(args.out)
    compose(options, args.out)
    print(printable(f"{args.out}: nothing to do" if existed else f"wrote {args.out}"))


def add_card(commands: Any) -> Parser:
    """Add `depthseg data card`."""
    parser: Parser = commands.add_parser(
        "card",
        help="describe a data set on one HTML page",
        **described(
            "Write one self-contained HTML page: counts, sizes, mean and standard "
            "deviation, histograms, sample pictures, where foregrounds are, "
            "near-duplicates, sources, licences and hashes.",
            "depthseg data card my_data",
        ),
    )
    parser.add_options(
        "data",
        {
            "data": _DATA,
            "--out": {
                "type": Path,
                "metavar": "FILE",
                "help": "HTML page (default: card.html in the folder, here for other "
                "data)",
            },
            "--seed": {
                "type": int,
                "default": 0,
                "metavar": "N",
                "help": "Seed of the choice of pictures (default: %(default)s)",
            },
            **_CONVERSION,
        },
    )
    parser.set_defaults(run=_card, parser=parser)
    return parser


def _card(args: argparse.Namespace) -> None:
    check_data(args.data)
    import_tensorflow_quietly()
    from keras_depthseg.datasets.inspection.card import write_card

    records = _located(args)
    folder = split_larger(args.data)[0]
    path = args.out or Path(folder if os.path.isdir(folder) else "", "card.html")
    write_card(records, path, seed=args.seed)
    print(printable(f"wrote {path}"))


def add_validate(commands: Any) -> Parser:
    """Add `depthseg data validate`."""
    parser: Parser = commands.add_parser(
        "validate",
        help="check every record of a data set",
        **described(
            "Read every record and say which are bad and why, and whether the same or "
            "nearly the same picture is on both sides of a split. Exit status 0 if all "
            "is well, 1 if something is bad.",
            "depthseg data validate my_data",
        ),
    )
    parser.add_options("data", {"data": _DATA, **_CONVERSION})
    parser.set_defaults(run=_validate, parser=parser)
    return parser


def _validate(args: argparse.Namespace) -> int:
    check_data(args.data)
    import_tensorflow_quietly()
    from tqdm.auto import tqdm

    from keras_depthseg.datasets.inspection.validate import validate

    records = _located(args)
    with tqdm(unit=" samples", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = validate(records, progress)
    print("\n".join(map(printable, report.lines())))
    return 1 if report.errors else 0


_DATA = {
    "metavar": "DATA",
    "help": "Folder of records, or another data set as for depthseg train: one in the "
    "original layout is turned into records once",
}


_CONVERSION = {"--cache-dir": CACHE_DIR, "--skip-damaged": SKIP_DAMAGED}


def _located(args: argparse.Namespace) -> Path:
    cache = args.cache_dir or default_cache_dir()
    return locate_records(args.data, cache, skip_damaged=args.skip_damaged)
