"""`depthseg data`: compose, card and validate."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from keras_depthseg.commands.parsing import add_command


def add_compose(commands) -> None:
    parser = add_command(
        commands,
        "compose",
        help="compose a data set of backgrounds and cutouts",
        description="Puts every cutout on every background at several random places and "
        "writes background, composite, mask and, if asked for, depth. Pictures that "
        "cannot be used are named and left out. Killed and started again, it goes on "
        "where it stopped; the same seed gives the same bytes.",
        example="depthseg data compose --bg backgrounds --fg cutouts --count 20000 \\\n"
        "    --depth depth_maps,step=0.001 --out my_data\n"
        "python train.py --data my_data",
    )
    sources = parser.add_argument_group("pictures")
    sources.add_argument(
        "--bg",
        required=True,
        metavar="DIR",
        help="folder or zip of backgrounds; pictures of one sub-folder count as one "
        "place and stay in one split; or rooms[:COUNT], rendered ones with true depth",
    )
    sources.add_argument(
        "--fg",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder or zip of cutouts, with an alpha channel",
    )
    sources.add_argument(
        "--fg-mask",
        type=Path,
        metavar="DIR",
        help="folder or zip of the cutouts' masks, if they have no alpha channel",
    )
    sources.add_argument(
        "--depth",
        metavar="SOURCE",
        help="DIR,step=METRES: a depth map of each background, METRES a grey level "
        "(0.001 for millimetres), 0 where unknown; with scale=METRES stored as 1.0 "
        "(default 10); or DIR,larger=farther|nearer: relative depth; or "
        "NETWORK,larger=farther|nearer: a pretrained network (keras-hub preset, .keras, "
        "SavedModel, .onnx, .tflite) labels the composites, see docs/data.md; default: "
        "no depth",
    )
    sources.add_argument(
        "--bg-licence", metavar="TEXT", help="of the backgrounds, for the data card"
    )
    sources.add_argument(
        "--fg-licence", metavar="TEXT", help="of the cutouts, for the data card"
    )

    samples = parser.add_argument_group("samples")
    samples.add_argument(
        "--placements",
        type=int,
        default=20,
        metavar="N",
        help="places of each cutout on each background (default: %(default)s)",
    )
    samples.add_argument(
        "--flip", action="store_true", help="as many again with the cutout mirrored"
    )
    samples.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="draw N of all these samples at random (default: all)",
    )
    samples.add_argument(
        "--size",
        type=int,
        default=224,
        metavar="PX",
        help="height and width of the pictures (default: %(default)s)",
    )
    samples.add_argument(
        "--fg-height",
        type=int,
        metavar="PX",
        help="height of the cutouts (default: 108 at size 224, as in the original)",
    )
    samples.add_argument(
        "--placement",
        default="anywhere",
        metavar="MODE",
        help="anywhere, wholly inside the picture; or standing, on the ground, sized by "
        "distance, which needs the backgrounds' depth (default: %(default)s)",
    )
    samples.add_argument(
        "--shadow",
        type=float,
        default=0.0,
        metavar="PART",
        help="part of the samples with a cast shadow, 0 to 1 (default: %(default)s)",
    )
    samples.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of all that is drawn (default: %(default)s)",
    )

    splits = parser.add_argument_group("splits")
    splits.add_argument(
        "--split",
        default="identity",
        metavar="KIND",
        help="identity: some backgrounds and cutouts are kept out of training; random: "
        "as the original did, all are in training and validation (default: %(default)s)",
    )
    splits.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="PART",
        help="of the samples with seen backgrounds and cutouts (default: %(default)s)",
    )
    splits.add_argument(
        "--unseen-fraction",
        type=float,
        default=0.1,
        metavar="PART",
        help="of backgrounds, and of cutouts, kept out (default: %(default)s)",
    )

    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="new folder"
    )
    output.add_argument(
        "--layout",
        default="records",
        metavar="KIND",
        help="records, for training; or original, the original's folders of pictures "
        "(default: %(default)s)",
    )
    output.add_argument(
        "--zip",
        action="store_true",
        help="original layout: a zip for each background instead of single files",
    )
    output.add_argument(
        "--lossless", action="store_true", help="PNG instead of JPEG of quality 95"
    )
    output.add_argument(
        "--workers", type=int, metavar="N", help="threads (default: one for each core)"
    )
    output.add_argument(
        "--beam",
        metavar="OPTIONS",
        help="run on Apache Beam, for instance "
        '--beam="--runner=DirectRunner --direct_num_workers=4 '
        '--direct_running_mode=multi_processing"',
    )
    parser.set_defaults(run=_compose)


def _compose(args: argparse.Namespace) -> None:
    from keras_depthseg.datasets.compose import compose
    from keras_depthseg.datasets.composites.options import ComposeOptions

    names = [field.name for field in dataclasses.fields(ComposeOptions)]
    options = ComposeOptions(**{name: getattr(args, name) for name in names})
    was_there = os.path.lexists(args.out)
    compose(options, args.out)
    print(f"{args.out}: nothing to do" if was_there else f"wrote {args.out}")


def add_card(commands) -> None:
    parser = add_command(
        commands,
        "card",
        help="describe a data set on one HTML page",
        description="Writes one self-contained HTML page: counts, sizes, mean and "
        "standard deviation, histograms, sample pictures, where foregrounds are, "
        "near-duplicates, sources, licences and hashes.",
        example="depthseg data card my_data",
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="a folder of records")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: card.html in the folder)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the choice of pictures (default: %(default)s)",
    )
    parser.set_defaults(run=_card)


def _card(args: argparse.Namespace) -> None:
    from keras_depthseg.datasets.inspection.card import write_card

    path = args.out or args.data / "card.html"
    write_card(args.data, path, seed=args.seed)
    print(f"wrote {path}")


def add_validate(commands) -> None:
    parser = add_command(
        commands,
        "validate",
        help="check every record of a data set",
        description="Reads every record and says which are bad and why, and whether the "
        "same or nearly the same picture is on both sides of a split. Exit status 0 if "
        "all is well, 1 if something is bad.",
        example="depthseg data validate my_data",
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="a folder of records")
    parser.set_defaults(run=_validate)


def _validate(args: argparse.Namespace) -> int:
    from tqdm.auto import tqdm

    from keras_depthseg.datasets.inspection.validate import validate

    with tqdm(unit=" samples", disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = validate(args.data, progress)
    print("\n".join(report.lines()))
    return 1 if report.errors else 0
