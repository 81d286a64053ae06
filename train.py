#!/usr/bin/env python3
"""Trains the network: python train.py --resolution-schedule 96:3,160:5,224:3."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import sys
from pathlib import Path

from depthseg import import_tensorflow_quietly

try:
    import_tensorflow_quietly()
    from keras_depthseg.augment.changes import AUGMENTATIONS
    from keras_depthseg.commands.parsing import Parser, run
    from keras_depthseg.datasets.locate import default_cache_dir, locate_records
    from keras_depthseg.datasets.splits import SPLITTINGS
    from keras_depthseg.errors import UserError
    from keras_depthseg.losses import COMBINATIONS
    from keras_depthseg.networks.initialisation import INITIALISATIONS
    from keras_depthseg.optimizers import OPTIMIZERS
    from keras_depthseg.precision import PRECISIONS, check_xla, resolve_precision
    from keras_depthseg.schedule import DEFAULT_BATCH_SIZE
    from keras_depthseg.training.config import RunConfig
    from keras_depthseg.training.lr_range import parse_lr_range
    from keras_depthseg.training.lr_range_run import find_learning_rate
    from keras_depthseg.training.recipes import LEARNING_RATE_SCHEDULES, RECIPES, Recipe
    from keras_depthseg.training.run import train
    from keras_depthseg.training.run_folder import RunFolder
except KeyboardInterrupt:  # They take seconds.
    sys.exit(130)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options that are not given are not there, so that --resume can tell."""
    parser = Parser(
        description="Train DSResNet: foreground mask and scene depth from a background "
        "plate and a picture. Without arguments it makes the embedded data set of "
        "rendered rooms and trains a small network in a few minutes on two cores.",
        epilog="example: python train.py --data DIR --recipe rmse_bce_dice "
        "--resolution-schedule 96:3,160:5,224:3",
        argument_default=argparse.SUPPRESS,
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        help="a folder of records; a folder in the original layout (bg/, fg_bg/, "
        "fg_bg_mask/, fg_bg_depth/, file_map.txt), turned into records once; "
        "rooms[:COUNT], the embedded data set; or pets_in_rooms[:COUNT], composed of two "
        "public data sets that are downloaded, 35 GB (default: rooms)",
    )
    data.add_argument(
        "--split",
        choices=SPLITTINGS,
        help="of the original layout: identity keeps some backgrounds and cutouts out of "
        "training; random splits pictures at random, as the original did (default: "
        "identity)",
    )
    data.add_argument(
        "--cache-dir",
        type=Path,
        default=default_cache_dir(),
        help="where records made from other data are kept (default: %(default)s)",
    )

    how = parser.add_argument_group("recipe")
    how.add_argument(
        "--recipe",
        choices=RECIPES,
        help="named experiment; the options below change single fields of it "
        "(default: quick)",
    )
    how.add_argument(
        "--resolution-schedule",
        dest="schedule",
        metavar="RES:EPOCHS[:BATCH],…",
        help="phases in order, for instance 96:3,160:5,224:3; resolutions are multiples "
        "of 32",
    )
    how.add_argument("--loss", choices=COMBINATIONS)
    how.add_argument(
        "--augment",
        choices=AUGMENTATIONS,
        help="random changes: original changes the colours of each picture by itself; "
        "shared those of bg and fg_bg alike, and mirrors; capture does so too and then "
        "moves bg, changes its exposure and adds noise to both",
    )
    how.add_argument("--optimizer", choices=OPTIMIZERS)
    how.add_argument(
        "--learning-rate", type=float, help="at the start, or the highest of a cosine"
    )
    how.add_argument(
        "--learning-rate-schedule",
        choices=LEARNING_RATE_SCHEDULES,
        help="plateau: a tenth after two epochs without a better validation loss; "
        "cosine: a short rise, then half a cosine down",
    )
    how.add_argument(
        "--divide-after-first-phase",
        type=float,
        metavar="N",
        help="divide the learning rate by N when the second phase begins",
    )
    how.add_argument("--weight-decay", type=float, help="of adamw")
    how.add_argument(
        "--clip-norm", type=float, help="largest norm of the gradient; 0 does not clip"
    )
    how.add_argument(
        "--accumulate",
        type=int,
        metavar="BATCHES",
        help="batches whose mean gradient makes one step",
    )
    how.add_argument(
        "--average",
        type=float,
        metavar="DECAY",
        help="validate and save a moving average of the weights, for instance 0.999",
    )
    how.add_argument(
        "--width", type=int, help="channels of the first block; 16 is the full network"
    )
    how.add_argument(
        "--initialisation",
        choices=INITIALISATIONS,
        help="difference: the network begins with the difference between the two "
        "pictures; independent: with weights drawn one by one, as the original",
    )

    run = parser.add_argument_group("run")
    run.add_argument(
        "--run-dir",
        type=Path,
        help="new folder for everything the run leaves (default: runs/DATE_RECIPE)",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --run-dir exactly where it was stopped; other "
        "options need not be given again",
    )
    run.add_argument(
        "--lr-range-test",
        action="append",
        metavar="START:END:ITERATIONS",
        help="do not train, but raise the learning rate step by step and suggest one; "
        "for instance 1e-5:1:400; can be repeated",
    )
    run.add_argument(
        "--batch-size",
        type=int,
        help=f"of the phases that give none (default: {DEFAULT_BATCH_SIZE})",
    )
    run.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="auto is mixed_bfloat16 where the hardware has it, else float32 (default: "
        "auto)",
    )
    run.add_argument(
        "--seed",
        type=int,
        help="of weights, order and random changes; data and splits do not depend on it "
        "(default: 0)",
    )
    run.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits every time, somewhat slower",
    )
    run.add_argument(
        "--xla", action="store_true", help="compile the training step with XLA"
    )
    run.add_argument(
        "--keep",
        type=int,
        metavar="EPOCHS",
        help="keep the weights of the last EPOCHS and of the best (default: of all)",
    )
    run.add_argument(
        "--checkpoint-minutes",
        type=float,
        metavar="MINUTES",
        help="how often to save within an epoch, to go on from (default: 5)",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    given = vars(parse_args(argv))
    resume = given.get("resume", False)
    run_dir = given.get("run_dir")
    if resume and run_dir is None:
        raise UserError("--resume: received no --run-dir; give the folder of the run.")
    lr_ranges = [parse_lr_range(text) for text in given.get("lr_range_test", ())]
    if resume and lr_ranges:
        raise UserError(
            "--lr-range-test: received with --resume; it is a run of its own, leave one "
            "of them out."
        )
    if resume and "split" in given and "data" not in given:
        raise UserError(
            f"--split: received {given['split']} with --resume, but no --data; the run "
            "knows its data, leave --split out."
        )
    config = RunConfig.load(run_dir) if resume else None
    recipe = _recipe(given, config)
    run_dir = run_dir or _new_run_dir(recipe)
    # Before data is made, which may take minutes.
    fields = {field.name for field in dataclasses.fields(RunConfig)} & set(given)
    options = {name: given[name] for name in fields - {"recipe", "data"}}
    if config is None:
        config = RunConfig(data="", recipe=recipe, **options)
        RunFolder(run_dir).check_new()
    else:
        config = dataclasses.replace(config, recipe=recipe, **options)
    phases = config.phases
    policy = resolve_precision(config.precision)
    if config.xla:
        check_xla(policy)
    if "data" in given or not resume:
        records = locate_records(
            given.get("data", "rooms"),
            given["cache_dir"],
            splitting=given.get("split"),
            # Rendered once, as large as they are ever looked at.
            size=max(phase.resolution for phase in phases),
        )
        config = dataclasses.replace(config, data=str(records))
    if lr_ranges:
        find_learning_rate(config, run_dir, lr_ranges)
    else:
        train(config, run_dir, resume=resume)


def _recipe(given: dict, config: RunConfig | None) -> Recipe:
    # That of a run that goes on has the fields that were changed.
    recipe = config.recipe if config else RECIPES["quick"]
    if given.get("recipe", recipe.name) != recipe.name:
        recipe = RECIPES[given["recipe"]]
    fields = {field.name for field in dataclasses.fields(Recipe)} & set(given)
    return dataclasses.replace(recipe, **{name: given[name] for name in fields})


def _new_run_dir(recipe: Recipe) -> Path:
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    return Path("runs") / f"{now}_{recipe.name}"


if __name__ == "__main__":
    run(main)
