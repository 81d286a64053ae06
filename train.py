#!/usr/bin/env python3
"""Trains the network: python train.py --resolution-schedule 96:3,160:5,224:3."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from pathlib import Path

from depthseg import import_tensorflow_quietly

import_tensorflow_quietly()

from keras_depthseg.augment import AUGMENTATIONS  # noqa: E402
from keras_depthseg.command_line import Parser, run  # noqa: E402
from keras_depthseg.datasets.locate import default_cache_dir, locate_records  # noqa: E402
from keras_depthseg.datasets.records import SPLITTINGS  # noqa: E402
from keras_depthseg.errors import UserError  # noqa: E402
from keras_depthseg.losses import COMBINATIONS  # noqa: E402
from keras_depthseg.recipes import OPTIMIZERS, RECIPES  # noqa: E402
from keras_depthseg.schedule import DEFAULT_BATCH_SIZE, parse_schedule  # noqa: E402
from keras_depthseg.training import (  # noqa: E402
    PRECISIONS,
    check_run_dir,
    resolve_precision,
    train,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(
        description="Train DSResNet: foreground mask and scene depth from a background "
        "plate and a picture. Without arguments it makes the embedded data set of "
        "rendered rooms and trains a small network in a few minutes on two cores.",
        epilog="example: python train.py --data DIR --recipe rmse_bce_dice "
        "--resolution-schedule 96:3,160:5,224:3",
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default="rooms",
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

    how = parser.add_argument_group("training")
    how.add_argument(
        "--recipe",
        choices=RECIPES,
        default="quick",
        help="named experiment; the options below change single fields of it "
        "(default: %(default)s)",
    )
    how.add_argument(
        "--resolution-schedule",
        dest="schedule",
        metavar="RES:EPOCHS[:BATCH],…",
        help="phases in order, for instance 96:3,160:5,224:3; resolutions are multiples "
        "of 32",
    )
    how.add_argument(
        "--batch-size",
        type=int,
        default=DEFAULT_BATCH_SIZE,
        help="of the phases that give none (default: %(default)s)",
    )
    how.add_argument("--loss", choices=COMBINATIONS)
    how.add_argument("--augment", choices=AUGMENTATIONS, help="colour changes")
    how.add_argument("--optimizer", choices=OPTIMIZERS)
    how.add_argument("--learning-rate", type=float)
    how.add_argument(
        "--width", type=int, help="channels of the first block; 16 is the full network"
    )

    run = parser.add_argument_group("run")
    run.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="auto is mixed_bfloat16 where the hardware has it, else float32",
    )
    run.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of weights, order and colour changes; data and splits do not depend on it "
        "(default: %(default)s)",
    )
    run.add_argument(
        "--run-dir",
        type=Path,
        help="new folder for everything the run leaves (default: runs/DATE_RECIPE)",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    overrides = {
        name: getattr(args, name)
        for name in (
            "schedule",
            "loss",
            "augment",
            "optimizer",
            "learning_rate",
            "width",
        )
        if getattr(args, name) is not None
    }
    recipe = dataclasses.replace(RECIPES[args.recipe], **overrides)
    # Before data is made, which may take minutes.
    if not 0 <= args.seed < 2**32:
        raise UserError(
            f"--seed: received {args.seed}; accepted are 0 to {2**32 - 1}; leave it out "
            "for 0."
        )
    phases = parse_schedule(recipe.schedule, args.batch_size)
    resolve_precision(args.precision)
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    run_dir = args.run_dir or Path("runs") / f"{now}_{recipe.name}"
    check_run_dir(run_dir)
    train(
        locate_records(
            args.data,
            args.cache_dir,
            splitting=args.split,
            # Rendered once, as large as they are ever looked at.
            size=max(phase.resolution for phase in phases),
        ),
        run_dir,
        recipe,
        batch_size=args.batch_size,
        precision=args.precision,
        seed=args.seed,
    )


if __name__ == "__main__":
    run(main)
