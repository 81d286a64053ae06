"""What a notebook does, again and again in one process; `soak` asks it to.

    python -m fuzzing.notebook SOURCES < numbers

For each line of standard input one round; then a line of its number.
"""

from __future__ import annotations

import gc
import logging
import shutil
import sys
from pathlib import Path

import keras

import keras_depthseg
from fuzzing import drawings
from keras_depthseg.datasets.compose import compose
from keras_depthseg.datasets.inspection.card import write_card
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.evaluation.evaluate import evaluate_records
from keras_depthseg.evaluation.options import EvaluateOptions
from keras_depthseg.inference.predictor import Plate
from keras_depthseg.inference.video_reading import VideoReader
from keras_depthseg.inference.video_run import VideoPredictor, predict_video
from keras_depthseg.training import RECIPES, Recipe, RunConfig, train


def go_round(sources: Path, folder: Path, number: int) -> None:
    """Compose, validate, describe, train, evaluate and predict in a new folder.

    Args:
        sources: `bg`, `fg` and `a.mp4`, and `model.keras`, a network to predict with.
        folder: for all results.
        number: another seed each time.
    """
    data, run = folder / "data", folder / "run"
    options = drawings.compose_options(sources, size=64, count=32, seed=number)
    compose(options, data)
    report = validate(data)
    if report.errors:
        raise AssertionError(report.errors[0])
    write_card(data, folder / "card.html")
    fields = {**vars(RECIPES["quick"]), "schedule": "32:1", "width": 1}
    config = RunConfig(data=(str(data),), recipe=Recipe(**fields), batch_size=8)
    train(config, run, verbose=0)
    scored = EvaluateOptions(model=str(run), data=str(data), samples=8, no_baselines=True)
    evaluate_records(scored, run / "model.keras", open_records(data), 32)
    predictor = keras_depthseg.Predictor(str(sources / "model.keras"))
    plate = sources / "bg/0.png"
    for picture in sorted((sources / "bg").iterdir()):
        predictor.predict(plate, picture).cutout()
    with VideoReader(sources / "a.mp4") as reader:
        video = VideoPredictor(predictor, Plate(plate))
        predict_video(video, reader, {"mask": folder / "mask.mp4"}, settings={})
    keras.backend.clear_session()
    gc.collect()


def main() -> None:
    """Go a round for each line that comes in."""
    sources = Path(sys.argv[1])
    logging.disable(logging.WARNING)
    for line in sys.stdin:
        folder = sources.parent / "notebook"
        folder.mkdir()
        go_round(sources, folder, int(line))
        shutil.rmtree(folder)
        print(f"round {int(line)} done", flush=True)


if __name__ == "__main__":
    main()
