"""The sub-command `depthseg predict`.

Keras and TensorFlow are imported only for a network that is not converted yet: the first
mask is there within a second or two.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_depthseg.commands.parsing import Parser, described, field_options, given_fields
from keras_depthseg.commands.terminal import import_tensorflow_quietly
from keras_depthseg.errors import UserError
from keras_depthseg.inference.options import (
    PHOTOGRAPH_RESULTS,
    VIDEO_RESULTS,
    PredictOptions,
)
from keras_depthseg.pretrained import is_pretrained

if TYPE_CHECKING:
    from keras_depthseg.inference.new_scene import NewScene
    from keras_depthseg.inference.predictor import Predictor

logger = logging.getLogger(__name__)


def add_predict(commands: Any) -> Parser:
    """Add the sub-command."""
    parser: Parser = commands.add_parser(
        "predict",
        help="masks, cutouts, depth and new backgrounds of photographs and videos",
        argument_default=argparse.SUPPRESS,
        usage="depthseg predict --bg PLATE --image FILE --out DIR [OPTION ...]",
        **described(
            "Predict mask and depth of photographs or a video, given the same view "
            "without the foreground, and write masks, cutouts, depth maps and pictures "
            "to look at.",
            "depthseg predict --bg plate.jpg --image photo.jpg --out out\n"
            "depthseg predict --model runs/NAME --bg plate.jpg --image photos \\\n"
            "    --out out --write mask,cutout\n"
            "depthseg predict --bg plate.jpg --image film.mp4 --out out \\\n"
            "    --replace-bg green",
        ),
    )
    groups = {
        "pictures": {
            "image": "FILE|DIR|N",
            "bg": "PLATE",
            "out": "DIR",
        },
        "network": {"model": "MODEL", "engine": None},
        "results": {
            "write": "KIND,…",
            "replace_bg": "PICTURE|COLOUR|blur",
            "order": None,
            "cutout_format": None,
            "force": None,
        },
        "fitting": {"no_align": None, "no_smoothing": None},
    }
    for title, metavars in groups.items():
        parser.add_options(title, field_options(PredictOptions, metavars))
    parser.set_defaults(run=_predict, parser=parser)
    return parser


def _predict(args: argparse.Namespace) -> int:
    options = PredictOptions(**given_fields(PredictOptions, vars(args)))
    from keras_depthseg.inference.network import check_model
    from keras_depthseg.inference.video_reading import is_video

    check_model(options.model)
    if options.bg is not None and is_video(options.bg):
        raise UserError(
            f"`bg`: {options.bg} is a video; a plate is one picture. Leave `bg` out to "
            "make it from a video that is predicted."
        )
    # Operating systems count cameras from 0; a longer number is the name of a file.
    is_camera = options.image.isdecimal() and len(options.image) < 4
    is_camera = is_camera and not os.path.exists(options.image)
    if is_camera or is_video(options.image):
        return _predict_video(options, is_camera)
    return _predict_photographs(options)


def _predict_photographs(options: PredictOptions) -> int:
    from keras_depthseg.inference import outputs
    from keras_depthseg.inference.photograph_run import predict_photographs
    from keras_depthseg.inference.photographs import list_photographs
    from keras_depthseg.inference.predictor import Plate

    if options.bg is None:
        raise UserError(
            "`bg`: received none; photographs need a plate, the same view without the "
            "foreground. Give its file."
        )
    photographs = list_photographs(options.image, "image")
    if os.path.realpath(options.image) == os.path.realpath(options.out):
        photographs = outputs.without_results(photographs)
    kinds = options.kinds(PHOTOGRAPH_RESULTS)
    results = outputs.result_paths(photographs, options.out, kinds)
    table = options.out / "photographs.csv" if len(photographs) > 1 else None
    written = [path for paths in results for path in paths.values()]
    plate = Plate(options.bg)
    outputs.check_free([*written, *([table] if table else [])], options.force, "out")
    predictor = _open_predictor(options)
    with _progress(len(photographs), " photographs") as progress:
        summary = predict_photographs(
            predictor,
            plate,
            photographs,
            results,
            align=not options.no_align,
            new_scene=_new_scene(options, predictor),
            table=table,
            progress=progress,
        )
    if len(summary.rows) == 1:
        logger.info("%s", summary.rows[0])
    if "depth" in kinds:
        logger.info("Depth: larger is farther, relative; 65535 in the files is 1")
    logger.info("%s\nResults: %s", summary, options.out)
    return 2 if summary.failed else 0


def _predict_video(options: PredictOptions, is_camera: bool) -> int:
    from keras_depthseg.inference import outputs
    from keras_depthseg.inference.predictor import Plate
    from keras_depthseg.inference.video_reading import VideoReader, plate_of
    from keras_depthseg.inference.video_run import (
        VideoPredictor,
        predict_video,
        video_paths,
    )

    if is_camera and options.bg is None:
        raise UserError(
            "`bg`: received none; a camera needs a plate. Take a photograph with it, "
            "without the foreground, and give its file."
        )
    kinds = options.kinds(("mask",))
    if "depth" in kinds:
        raise UserError(
            "`write`: received depth for a video; accepted are "
            f"{', '.join(VIDEO_RESULTS)}. Write depth_colour, or the frames' depth from "
            "photographs."
        )
    name = f"camera{options.image}" if is_camera else Path(options.image).stem
    results = video_paths(name, options.out, kinds, options.cutout_format)
    with VideoReader(int(options.image) if is_camera else options.image) as reader:
        made = options.out / f"{name}_plate.png"
        # A folder of PNG files is looked at by its writer.
        files = [path for path in results.values() if not path.is_dir()]
        outputs.check_free(files, options.force, "out")
        if options.bg is None and not made.exists():
            outputs.write_plate(made, plate_of(options.image))
            logger.info("Made a plate from the video: %s; look at it", made)
        elif options.bg is None:
            logger.info("Plate: %s, of an earlier run; remove it for a new one", made)
        # What is used is the file, as after a retouch.
        bg = options.bg or made
        options = dataclasses.replace(options, bg=bg)
        plate = Plate(bg)
        predictor = _open_predictor(options)
        scene = _new_scene(options, predictor)
        video = VideoPredictor(
            predictor,
            plate,
            align=not options.no_align,
            smooth=not options.no_smoothing,
            depth="depth_colour" in kinds or options.order == "depth",
        )
        with _progress(reader.frames, " frames") as progress:
            summary = predict_video(
                video,
                reader,
                results,
                settings=_settings(options, predictor),
                new_scene=scene,
                progress=progress,
            )
    logger.info("%s\nResults: %s", summary, options.out)
    return 0


def _open_predictor(options: PredictOptions) -> Predictor:
    from keras_depthseg.inference.network import needs_keras
    from keras_depthseg.inference.predictor import Predictor

    if is_pretrained(options.model):
        logger.info("Model: %s, trained weights of this version", options.model)
    engine = None if options.engine == "auto" else options.engine
    if needs_keras(options.model, engine):
        import_tensorflow_quietly()
    return Predictor(options.model, engine)


def _new_scene(options: PredictOptions, predictor: Predictor) -> NewScene | None:
    from keras_depthseg.inference.new_scene import NewScene

    if options.replace_bg is None:
        return None
    return NewScene(options.replace_bg, options.order == "depth", predictor)


def _settings(options: PredictOptions, predictor: Predictor) -> dict[str, Any]:
    """Return all on which the results of a video depend, besides the video."""
    settings = dataclasses.asdict(options)
    for name in ("out", "write", "force"):
        del settings[name]
    files = (Path(predictor.network.name), options.bg, Path(options.replace_bg or ""))
    stamps = [
        (str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size)
        for path in files
        if path is not None and path.is_file()
    ]
    return {**settings, "engine": predictor.network.engine, "files": stamps}


@contextlib.contextmanager
def _progress(total: int | None, unit: str) -> Iterator[Callable[[], object]]:
    from tqdm import tqdm

    # None for one: there is nothing to wait for.
    with tqdm(total=total, unit=unit, disable=(total == 1) or None, leave=False) as bar:
        yield bar.update
