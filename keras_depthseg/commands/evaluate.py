"""`depthseg evaluate`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
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
from keras_depthseg.datasets.locate import check_data, locate_records
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.options import PAIRS_RESOLUTION, EvaluateOptions
from keras_depthseg.files import default_cache_dir
from keras_depthseg.model_file import RESOLUTION, model_path, trained_resolution
from keras_depthseg.pretrained import is_pretrained
from keras_depthseg.training.run_files import read_config
from keras_depthseg.training.run_folder import RunFolder

logger = logging.getLogger(__name__)


def add_evaluate(commands: Any) -> Parser:
    """Add the sub-command."""
    parser: Parser = commands.add_parser(
        "evaluate",
        help="score a model, or other programs, beside simple ones",
        argument_default=argparse.SUPPRESS,
        usage="depthseg evaluate MODEL (--data DATA | --pairs DIR) [OPTION ...]",
        **described(
            "Score a model on splits of a data set, or on photographs with true masks, "
            "beside simple programs. Leaves scores.json, samples.csv and report.html in "
            "a folder.",
            "depthseg evaluate runs/NAME --data my_data\n"
            "depthseg evaluate small --pairs photographs\n"
            "depthseg evaluate runs/NAME --data rooms --capture sweep\n"
            "depthseg evaluate --predictions other_tool --pairs photographs",
        ),
    )
    model = field_options(EvaluateOptions, {"model": "MODEL"})["--model"]
    del model["dest"]
    optional = {"nargs": "?", "default": None}
    groups = {
        "data": {
            "data": "DATA",
            "pairs": "DIR",
            "split": "NAME,…",
            "samples": "N",
            "resolution": "PX",
            "capture": "CAPTURE",
        },
        "programs": {"predictions": "DIR", "no_baselines": None},
        "run": {"batch_size": "N", "seed": "N"},
    }
    more = {
        "--cache-dir": CACHE_DIR,
        "--skip-damaged": SKIP_DAMAGED,
        "--out": {
            "type": Path,
            "metavar": "DIR",
            "help": "New folder for the results (default: evaluation-DATA in the run "
            "folder, or here for another model)",
        },
    }
    for title, metavars in groups.items():
        first = {"model": {**model, **optional}} if title == "programs" else {}
        last = more if title == "run" else {}
        parser.add_options(
            title, {**first, **field_options(EvaluateOptions, metavars), **last}
        )
    parser.set_defaults(run=_evaluate, parser=parser)
    return parser


def _evaluate(args: argparse.Namespace) -> None:
    given = vars(args)
    options = EvaluateOptions(**given_fields(EvaluateOptions, given))
    # All that needs no TensorFlow, and no data, comes first: those take long.
    model, trained_at = (None, None) if options.model is None else _model(options.model)
    out = given.get("out") or _default_out(options)
    _check_new(out)
    _check_sources(options)
    default = (trained_at or RESOLUTION) if options.data else PAIRS_RESOLUTION
    resolution = options.resolution or default
    import_tensorflow_quietly()
    from tqdm.auto import tqdm

    from keras_depthseg.datasets.opening import open_records
    from keras_depthseg.evaluation.evaluate import evaluate_pairs, evaluate_records

    with tqdm(unit=" samples", disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        if options.data is None:
            source = {"pairs": str(options.pairs)}
            evaluation = evaluate_pairs(options, model, resolution, progress)
        else:
            cache = given.get("cache_dir") or default_cache_dir()
            skip = given.get("skip_damaged", False)
            found = locate_records(options.data, cache, skip_damaged=skip)
            records = open_records(found)
            source = {"data": str(records.path), "depth": records.depth}
            evaluation = evaluate_records(options, model, records, resolution, progress)
    _write(out, options, source, resolution, evaluation)


def _model(model: str) -> tuple[Path, int | None]:
    """Return the model's file, and the resolution at which it was trained last."""
    path = model_path(model)
    folder = RunFolder(path.parent)
    if not folder.config.is_file():
        return path, trained_resolution(path)
    phases = read_config(folder)["phases"]
    return path, phases[-1]["resolution"] if phases else None


