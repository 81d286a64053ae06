"""`depthseg train`, which `python train.py` is, too."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import itertools
from pathlib import Path
from typing import Any

from keras_depthseg.commands.parsing import (
    CACHE_DIR,
    Parser,
    described,
    field_options,
    given_fields,
)
from keras_depthseg.commands.terminal import import_tensorflow_quietly
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.locate import check_data, locate_records, split_weight
from keras_depthseg.datasets.splits import SPLITTINGS
from keras_depthseg.errors import UserError
from keras_depthseg.files import default_cache_dir
from keras_depthseg.model_file import ModelFile
from keras_depthseg.pretrained import DEFAULT
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import RECIPES, Recipe
from keras_depthseg.training.run_folder import RunFolder


def add_train(commands: Any) -> Parser:
    """Add the sub-command; options that are not given are not set: see --resume."""
    parser: Parser = commands.add_parser(
        "train",
        help="train the network",
        argument_default=argparse.SUPPRESS,
        usage="depthseg train [OPTION ...]",
        **described(
            "Train DSResNet: foreground mask and scene depth from a background plate and "
            "a picture. Without arguments it makes the built-in data set of rendered "
            "rooms and trains a small network in a few minutes on two cores.",
            "depthseg train --data DIR --recipe rmse_bce_dice \\\n"
            "    --resolution-schedule 96:3,160:5,224:3",
        ),
    )
    start_from = field_options(RunConfig, {"start_from": "MODEL"})["--start-from"]
    start_from |= {"nargs": "?", "const": DEFAULT}
    parser.add_options(
        "data",
        {
            "--data": {
                "metavar": "DATA[,weight=W]",
                "action": "append",
                "help": "Folder of records; folder in the original layout (bg/, fg_bg/, "
                "fg_bg_mask/, fg_bg_depth/, file_map.txt), turned into records once, and "
                "DIR,larger=nearer where bright depth is near; "
                "rooms[:COUNT][,parallax=CM], the built-in data set, its backgrounds "
                "from a camera moved by CM centimetres; or pets_in_rooms[:COUNT], "
                "composed of two public data sets that are downloaded, 35 GB; can be "
                "repeated, for a mixture by weight (default: rooms, or none with --bg "
                "and --fg)",
            },
            **field_options(
                ComposeOptions,
                {
                    "bg": "DIR",
                    "fg": "DIR",
                    "fg_mask": "DIR",
                    "depth": "DIR,…",
                    "unseen_fraction": "SHARE",
                },
                show_defaults=False,
            ),
            **field_options(
                RunConfig,
                {"composites_weight": "W", "epoch_samples": "N", "skip_damaged": None},
            ),
            "--split": {
                "choices": SPLITTINGS,
                "help": "Split of the original layout. identity keeps some backgrounds "
                "and cutouts out of training; random splits pictures at random, as the "
                "original did (default: identity)",
            },
            "--cache-dir": CACHE_DIR,
        },
    )
    parser.add_options(
        "recipe",
        {
            "--recipe": {
                "choices": RECIPES,
                "metavar": "NAME",
                "help": f"Named experiment: {', '.join(RECIPES)}; the options below "
                "change single fields of it (default: quick, or fine_tune with "
                "--start-from)",
            },
            "--start-from": start_from,
            **field_options(
                Recipe,
                {
                    "schedule": "RES:EPOCHS[:BATCH],…",
                    "loss": None,
                    "augment": "NAME",
                    "optimizer": None,
                    "learning_rate": "RATE",
                    "learning_rate_schedule": None,
                    "divide_after_first_phase": "N",
                    "weight_decay": "SHARE",
                    "clip_norm": "NORM",
                    "accumulate": "BATCHES",
                    "average": "DECAY",
                    "network": None,
                    "width": "CHANNELS",
                    "initialisation": None,
                },
                show_defaults=False,  # They are the recipe's.
            ),
        },
    )
    parser.add_options(
        "run",
        {
            "--run-dir": {
                "type": Path,
                "metavar": "DIR",
                "help": "New folder for everything the run leaves (default: "
                "runs/DATE_RECIPE)",
            },
            "--resume": {
                "action": "store_true",
                "help": "Resume the run in --run-dir exactly where it was stopped; other "
                "options need not be given again",
            },
            "--lr-range-test": {
                "action": "append",
                "metavar": "START:END:ITERATIONS",
                "help": "Do not train, but raise the learning rate step by step and "
                "suggest one; for instance 1e-5:1:400; can be repeated",
            },
            **field_options(
                RunConfig,
                {
                    "batch_size": "N",
                    "precision": None,
                    "seed": "N",
                    "deterministic": None,
                    "xla": None,
                    "keep": "EPOCHS",
                    "checkpoint_minutes": "MINUTES",
                },
            ),
        },
    )
    parser.set_defaults(run=_train, parser=parser)
    return parser


def _train(args: argparse.Namespace) -> None:
    given = vars(args)
    resume = given.get("resume", False)
    _check_combination(given, resume)
    stored = RunConfig.load(given["run_dir"]) if resume else None
    start = ModelFile.open(given["start_from"]) if "start_from" in given else None
    recipe = _recipe(given, stored, start)
    if start is not None:
        start.require_same(recipe.network, recipe.width)
    run_dir = given.get("run_dir") or _new_run_dir(recipe)
    composites = _composites(given, stored)
    data = tuple(given.get("data", () if resume or composites else ("rooms",)))
    changed = given_fields(RunConfig, given)
    # Its folders of records replace the names below.
    changed.pop("data", None)
    changed |= {"recipe": recipe, "composites": composites}
    config = dataclasses.replace(
        stored or RunConfig(data=data, recipe=recipe, composites=composites), **changed
    )
    # All that needs no TensorFlow, and no data, comes first: those take long.
    _ = config.phases  # Parses the schedule.
    if not resume:
        RunFolder(run_dir).check_new()
    else:
        config.check_places(given)
    for each in data:
        check_data(split_weight(each)[0])
    import_tensorflow_quietly()
    from keras_depthseg.precision import check_xla, resolve_precision
    from keras_depthseg.training.lr_range import parse_lr_range
    from keras_depthseg.training.lr_range_run import find_learning_rate
    from keras_depthseg.training.run import train

    lr_ranges = [parse_lr_range(text) for text in given.get("lr_range_test", ())]
    policy = resolve_precision(config.precision)
    if config.xla:
        check_xla(policy)
    if data:
        config = dataclasses.replace(
            config,
            data=tuple(_located(each, given, config.skip_damaged) for each in data),
        )
    if lr_ranges:
        find_learning_rate(config, run_dir, lr_ranges)
    else:
        train(config, run_dir, resume=resume)


def _located(data: str, given: dict[str, Any], skip_damaged: bool) -> str:
    """Return the folder of the records of `DATA[,weight=W]`, with its weight."""
    name, weight = split_weight(data)
    records = locate_records(
        name,
        given.get("cache_dir") or default_cache_dir(),
        split=given.get("split"),
        skip_damaged=skip_damaged,
    )
    return str(records) if weight == 1 else f"{records},weight={weight:g}"


def _composites(given: dict[str, Any], stored: RunConfig | None) -> ComposeOptions | None:
    """Return the sources of composites, those of a run that is resumed by default."""
    names = ("bg", "fg", "fg_mask", "depth", "unseen_fraction")
    options = {name: given[name] for name in names if name in given}
    before = stored.composites if stored else None
    if not options:
        return before
    if before is not None:
        return dataclasses.replace(before, **options)
    for name, other in (("bg", "fg"), ("fg", "bg")):
        if name not in options:
            raise UserError(
                f"`{name}`: received none; composites are made of backgrounds and "
                f"cutouts, give `{name}` beside `{other}`, or `data` without either."
            )
    # `count` keeps all combinations, which are not used, from being checked.
    return ComposeOptions(**options, variety="rich", count=1)


def _check_combination(given: dict[str, Any], resume: bool) -> None:
    if resume and "run_dir" not in given:
        raise UserError("--resume: received no --run-dir; give the folder of the run.")
    if resume and "lr_range_test" in given:
        raise UserError(
            "--lr-range-test: received with --resume; it is a run of its own, leave one "
            "of them out."
        )
    if resume and "split" in given and "data" not in given:
        raise UserError(
            f"--split: received {given['split']} with --resume, but no --data; the "
            "run knows its data, leave --split out."
        )


def _recipe(
    given: dict[str, Any], stored: RunConfig | None, start: ModelFile | None
) -> Recipe:
    # The recipe of a run that is resumed has the fields that were changed.
    recipe = stored.recipe if stored else RECIPES["fine_tune" if start else "quick"]
    if given.get("recipe", recipe.name) != recipe.name:
        recipe = RECIPES[given["recipe"]]
    if start is not None:
        recipe = dataclasses.replace(recipe, network=start.network, width=start.width)
    return dataclasses.replace(recipe, **given_fields(Recipe, given))


def _new_run_dir(recipe: Recipe) -> Path:
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    path = Path("runs") / f"{now}_{recipe.name}"
    # Another run of this second, or of before the clock was set back.
    others = (path.with_name(f"{path.name}_{count}") for count in itertools.count(2))
    return next(each for each in itertools.chain([path], others) if not each.exists())
