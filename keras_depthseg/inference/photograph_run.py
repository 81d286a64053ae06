"""Predicts a photograph or a folder of them, and writes the results."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_depthseg.errors import UserError
from keras_depthseg.inference import outputs
from keras_depthseg.inference.confidence import LOW
from keras_depthseg.inference.new_scene import NewScene
from keras_depthseg.inference.overlap import Stages, read_ahead, write_behind
from keras_depthseg.inference.photographs import Photograph, read_photograph
from keras_depthseg.inference.predictor import Plate, Prediction, Predictor
from keras_depthseg.text import printable

logger = logging.getLogger(__name__)

# Share of a photograph below which it counts as one without foreground.
_EMPTY = 1e-4


@dataclasses.dataclass(frozen=True)
class Row:
    """What was found in a photograph.

    Attributes:
        photograph: name of its file.
        foreground: share of its pixels, the mean of the mask.
        confidence: as in `Prediction`.
        plate: how it was moved and exposed to fit, in words.
    """

    photograph: str
    foreground: float
    confidence: float
    plate: str

    def __str__(self) -> str:
        return (
            f"{self.photograph}: {self.plate}; foreground {100 * self.foreground:.1f} % "
            f"of the picture; confidence {self.confidence:.2f}"
        )


@dataclasses.dataclass
class Summary:
    """What a run did.

    Attributes:
        rows: of each photograph with results.
        failed: names of photographs that could not be read.
        speed: a line of times.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)
    speed: str = ""

    def __str__(self) -> str:
        lines = [self.speed]
        if empty := sum(row.foreground < _EMPTY for row in self.rows):
            lines.append(f"{empty} without foreground: empty masks")
        if self.failed:
            lines.append(f"{len(self.failed)} left out, as warned above")
        return "\n".join(lines)


def predict_photographs(
    predictor: Predictor,
    plate: Plate,
    photographs: Sequence[Path],
    results: Sequence[dict[str, Path]],
    *,
    align: bool = True,
    new_scene: NewScene | None = None,
    table: Path | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Summary:
    """Predict photographs with one plate and write what was found.

    One that cannot be read is left out with a warning, unless it is the only one.

    Args:
        predictor: predicts.
        plate: of all photographs.
        photographs: the files.
        results: files to write for each, by kind, see `outputs.result_paths`.
        align: whether to fit the plate to each photograph.
        new_scene: for the kind `replaced`.
        table: a CSV file for the rows of the summary, also of a run that is stopped.
        progress: called after each photograph.

    Raises:
        UserError: the only photograph cannot be read, or a result cannot be written.
    """
    summary, stages = Summary(), Stages()
    depth = any({"depth", "depth_colour"} & set(paths) for paths in results)
    depth |= new_scene is not None and new_scene.needs_depth
    read = read_ahead(map(_read, photographs, results), stages)
    with _written_at_the_end(table, summary), write_behind(stages) as write:
        for path, paths, photograph in zip(photographs, results, read, strict=True):
            if isinstance(photograph, UserError):
                if len(photographs) == 1:
                    raise photograph
                logger.warning("%s", photograph)
                summary.failed.append(path.name)
            else:
                with stages.timed("predicting"):
                    prediction = predictor.predict(
                        plate, photograph, depth=depth, align=align
                    )
                    replaced = new_scene.replace(prediction) if new_scene else None
                summary.rows.append(_row(printable(path.name), prediction))
                write(_write, prediction, replaced, paths)
            progress()
    summary.speed = stages.summary(len(summary.rows), "photograph")
    return summary


def _read(path: Path, results: dict[str, Path]) -> Photograph | UserError:
    try:
        photograph = read_photograph(path, "image")
        outputs.check_sides(photograph.pixels, results)
        return photograph
    except UserError as error:
        return error


@contextlib.contextmanager
def _written_at_the_end(table: Path | None, summary: Summary) -> Iterator[None]:
    try:
        yield
    finally:
        if table is not None and summary.rows:
            outputs.write_table(table, [dataclasses.asdict(row) for row in summary.rows])


def _row(name: str, prediction: Prediction) -> Row:
    confidence = prediction.confidence
    if confidence < LOW:
        logger.warning(
            "%s: the plate does not seem to belong to this photograph (confidence %.2f)",
            *(name, confidence),
        )
    return Row(name, float(prediction.mask.mean()), confidence, prediction.fit)


def _write(
    prediction: Prediction,
    replaced: Any,
    paths: dict[str, Path],
) -> None:
    photograph, icc = prediction.photograph.pixels, prediction.photograph.icc
    depth: Any = prediction.depth

    def write(kind: str) -> None:
        path = paths[kind]
        if kind == "mask":
            outputs.write_mask(path, prediction.mask)
        elif kind == "cutout":
            outputs.write_cutout(path, prediction.cutout(), icc)
        elif kind == "depth":
            outputs.write_depth(path, depth)
        elif kind == "depth_colour":
            outputs.write_depth_colour(path, depth)
        elif kind == "overlay":
            outputs.write_overlay(path, photograph, prediction.mask, icc)
        elif kind == "replaced":
            outputs.write_photograph(path, replaced, icc)

    # Encoders use one core each.
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, paths))
