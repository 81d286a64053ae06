"""Speeds and figures of video: reading, writing, the plate, smoothing.

Run `python -m benchmarks.video`, with `--model FILE` for smoothing.
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
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from benchmarks import command
from keras_depthseg.errors import UserError
from keras_depthseg.inference.smoothing import TemporalSmoothing
from keras_depthseg.inference.video_reading import VideoReader, plate_of
from keras_depthseg.inference.video_writing import VideoWriter

_RATE = 30
_NOISE = 3.0
# Pixels a frame in 1080 rows.
_SPEEDS = (0, 2, 8, 24)
# The rooms and cutouts over which smoothing is averaged: two persons, a thing.
_SEEDS = (0, 1, 2)


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


def score(
    masks: Iterable[np.ndarray],
    truth: Iterable[np.ndarray],
    still: Iterable[np.ndarray] | None = None,
) -> dict[str, float]:
    """Return how good the masks of a video are.

    Args:
        masks, truth: (H, W) in [0, 1], a frame each.
        still: (H, W) bool, a frame each: where the true image and mask are those of the
            frame before.

    Returns:
        `hard_iou` at 0.5 and `mad`, the mean absolute difference, means over frames;
        `dtssd`, as Robust Video Matting has it: sqrt(mean((p_t - p_{t-1} - (a_t -
        a_{t-1}))^2)), a mean over frames, times 100; `flicker`, the mean of |p_t -
        p_{t-1}| where it is still, times 1000.
    """
    ious, mads, dtssds, flickers = [], [], [], []
    before = None
    places = still if still is not None else iter(lambda: None, 0)
    for mask, true, place in zip(masks, truth, places, strict=False):
        hard, true_hard = mask >= 0.5, true >= 0.5
        union = (hard | true_hard).sum()
        ious.append((hard & true_hard).sum() / union if union else 1.0)
        mads.append(np.abs(mask - true).mean())
        if before is not None:
            change = mask - before[0]
            dtssds.append(np.sqrt(np.square(change - (true - before[1])).mean()))
            if place is not None and place.any():
                flickers.append(np.abs(change)[place].mean())
        before = mask, true
    result = {"hard_iou": np.mean(ious), "mad": np.mean(mads)}
    result["dtssd"] = 100 * np.mean(dtssds)
    if flickers:
        result["flicker"] = 1000 * np.mean(flickers)
    return {name: float(value) for name, value in result.items()}


def truth_of(
    scene: MovingScene, frames: int, size: tuple[int, int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return true masks and where all is still, reduced to a size (W, H)."""
    masks, still = [], []
    before = None
    for index in range(frames):
        image, alpha = scene.clean(index)
        changed = np.ones(alpha.shape, np.float32)
        if before is not None:
            changed = (np.abs(image - before).max(-1) > 0).astype(np.float32)
        before = image
        masks.append(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))
        still.append(cv2.resize(changed, size, interpolation=cv2.INTER_AREA) == 0)
    return masks, still


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


def _smoothing(
    model: pathlib.Path, size: tuple[int, int], frames: int, folder: pathlib.Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the scores without and with smoothing, for every speed."""
    import keras

    network: Any = keras.saving.load_model(model, compile=False)
    small = (384, 224)

    def reduced(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, small, interpolation=cv2.INTER_AREA)

    result = {}
    for speed in _SPEEDS:
        scores: dict[str, list[dict[str, float]]] = {"plain": [], "smoothed": []}
        for seed in _SEEDS:
            scene = MovingScene(size, speed * size[1] / 1080, seed)
            path = folder / f"{speed}-{seed}.mp4"
            scene.write(path, frames)
            with VideoReader(path) as reader:
                images = [reduced(frame.image) for frame in reader]
            plates = np.repeat(reduced(scene.plate)[None], len(images), 0)
            masks = network.predict(
                {"bg": plates, "fg_bg": np.stack(images)}, batch_size=8, verbose=0
            )["mask"][..., 0]
            np.savez(path.with_suffix(".npz"), masks=masks, images=np.stack(images))
            true, still = truth_of(scene, frames, small)
            smooth = TemporalSmoothing()
            smoothed = [smooth(*pair) for pair in zip(masks, images, strict=True)]
            scores["plain"].append(score(masks, true, still))
            scores["smoothed"].append(score(smoothed, true, still))
        result[f"{speed} px a frame"] = {
            name: {
                key: float(np.mean([one[key] for one in own if key in one]))
                for key in own[0]
            }
            for name, own in scores.items()
        }
    return result


def main(argv: list[str] | None = None) -> int:
    parser = command.Parser(__doc__ or "", rounds=1)
    parser.add_argument(
        "--model", type=pathlib.Path, help="a model, to measure smoothing"
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
            MovingScene(size, 8).write(path, arguments.frames)
            report["peaks"] = _memory(path, folder)
            print("peak MB after each tenth:", [round(peak) for peak in report["peaks"]])
            report["speeds"] = {}
            for name, speed in _speeds(path, folder, min(60, arguments.frames)):
                report["speeds"][name] = speed
                print(f"{name:<12}{speed:8.2f} a second", flush=True)
            if arguments.model:
                report["smoothing"] = _smoothing(
                    arguments.model, size, min(48, arguments.frames), folder
                )
                for case, sides in report["smoothing"].items():
                    for name, figures in sides.items():
                        text = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
                        print(f"{case:<16}{name:<10}{text}")
        except UserError as error:
            print(f"{parser.prog}: error: {error}", file=sys.stderr)
            return 2
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
