"""Predicts a video, and writes the results as videos."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_depthseg.inference import outputs
from keras_depthseg.inference.confidence import LOW
from keras_depthseg.inference.kept_alignment import KeptAlignment
from keras_depthseg.inference.new_scene import NewScene
from keras_depthseg.inference.overlap import Stages, read_ahead, write_behind
from keras_depthseg.inference.predictor import Plate, Prediction, Predictor
from keras_depthseg.inference.smoothing import TemporalSmoothing
from keras_depthseg.inference.video_reading import Frame, VideoReader
from keras_depthseg.inference.video_writing import VideoWriter


class VideoPredictor:
    """Predicts the frames of a video, one after the other.

    The plate is aligned to the first frame, and again only when it fits no longer; masks
    are averaged over time where they are unsure and nothing moves.

    Args:
        predictor: predicts.
        plate: of the whole video.
        align: whether to fit the plate.
        smooth: whether to average masks over time.
        depth: whether to predict it; it takes a third of the network's time.
    """

    def __init__(
        self,
        predictor: Predictor,
        plate: Plate,
        *,
        align: bool = True,
        smooth: bool = True,
        depth: bool = False,
    ):
        self._predictor = predictor
        self._plate = plate
        self._depth = depth
        self._alignment = KeptAlignment() if align else None
        self._smoothing = TemporalSmoothing() if smooth else None

    def predict(self, image: np.ndarray) -> Prediction:
        """Predict the next frame, (H, W, 3) uint8 RGB."""
        return self._predictor.predict_frame(
            self._plate,
            image,
            depth=self._depth,
            alignment=self._alignment,
            smoothing=self._smoothing,
        )

    @property
    def state(self) -> dict[str, np.ndarray]:
        """What the next frame needs, as arrays; `restore` takes it."""
        parts = (part for part in (self._alignment, self._smoothing) if part is not None)
        return {name: value for part in parts for name, value in part.state.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where another one was; with nothing in it, begin anew."""
        if self._alignment is not None:
            self._alignment.restore(state)
        if self._smoothing is not None:
            self._smoothing.restore(state)


@dataclasses.dataclass
class VideoSummary:
    """What a run did.

    Attributes:
        frames: in the results.
        resumed: how many of them an earlier run had made.
        doubtful: frames to which the plate does not seem to belong.
        speed: a line of times.
    """

    frames: int = 0
    resumed: int = 0
    doubtful: int = 0
    speed: str = ""

    def __str__(self) -> str:
        lines = [self.speed]
        if self.resumed:
            lines.append(f"{self.resumed} frames were there from an earlier run")
        if self.doubtful:
            lines.append(
                f"the plate does not seem to belong to {self.doubtful} of "
                f"{self.frames - self.resumed} frames"
            )
        return "\n".join(lines)


def predict_video(
    predictor: VideoPredictor,
    reader: VideoReader,
    results: Mapping[str, Path],
    *,
    settings: Mapping[str, Any],
    new_scene: NewScene | None = None,
    progress: Callable[[], object] = lambda: None,
) -> VideoSummary:
    """Predict a video and write what was found; go on where a killed run was.

    Args:
        predictor: of this video, at its beginning.
        reader: the video. A camera is read until Ctrl-C.
        results: files to write, by kind, see `video_paths`.
        settings: all on which the results depend besides the video, for JSON.
        new_scene: for the kind `replaced`.
        progress: called after each frame.

    Raises:
        UserError: a result cannot be written.
    """
    summary, stages = VideoSummary(), Stages()
    with contextlib.ExitStack() as stack:
        writers = {
            kind: stack.enter_context(
                VideoWriter(path, reader.size, reader, kind == "cutout", settings)
            )
            for kind, path in results.items()
        }
        # A killed run may have ended a segment of one result and not of the next.
        first = min(writers.values(), key=lambda writer: writer.done)
        predictor.restore(first.state)
        summary.frames = summary.resumed = first.done
        for _ in range(first.done):
            progress()
        frames = read_ahead(reader.read(first.done), stages)
        with write_behind(stages) as write, _until_interrupted(reader):
            for frame in frames:
                with stages.timed("predicting"):
                    prediction = predictor.predict(frame.image)
                    replaced = new_scene.replace(prediction) if new_scene else None
                summary.frames += 1
                summary.doubtful += prediction.confidence < LOW
                write(_write, writers, frame, prediction, replaced, predictor.state)
                progress()
        for writer in writers.values():
            writer.join()
    summary.speed = stages.summary(summary.frames - summary.resumed, "frame")
    return summary


def video_paths(
    name: str, folder: Path, kinds: tuple[str, ...], cutout_format: str
) -> dict[str, Path]:
    """Return the files of the results of a video, by kind.

    Args:
        name: of the video, without its suffix.
        folder: to write to.
        kinds: of `options.VIDEO_RESULTS`, and `replaced`.
        cutout_format: `webm`, `mov`, or `png` for a folder of files.
    """
    suffixes = dict.fromkeys(kinds, ".mp4")
    if "cutout" in kinds:
        suffixes["cutout"] = "" if cutout_format == "png" else f".{cutout_format}"
    return {kind: folder / f"{name}_{kind}{suffixes[kind]}" for kind in kinds}


@contextlib.contextmanager
def _until_interrupted(reader: VideoReader) -> Iterator[None]:
    """Take Ctrl-C for the end of what a camera shows."""
    try:
        yield
    except KeyboardInterrupt:
        if reader.path is not None:
            raise


def _write(
    writers: Mapping[str, VideoWriter],
    frame: Frame,
    prediction: Prediction,
    replaced: np.ndarray | None,
    state: Mapping[str, np.ndarray],
) -> None:
    depth: Any = prediction.depth
    images: dict[str, Callable[[], Any]] = {
        "mask": lambda: np.rint(prediction.mask * 255).astype(np.uint8),
        "cutout": prediction.cutout,
        "depth_colour": lambda: outputs.depth_colours(depth),
        "overlay": lambda: outputs.overlay(frame.image, prediction.mask),
        "replaced": lambda: replaced,
    }
    for kind, writer in writers.items():
        if frame.index >= writer.done:
            writer.write(frame, images[kind](), state)