def _default_out(options: EvaluateOptions) -> Path:
    data = options.data or str(options.pairs)
    # The last folder of records is their version.
    parts = [part for part in Path(os.path.normpath(data)).parts if part.strip("./\\")]
    while len(parts) > 1 and re.fullmatch(r"\d+(\.\d+)+", parts[-1]):
        parts.pop()
    name = "-".join(
        ["evaluation", *parts[-1:], *([options.capture] if options.capture else [])]
    )
    if options.predictions is not None:
        name += f"-{options.predictions.resolve().name}"
    name = re.sub(r"[^\w.-]+", "-", name)
    model = options.model
    if model is None or is_pretrained(model) or not os.path.isdir(model):
        return Path(name)
    return Path(model) / name


def _check_new(out: Path) -> None:
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(
            f"{out}: this exists, and nothing is overwritten; give a new folder by "
            "`out`, or remove it."
        )
    if not out.exists():
        # Before hours of work.
        with _writing(out):
            parent = next(path for path in out.absolute().parents if path.exists())
            tempfile.TemporaryDirectory(dir=parent).cleanup()


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{out}: a file cannot be written there ({error.strerror}); free some space "
            "or give another folder by `out`."
        ) from error


def _check_sources(options: EvaluateOptions) -> None:
    if options.data is not None:
        check_data(options.data)
    elif not os.path.exists(options.pairs or ""):
        raise UserError(
            f"{options.pairs}: no such folder; give a folder of NAME/bg, NAME/fg_bg and "
            "NAME/mask."
        )
    if options.predictions is not None and not options.predictions.is_dir():
        raise UserError(
            f"{options.predictions}: no such folder; give a folder of masks NAME.png."
        )


def _write(
    out: Path,
    options: EvaluateOptions,
    source: dict[str, Any],
    resolution: int,
    evaluation: Any,
) -> None:
    import keras

    from keras_depthseg.backend import software_versions
    from keras_depthseg.evaluation.files import write_samples, write_scores
    from keras_depthseg.evaluation.report import write_report
    from keras_depthseg.evaluation.results import summarise
    from keras_depthseg.evaluation.table import evaluation_table
    from keras_depthseg.processor import computes_with

    summaries = {
        condition.title: summarise(condition, scenes=evaluation.scenes, seed=options.seed)
        for condition in evaluation.conditions
    }
    program = options.model or options.predictions or Path()
    about = {
        "name": Path(os.path.abspath(program)).name,
        "program": str(program),
        **source,
        "resolution": resolution,
        "capture": options.capture,
        "seed": options.seed,
        "command": sys.argv,
        "computes_with": computes_with(keras.config.dtype_policy().name),
        "versions": software_versions(),
    }
    # All at once: a killed call must not leave a folder that the next one refuses.
    place = Path(os.path.realpath(out))
    part = place.with_name(f".part-{place.name}")
    with _writing(out):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        write_samples(part / "samples.csv", evaluation)
        write_scores(part / "scores.json", about, evaluation, summaries)
        page = {**about, "facts": _facts(about)}
        write_report(part / "report.html", page, evaluation, summaries)
        os.replace(part, place)
    logger.info(
        "%s\n\nResults: %s; open %s first",
        evaluation_table(evaluation, summaries),
        *(out, out / "report.html"),
    )


def _facts(about: dict[str, Any]) -> list[str]:
    facts = [
        f"data {about['data']}, {about['resolution']} px"
        if "data" in about
        else f"photographs {about['pairs']}, at most {about['resolution']} px"
    ]
    depth = about.get("depth", {})
    if depth.get("unit") == "metre":
        facts.append(f"depth in metres, 1 is {depth.get('scale')} m")
    if about["capture"]:
        facts.append(f"capture {about['capture']}")
    return [*facts, f"seed {about['seed']}"]
