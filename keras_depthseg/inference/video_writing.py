"""Write the frames of a video, with its times and its sound, and resume when killed."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import heapq
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
from av.error import FFmpegError

from keras_depthseg import files
from keras_depthseg.errors import UserError
from keras_depthseg.inference.video_reading import Frame, VideoReader, open_video

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_LOGGER = logging.getLogger(__name__)

# Each segment begins with a key frame, as players want one every few seconds anyway.
_SEGMENT = 300
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BT709, _LIMITED_RANGE, _UNSPECIFIED = 1, 1, 2


@dataclasses.dataclass(frozen=True)
class _Kind:
    """How a container is filled: codecs, pixel formats, the sound it takes as it is."""

    codecs: tuple[str, ...]
    opaque: str
    transparent: str | None
    options: Mapping[str, str]
    sound: str
    sounds: frozenset[str]
    even: bool = False


# Without frames that refer to later ones (bf=0) packets come in the order of frames:
# segments are joined by counting. The files are about a tenth larger.
_KINDS = {
    ".mp4": _Kind(
        codecs=("libx264", "libopenh264"),
        opaque="yuv420p",
        transparent=None,
        options={"crf": "18", "bf": "0"},
        sound="aac",
        sounds=frozenset(["aac", "ac3", "alac", "eac3", "mp3"]),
        even=True,
    ),
    ".webm": _Kind(
        codecs=("libvpx-vp9",),
        opaque="yuv420p",
        transparent="yuva420p",
        options={"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"},
        sound="libopus",
        sounds=frozenset(["opus", "vorbis"]),
    ),
    ".mov": _Kind(
        codecs=("prores_ks",),
        opaque="yuv422p10le",
        transparent="yuva444p10le",
        options={},
        sound="aac",
        sounds=frozenset(["aac", "ac3", "alac", "eac3", "mp3", "pcm_s16le", "pcm_s24le"]),
    ),
}


def _stored(file: Path) -> dict[str, np.ndarray]:
    """Read what is stored beside a segment."""
    with file.open("rb") as opened, np.load(opened) as content:
        arrays = dict(content)
    pts = arrays["pts"]
    if pts.dtype != np.int64 or pts.ndim != 1 or not pts.size:
        raise ValueError(f"{file}: times {pts.shape} of {pts.dtype}")
    return arrays


class VideoWriter:
    """Writes as many frames as it is given, at the times of the source's, and its sound.

    A context manager: at its end the video is put in place; after an exception, or when
    the process is killed, `.part-NAME` beside it keeps what is complete, in segments of
    300 frames. A writer of the same source and settings goes on behind them:

        for frame in reader.read(writer.done): ...

    The result is the one of an uninterrupted run. On the disk there must be room for
    the video twice.

    By its suffix `path` becomes: `.mp4`, H.264, whose odd sides grow by one pixel, the
    last repeated; `.webm`, VP9, whose times are milliseconds and whose pixels are
    square; `.mov`, ProRes, 4444 with transparency; without a suffix, a folder of
    `000000.png` and so on, with no sound, and `times.txt` of the seconds at which they
    are shown.

    Args:
        path: a file, which is replaced, or a folder, which must be empty if it exists.
        size: (W, H) of the images.
        source: whose times, pixel aspect and sound are kept.
        alpha: whether images are RGBA, colours not multiplied by alpha.
        settings: all on which the images depend besides the source, for JSON.
        segment: frames of a segment.

    Attributes:
        done: the frames that were complete when it was opened.
        state: arrays given with the last of them; empty if there is none.

    Raises:
        UserError: `path` cannot hold such images; the disk is full.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        source: VideoReader,
        alpha: bool = False,
        settings: Mapping[str, Any] | None = None,
        segment: int = _SEGMENT,
    ):
        self._path = Path(path)
        self._size, self._source, self._alpha = size, source, alpha
        self._segment = segment
        self._kind = _kind_of(self._path, alpha)
        self._folder = self._path.with_name(f".part-{self._path.name}")
        self._encoder: _Encoder | None = None
        # The first frame of the segment being written, and the times of its frames.
        self._begin, self._pts = 0, []
        self._joined = False
        with self._no_room():
            self._open_folder(settings or {})
        self.state = {}
        for stored in self._complete():
            self._begin += len(stored.pop("pts"))
            self.state = stored
        self.done = self._begin

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._abandon()
            return
        self.join()
        with self._no_room():
            self._put_in_place()

    def write(
        self,
        frame: Frame,
        image: np.ndarray,
        state: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Add an image.

        Args:
            frame: of the source, whose time is taken.
            image: (H, W, 3), with `alpha` (H, W, 4), or without it (H, W); uint8.
            state: what the next frame needs of this one; kept where a segment ends.
        """
        height, width = image.shape[:2]
        channels = image.shape[2] if image.ndim == 3 else 1
        if (width, height) != self._size or channels not in (
            (4,) if self._alpha else (1, 3)
        ):
            raise UserError(
                f"`image` must be of `size` {self._size} (W, H) and of "
                f"{'4 channels' if self._alpha else '3 channels or 1'}. Received: "
                f"{(width, height)} and {channels}"
            )
        with self._no_room():
            if self._kind is None:
                _write_png(
                    self._folder / f"{self._begin + len(self._pts):06d}.png", image
                )
            else:
                if self._encoder is None:
                    self._encoder = _Encoder(
                        self._part_of(self._begin), self._kind, self._source, self._alpha
                    )
                self._encoder.add(image, frame.pts)
            self._pts.append(frame.pts)
            if len(self._pts) == self._segment:
                self._end_segment(state or {})

    def _open_folder(self, settings: Mapping[str, Any]) -> None:
        """Make the folder of segments, or keep that of the same source and settings."""
        path = self._source.path
        job = {
            "source": path and [str(path.resolve()), *_stamp(path)],
            "settings": settings,
            "writer": [*self._size, self._alpha, self._segment, av.__version__],
        }
        text = json.dumps(job, sort_keys=True, default=str)
        file = self._folder / "job.json"
        # What a camera showed is gone: there is no going on.
        if path and file.exists() and file.read_bytes() == text.encode():
            return
        if self._folder.exists():
            _LOGGER.info("%s is of another job and begins anew", self._folder)
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True)
        with files.replacing(file) as part:
            part.write_text(text)

    def _segment_of(self, begin: int) -> Path:
        suffix = self._path.suffix.lower() if self._kind else ""
        return self._folder / f"{begin:06d}{suffix}"

    def _part_of(self, begin: int) -> Path:
        name = self._segment_of(begin).name
        return self._folder / f"unfinished-{name}"

    def _complete(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield what is stored beside every segment that is complete, in order."""
        begin = 0
        while (file := self._folder / f"{begin:06d}.npz").exists():
            try:
                arrays = _stored(file)
            # Damage leads the readers of zips and arrays to errors of all kinds.
            except Exception:
                _LOGGER.info("%s is damaged; from its frames on all are made anew", file)
                return
            begin += len(arrays["pts"])
            yield arrays

    def _end_segment(self, state: Mapping[str, np.ndarray]) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
            files.put_in_place(self._part_of(self._begin), self._segment_of(self._begin))
        # The last of its files: where it is, the segment is complete.
        with files.replacing(self._folder / f"{self._begin:06d}.npz") as part:
            arrays: dict[str, Any] = {"pts": np.array(self._pts, np.int64), **state}
            np.savez(part, **arrays)
        self._begin += len(self._pts)
        self._pts = []

    def _abandon(self) -> None:
        if self._encoder is not None:
            with contextlib.suppress(OSError, FFmpegError):
                self._encoder.close()
            self._encoder = None
            self._part_of(self._begin).unlink(missing_ok=True)

    def join(self) -> None:
        """Make one video of all segments; the end of the block puts it in place.

        With several writers of one source, all are joined first: if there is no room for
        the last, the others keep their segments, too.

        Raises:
            UserError: no frame was written, or the disk is full.
        """
        if self._joined:
            return
        with self._no_room():
            if self._pts:
                self._end_segment({})
            pts = [int(value) for stored in self._complete() for value in stored["pts"]]
            if not pts:
                raise UserError(f"no frame was written, so there is no {self._path}")
            if self._kind is None:
                base = self._source.time_base
                seconds = [f"{float(value * base):.6f}\n" for value in pts]
                with files.replacing(self._folder / "times.txt") as part:
                    part.write_text("".join(seconds))
            else:
                self._join(self._joined_file, pts, self._kind)
        self._joined = True

    @property
    def _joined_file(self) -> Path:
        return self._folder / f"joined{self._path.suffix.lower()}"

    def _put_in_place(self) -> None:
        if self._kind is not None:
            files.put_in_place(self._joined_file, self._path)
            shutil.rmtree(self._folder)
            return
        if self._path.exists():
            self._path.rmdir()
        os.replace(self._folder, self._path)
        for file in [*self._path.glob("*.npz"), self._path / "job.json"]:
            file.unlink()

    def _join(self, path: Path, pts: list[int], kind: _Kind) -> None:
        """Copy the packets of all segments, and the sound, into one file."""
        base = self._source.time_base
        # QuickTime's start is a multiple of this scale, by default of 1 ms.
        scale = (
            {} if kind.sound == "libopus" else {"movie_timescale": str(base.denominator)}
        )
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(
                av.open(str(path.absolute()), "w", options=scale)
            )
            first = stack.enter_context(av.open(str(self._segment_of(0).absolute())))
            video = output.add_stream_from_template(first.streams.video[0], opaque=True)
            video.time_base = base
            video.codec_context.sample_aspect_ratio = self._source.pixel_aspect
            if self._alpha:
                video.metadata["alpha_mode"] = "1"
            tracks = [self._video_packets(video, pts, base)]
            if self._source.path and self._source.has_sound:
                source = stack.enter_context(open_video(self._source.path))
                tracks.append(_sound_packets(output, source, kind))
            # In the order of their times; the muxer would keep the others in memory.
            for _, packet in heapq.merge(*tracks, key=lambda item: item[0]):
                output.mux(packet)

    def _video_packets(
        self, stream: VideoStream, pts: list[int], base: Fraction
    ) -> Iterator[tuple[Fraction, Packet]]:
        last = pts[-1] - pts[-2] if len(pts) > 1 else round(1 / self._source.rate / base)
        durations = [*np.diff(pts).tolist(), last]
        index = 0
        while index < len(pts):
            with av.open(str(self._segment_of(index).absolute())) as segment:
                for packet in segment.demux(segment.streams.video[0]):
                    if packet.size == 0:  # The end.
                        continue
                    packet.stream, packet.time_base = stream, base
                    packet.pts = packet.dts = pts[index]
                    packet.duration = durations[index]
                    yield pts[index] * base, packet
                    index += 1

    @contextlib.contextmanager
    def _no_room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self._abandon()
            what = "no room is left for" if error.errno in _FULL else "cannot write"
            raise UserError(
                f"{what} {self._path} ({error.strerror}); free some, or mend the folder, "
                f"and begin again: {self._folder} keeps the frames before {self._begin}"
            ) from error


class _Encoder:
    """Encodes a segment into a file of its own; its times count from its first frame."""

    def __init__(self, path: Path, kind: _Kind, source: VideoReader, alpha: bool):
        self._base, self._even = source.time_base, kind.even
        self._format = kind.transparent if alpha and kind.transparent else kind.opaque
        self._container = av.open(str(path.absolute()), "w")
        stream = self._container.add_stream(
            _codec_of(kind), rate=source.rate, options=dict(kind.options)
        )
        self._stream = cast("VideoStream", stream)
        self._aspect, self._colours = source.pixel_aspect, source.colours
        self._first: int | None = None

    def add(self, image: np.ndarray, pts: int) -> None:
        height, width = image.shape[:2]
        if self._even and (height % 2 or width % 2):
            image = cv2.copyMakeBorder(
                image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE
            )
        names = {1: "gray", 3: "rgb24", 4: "rgba"}
        name = names[image.shape[2] if image.ndim == 3 else 1]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), name).reformat(
            format=self._format, dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        if self._first is None:
            self._first = pts
            self._begin(frame.width, frame.height)
        frame.pts, frame.time_base = pts - self._first, self._base
        self._container.mux(self._stream.encode(frame))

    def _begin(self, width: int, height: int) -> None:
        context = self._stream.codec_context
        context.width, context.height = width, height
        context.pix_fmt = self._format
        context.time_base = self._stream.time_base = self._base
        context.sample_aspect_ratio = self._aspect
        context.colorspace, context.color_range = _BT709, _LIMITED_RANGE
        primaries, transfer = self._colours
        context.color_primaries = _BT709 if primaries == _UNSPECIFIED else primaries
        context.color_trc = _BT709 if transfer == _UNSPECIFIED else transfer

    def close(self) -> None:
        try:
            if self._first is not None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def _kind_of(path: Path, alpha: bool) -> _Kind | None:
    """Return how a file is written; `None` for a folder."""
    # A dot inside of a name is no suffix: clip.1_cutout.
    if not re.fullmatch(r"\.\w{1,5}", path.suffix):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise UserError(
                f"{path} exists and is not an empty folder; give another name, or one "
                f"that ends in {', '.join(_KINDS)} for a video"
            )
        return None
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            f"a video cannot be written as {path}; give a name that ends in "
            f"{', '.join(_KINDS)}, or in nothing for a folder of PNGs"
        )
    if alpha and kind.transparent is None:
        others = [suffix for suffix, other in _KINDS.items() if other.transparent]
        raise UserError(
            f"{path} cannot hold transparency; give a name that ends in "
            f"{', '.join(others)}, or in nothing for a folder of PNGs"
        )
    _codec_of(kind)
    return kind


