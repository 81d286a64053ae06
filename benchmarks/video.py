"""Speeds of video: reading, writing, the plate, and predicting with its scores.

    python -m benchmarks.video --model runs/NAME

Predicting is measured in turns with the plate kept for the whole video, and read, aligned
and computed anew for each frame.
"""

from __future__ import annotations

import contextlib
import json
import math
import pathlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import cv2
import numpy as np

from benchmarks import command
from keras_depthseg.errors import UserError
from keras_depthseg.inference.predictor import Plate, Predictor
from keras_depthseg.inference.video_reading import VideoReader, plate_of
from keras_depthseg.inference.video_run import VideoPredictor
from keras_depthseg.inference.video_writing import VideoWriter

_RATE = 30
_NOISE = 3.0
# Pixels a frame in 1080 rows.
_SPEED = 8


class MovingScene:
    """A cutout that goes through a rendered room, before a camera with sensor noise.

    Args:
        size: (W, H).
        speed: pixels that it moves from frame to frame; it turns round at the borders.
        seed: of the room, the cutout and the noise.

    Attributes:
        plate: (H, W, 3) uint8, without noise and without the cutout.
    """

    def __init__(self, size: tuple[int, int], speed: float, seed: int = 0):
        from keras_depthseg.datasets.rooms import cutouts, scene

        width, height = size
        room = scene.make_room(seed, 0, max(size))
        left, top = (max(size) - width) // 2, (max(size) - height) // 2
        self.plate = room.bg[top : top + height, left : left + width]
        rgba = np.array(cutouts.make_cutout(seed, 0, round(0.8 * height)).rgba)
        rgba = rgba.astype(np.float32) / 255
        rgba[..., :3] *= rgba[..., 3:]
        self._cutout, self._size = rgba, size
        self._speed, self._seed = speed, seed

    def clean(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frame `index` without noise, (H, W, 3) float32 to 255, and its mask."""
        width, height = self._size
        free = max(width - self._cutout.shape[1], 1)
        way = (0.3 * free + index * self._speed) % (2 * free)
        x = min(way, 2 * free - way)
        y = height - self._cutout.shape[0] - 4 * abs(math.sin(0.01 * self._speed * index))
        shown = cv2.warpAffine(
            self._cutout, np.array([[1, 0, x], [0, 1, y]], np.float32), self._size
        )
        alpha = shown[..., 3].copy()
        image = self.plate.astype(np.float32)
        columns = slice(int(x), int(x) + self._cutout.shape[1] + 2)
        image[:, columns] *= 1 - alpha[:, columns, None]
        image[:, columns] += 255 * shown[:, columns, :3]
        return image, alpha

    def frame(self, index: int) -> np.ndarray:
        """Return what the camera sees, (H, W, 3) uint8."""
        image, _ = self.clean(index)
        rng = np.random.default_rng([self._seed, index])
        noise = _NOISE * rng.standard_normal(image.shape, np.float32)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    def write(self, path: pathlib.Path, frames: int) -> None:
        """Write an MP4 with a tone."""
        with av.open(str(path), "w") as container:
            video = container.add_stream("libx264", rate=_RATE, options={"crf": "20"})
            video.width, video.height = self._size
            video.codec_context.time_base = Fraction(1, _RATE)
            # BT.709 of limited range, as cameras have it.
            video.codec_context.colorspace = video.codec_context.color_range = 1
            sound = container.add_stream("aac", rate=48000, layout="mono")
            share = 48000 // _RATE
            for index in range(frames):
                image = av.VideoFrame.from_ndarray(self.frame(index)).reformat(
                    format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
                )
                image.pts = index
                container.mux(video.encode(image))
                samples = np.arange(index * share, (index + 1) * share)
                tone = 8000 * np.sin(samples * (2 * np.pi * 440 / 48000))
                heard = av.AudioFrame.from_ndarray(
                    tone[None].astype(np.int16), layout="mono"
                )
                heard.sample_rate, heard.pts = 48000, index * share
                container.mux(sound.encode(heard))
            container.mux(video.encode(None))
            container.mux(sound.encode(None))


class Score:
    """How good the masks of a video are, from one frame to the next."""

    def __init__(self):
        self._values: dict[str, list[float]] = {}
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, mask: np.ndarray, true: np.ndarray, still: np.ndarray) -> None:
        """Score the next frame.

        Args:
            mask, true: (H, W) in [0, 1].
            still: (H, W) bool, where the true image is that of the frame before.
        """
        hard, true_hard = mask >= 0.5, true >= 0.5
        union = (hard | true_hard).sum()
        self._add("hard_iou", (hard & true_hard).sum() / union if union else 1.0)
        self._add("mad", np.abs(mask - true).mean())
        if self._before is not None:
            change = mask - self._before[0]
            error = change - (true - self._before[1])
            self._add("dtssd", 100 * np.sqrt(np.square(error).mean()))
            if still.any():
                self._add("flicker", 1000 * np.abs(change)[still].mean())
        self._before = mask, true

    def result(self) -> dict[str, float]:
        """Return means over the frames.

        `hard_iou` at 0.5; `mad`, the mean absolute difference; `dtssd`, as Robust Video
        Matting has it: sqrt(mean((p_t - p_{t-1} - (a_t - a_{t-1}))^2)), times 100;
        `flicker`, the mean of |p_t - p_{t-1}| where it is still, times 1000.
        """
        return {name: float(np.mean(values)) for name, values in self._values.items()}

    def _add(self, name: str, value: float) -> None:
        self._values.setdefault(name, []).append(float(value))


def truth_of(scene: MovingScene, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the true mask of each frame, and where it and the image stand still."""
    before = None
    for index in range(frames):
        image, alpha = scene.clean(index)
        still = np.zeros(alpha.shape, bool)
        if before is not None:
            still = (image == before).all(-1)
        before = image
        yield alpha, still


def _speeds(path: pathlib.Path, folder: pathlib.Path, count: int) -> Iterator[tuple]:
    """Yield a name and frames a second of reading, and of every kind of file."""
    begin = time.perf_counter()
    with VideoReader(path) as reader:
        frames = list(zip(range(count), reader, strict=False))
    yield "read", len(frames) / (time.perf_counter() - begin)
    begin = time.perf_counter()
    yield "plate", plate_of(path).size and 1 / (time.perf_counter() - begin)
    kinds = ((".mp4", False), (".webm", True), (".mov", True), ("", True))
    for suffix, alpha in kinds:
        begin = time.perf_counter()
        with VideoReader(path) as reader:
            written = VideoWriter(folder / f"out{suffix}", reader.size, reader, alpha)
            with written as writer:
                for _, frame in frames:
                    image = frame.image
                    if alpha:
                        image = np.dstack([image, image[..., 1]])
                    writer.write(frame, image)
        yield f"write {suffix or 'PNGs'}", len(frames) / (time.perf_counter() - begin)


def _peak() -> float:
    """Return the most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _memory(path: pathlib.Path, folder: pathlib.Path) -> list[float]:
    """Return the peak after every tenth part of a video read and written."""
    peaks = []
    reader = VideoReader(path)
    tenth = max(1, (reader.frames or 10) // 10)
    with reader, VideoWriter(folder / "flat.mp4", reader.size, reader) as writer:
        for frame in reader:
            writer.write(frame, frame.image)
            if (frame.index + 1) % tenth == 0:
                peaks.append(_peak())
    return peaks


def _predicting(
    model: pathlib.Path, scene: MovingScene, path: pathlib.Path, frames: int
) -> dict[str, dict[str, float]]:
    """Return frames a second and scores, with and without what videos add."""
    predictor = Predictor(model)
    plate_file = path.with_name("plate.png")
    cv2.imwrite(str(plate_file), cv2.cvtColor(scene.plate, cv2.COLOR_RGB2BGR))

    def video(smooth: bool) -> VideoPredictor:
        return VideoPredictor(predictor, Plate(plate_file), smooth=smooth)

    kept = {smooth: video(smooth) for smooth in (False, True)}
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "plate kept, smoothed": lambda image: kept[True].predict(image).mask,
        "plate kept": lambda image: kept[False].predict(image).mask,
        "plate anew each time": lambda image: video(False).predict(image).mask,
    }
    seconds = dict.fromkeys(ways, 0.0)
    scores = {name: Score() for name in ways}
    with VideoReader(path) as reader:
        truth = truth_of(scene, frames)
        for frame, (true, still) in zip(reader, truth, strict=False):
            # In turns: what drifts, drifts for all.
            for name, predict in ways.items():
                begin = time.perf_counter()
                mask = predict(frame.image)
                # The first one aligns, and compiles the network.
                seconds[name] += (time.perf_counter() - begin) * (frame.index > 0)
                scores[name].add(mask, true, still)
    return {
        name: {"fps": (frames - 1) / seconds[name], **scores[name].result()}
        for name in ways
    }


def main(argv: list[str] | None = None) -> int:
    parser = command.Parser(__doc__ or "", rounds=1)
    parser.add_argument(
        "--model", type=pathlib.Path, help="a model, to measure predicting"
    )
    parser.add_argument("--frames", type=command.positive, default=300)
    parser.add_argument("--width", type=command.positive, default=1920)
    parser.add_argument("--height", type=command.positive, default=1080)
    parser.add_argument(
        "--keep", type=pathlib.Path, metavar="FOLDER", help="keep the videos here"
    )
    arguments = parser.parse_args(argv)
    size = (arguments.width, arguments.height)
    report: dict = {"machine": command.machine(), "arguments": vars(arguments)}
    print(command.format_machine(report["machine"]), flush=True)
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        folder.mkdir(parents=True, exist_ok=True)
        try:
            path = folder / "scene.mp4"
            scene = MovingScene(size, _SPEED * size[1] / 1080)
            scene.write(path, arguments.frames)
            report["peaks"] = _memory(path, folder)
            print("peak MB after each tenth:", [round(peak) for peak in report["peaks"]])
            report["speeds"] = {}
            for name, speed in _speeds(path, folder, min(60, arguments.frames)):
                report["speeds"][name] = speed
                print(f"{name:<12}{speed:8.2f} a second", flush=True)
            if arguments.model:
                report["predicting"] = _predicting(
                    arguments.model, scene, path, arguments.frames
                )
                for name, figures in report["predicting"].items():
                    text = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
                    print(f"{name:<22}{text}")
        except UserError as error:
            print(f"{parser.prog}: error: {error}", file=sys.stderr)
            return 2
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
