"""Damaged videos, and the notes of a video that was predicted in part."""

from __future__ import annotations

import io
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from fuzzing import drawings, structures
from fuzzing.mutations import mutate
from fuzzing.target import Target, WrongContentError
from keras_depthseg.inference.video_reading import VideoReader, plate_of
from keras_depthseg.inference.video_writing import VideoWriter

_SIZE = (48, 64)
_CODECS = {
    ".mp4": ("libx264", "yuv420p"),
    ".mkv": ("libx264", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
    ".avi": ("mjpeg", "yuvj420p"),
    ".mov": ("prores_ks", "yuv422p10le"),
    ".ts": ("mpeg2video", "yuv420p"),
}


def write_video(path: Path, count: int = 8) -> None:
    """Write a picture that moves to the right; the suffix decides on the codec."""
    codec, pixels = _CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width = _SIZE
        stream.pix_fmt = pixels
        # Threads would make other bytes each time.
        stream.codec_context.thread_count = 1
        for number in range(count):
            image = np.roll(drawings.plate(1, _SIZE), 3 * number, 1)
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class Videos(Target):
    """Short videos of several containers and codecs."""

    name = "videos"

    def prepare(self) -> None:
        for suffix in _CODECS:
            write_video(self.folder / f"a{suffix}")

    def load(self) -> None:
        self.files = {f"a{s}": (self.folder / f"a{s}").read_bytes() for s in _CODECS}

    def damage(self, rng: random.Random) -> None:
        name = rng.choice(list(self.files))
        self.plate = rng.random() < 0.2
        (self.case / name).write_bytes(mutate(self.files[name], rng))

    def read(self) -> None:
        (path,) = self.case.iterdir()
        last = None
        with VideoReader(path) as reader:
            _ = float(reader.rate), float(reader.pixel_aspect)
            for frame in reader:
                if frame.image.shape[1::-1] != reader.size:
                    raise WrongContentError(f"a frame of {frame.image.shape}")
                if last is not None and frame.pts <= last:
                    raise WrongContentError("frames that go back in time")
                last = frame.pts
        if self.plate:
            plate_of(path, samples=4)


class Segments(Target):
    """What a killed prediction of a video left: it goes on, or begins anew."""

    name = "segments"
    _FRAMES, _SEGMENT = 8, 3

    def prepare(self) -> None:
        write_video(self.folder / "a.mp4", self._FRAMES)
        self._predict(self.folder / "mask", stop=7)

    def _predict(self, out: Path, stop: int | None = None) -> int:
        """Write "masks" of all frames, or stop after some; return those found done."""
        with VideoReader(self.folder / "a.mp4") as reader:
            writer = VideoWriter(out, reader.size, reader, segment=self._SEGMENT)
            try:
                with writer:
                    for frame in reader.read(writer.done):
                        if frame.index == stop:
                            raise _StoppedError
                        state = {"frame": np.array(frame.index)}
                        writer.write(frame, frame.image[..., 0], state)
            except _StoppedError:
                pass
            return writer.done

    def load(self) -> None:
        part = self.folder / ".part-mask"
        self.files = {path.name: path.read_bytes() for path in sorted(part.iterdir())}

    def damage(self, rng: random.Random) -> None:
        part = self.case / ".part-mask"
        part.mkdir()
        files = dict(self.files)
        name = rng.choice([name for name in files if not name.endswith(".png")])
        if name.endswith(".json"):
            files[name] = structures.mutate_json(files[name], rng)
        elif rng.random() < 0.5:
            files[name] = mutate(files[name], rng)
        else:
            files[name] = structures.mutate_zip(files[name], rng, _array)
        for name, data in files.items():
            (part / name).write_bytes(data)

    def read(self) -> None:
        self._predict(self.case / "mask")
        frames = sorted((self.case / "mask").glob("*.png"))
        if len(frames) != self._FRAMES:
            raise WrongContentError(f"a video of {len(frames)} frames")


class _StoppedError(Exception):
    pass


def _array(name: str, content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        others = (np.zeros(2, np.int64), np.zeros((2, 2)), np.array("a"), np.zeros(0))
        np.save(buffer, rng.choice(others))
        return buffer.getvalue()
    return mutate(content, rng)