def _codec_of(kind: _Kind) -> str:
    for name in kind.codecs:
        if name in av.codecs_available:
            return name
    raise UserError(
        f"this build of PyAV, {av.__version__}, has none of the encoders "
        f"{', '.join(kind.codecs)}; install its wheel with `pip install av`"
    )


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _write_png(path: Path, image: np.ndarray) -> None:
    if image.ndim == 3:
        code = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
        image = cv2.cvtColor(image, code)
    _, data = cv2.imencode(".png", image)
    path.write_bytes(data.tobytes())


def _sound_packets(
    output: OutputContainer, source: InputContainer, kind: _Kind
) -> Iterator[tuple[Fraction, Packet]]:
    """Add a stream of sound now; yield its packets, encoded anew only if they must be."""
    sound = source.streams.audio[0]
    packets: Iterator[Packet] = source.demux(sound)
    if sound.codec_context.name in kind.sounds:
        stream = output.add_stream_from_template(sound)
    else:
        stream = cast("AudioStream", output.add_stream(kind.sound, rate=48000))
        stream.layout = "mono" if sound.channels == 1 else "stereo"
        packets = _encoded(packets, stream)
    return _timed(packets, stream)


def _timed(
    packets: Iterator[Packet], stream: AudioStream
) -> Iterator[tuple[Fraction, Packet]]:
    try:
        for packet in packets:
            packet.stream = stream
            if packet.dts is not None:  # The packet that marks the end has none.
                yield packet.dts * packet.time_base, packet
    except FFmpegError as error:
        _LOGGER.warning("the sound is damaged and ends early: %s", error.strerror)


def _encoded(packets: Iterator[Packet], stream: AudioStream) -> Iterator[Packet]:
    for packet in packets:
        frames = []
        # A damaged piece is silent.
        with contextlib.suppress(FFmpegError):
            frames = packet.decode()
        for frame in frames:
            yield from stream.encode(frame)
    yield from stream.encode(None)
