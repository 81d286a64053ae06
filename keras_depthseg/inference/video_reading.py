"""Read the frames of a video file or a camera, upright and in order."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.error import ArgumentError, FFmpegError, InvalidDataError

from keras_depthseg.errors import UserError
from keras_depthseg.text import reason

if TYPE_CHECKING:
    from av.container import InputContainer

_LOGGER = logging.getLogger(__name__)

_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg")
    + (".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv")
)
# FFmpeg's names of what is one recording, with or without a picture. Others are lists of
# files and addresses, which it would open, whatever the suffix says.
_CONTAINERS = (
    "mov,mp4,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,mxf,ogg,asf,gif,ivf,nut,dv,h264,"
    "hevc,m4v,mjpeg,obu,yuv4mpegpipe,vc1,wav,mp3,flac,aac"
)
MOST_PIXELS = 2**26
"""Of a frame: 8K has half of them. As an array it takes 200 MB."""

_MILLISECOND = Fraction(1, 1000)
# AVCOL_SPC_UNSPECIFIED. swscale would take BT.601; of videos in HD it is nearly always
# BT.709.
_UNKNOWN_COLOURS, _HD_HEIGHT = 2, 720
# A video that is shorter than its container says by more has lost its end.
_MISSING_SECONDS = 0.5

# Seeking costs decoding from the key frame before, which lies up to about 10 s back.
_WORTH_SEEKING = 10.0
# Bytes of the frames from which a plate is made: 48 frames of 1080p, 24 of 4K.
_PLATE_BYTES = 600_000_000
# Of a pixel's values the densest share counts as the background's, and all within so
# many levels of its middle. In a crowd that covers 52 % of the values, 2.7 % of the
# pixels are wrong by more than 12 levels; with the median, 35 %. Alike where the median
# is right.
_DENSEST, _LEVELS = 0.3, 15
_STRIP = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a video.

    Attributes:
        index: from 0, of the frames that could be decoded.
        pts: when it is shown, in units of the reader's `time_base`; each greater than
            that before.
        image: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    pts: int
    image: np.ndarray


def is_video(path: str | Path) -> bool:
    """Return whether the suffix of a file is that of a video."""
    return Path(path).suffix.lower() in _SUFFIXES


class VideoReader:
    """A video: its figures, and its frames one after the other.

    A context manager, which closes the camera. Frames are turned and mirrored as the
    file's display matrix says. Ten bits become eight; the brightness of HDR is not
    converted, interlaced frames are not separated.

    Args:
        source: a file, or the number of a camera from 0.
        most_pixels: a file with larger frames is refused before one is decoded.

    Attributes:
        path: the file, `None` for a camera.
        size: (W, H) of the frames.
        rate: frames a second, on average.
        frames: their number as the container states it; `None` where it does not.
        time_base: the seconds of which `pts` is a multiple.
        colours: the primaries and the transfer function, as numbers of H.273, for the
            writer.
        pixel_aspect: width over height of a pixel; 1 but for anamorphic videos.
        has_sound: whether there is a track of sound.

    Raises:
        UserError: there is no such file or camera, or it is not a video.
    """

    def __init__(self, source: str | Path | int, most_pixels: int = MOST_PIXELS):
        self._camera = None
        self._most_pixels = most_pixels
        if isinstance(source, int):
            self._open_camera(source)
        else:
            self._open_file(Path(source))

    def _open_file(self, path: Path) -> None:
        self.path = path
        with open_video(path, self._most_pixels) as container:
            stream = container.streams.video[0]
            first = next(_decoded(container), None)
            if first is None:
                raise UserError(
                    f"{path} holds no frame that can be decoded; give a file that plays"
                )
            self.time_base = stream.time_base or _MILLISECOND
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.frames = stream.frames or None
            self.has_sound = bool(container.streams.audio)
            self.colours = (first.color_primaries, first.color_trc)
            self._stored_size = (first.width, first.height)
            # Of the first frame alone: one that is asked for it refers to itself, and
            # hundreds would wait for the garbage collector (690 MB at 1080p).
            matrix = first.side_data.get("DISPLAYMATRIX")
            self._matrix = matrix and np.frombuffer(bytes(matrix), np.int32)
            self.size = self.image_of(first).shape[1::-1]
            aspect = stream.sample_aspect_ratio or Fraction(1)
            turned = self.size != self._stored_size
            self.pixel_aspect = 1 / aspect if turned else aspect

    def _open_camera(self, number: int) -> None:
        self.path = None
        # OpenCV would write lines of its own about a camera that is not there.
        level = cv2.utils.logging.setLogLevel(0)
        self._camera = cv2.VideoCapture(number)
        cv2.utils.logging.setLogLevel(level)
        shown, image = self._camera.read()
        if not shown:
            self._camera.release()
            raise UserError(
                f"no camera {number}: none is connected under this number, or another "
                "program uses it; give another number or a file"
            )
        self.size = image.shape[1::-1]
        self.rate = Fraction(self._camera.get(cv2.CAP_PROP_FPS) or 30).limit_denominator(
            1001
        )
        self.frames, self.has_sound = None, False
        self.time_base, self.pixel_aspect = _MILLISECOND, Fraction(1)
        self.colours = (_UNKNOWN_COLOURS, _UNKNOWN_COLOURS)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._camera is not None:
            self._camera.release()

    def __iter__(self) -> Iterator[Frame]:
        return self.read()

    def read(self, start: int = 0) -> Iterator[Frame]:
        """Yield the frames from number `start` on.

        Those before are decoded and dropped, which is exact in damaged files too; it is
        many times faster than to predict them. What is damaged is left out, with a
        warning; later frames keep their time.

        Raises:
            UserError: the colours of a frame cannot be converted.
        """
        if self.path is None:
            yield from self._read_camera()
            return
        last = None
        with open_video(self.path, self._most_pixels) as container:
            for index, frame in enumerate(_decoded(container, self.path)):
                pts = frame.pts
                if pts is None:  # As in a raw stream.
                    pts = round(index / self.rate / self.time_base)
                # Writers refuse two frames at one time, which broken recorders make.
                last = pts if last is None else max(pts, last + 1)
                if index >= start:
                    yield Frame(index, last, self.image_of(frame))

    def _read_camera(self) -> Iterator[Frame]:
        begin = time.monotonic()
        index, last = 0, -1
        while self._camera is not None:
            shown, image = self._camera.read()
            if not shown:
                return
            last = max(round((time.monotonic() - begin) * 1000), last + 1)
            yield Frame(index, last, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            index += 1

    def image_of(self, frame: av.VideoFrame) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB as a player shows a frame of the file.

        Raises:
            UserError: FFmpeg cannot convert its colours.
        """
        # Some recordings change their size on the way: the first frame's is kept.
        try:
            image = _rgb(frame, self._stored_size)
        except FFmpegError as error:
            raise UserError(
                f"{self.path} has frames of colours that FFmpeg cannot convert "
                f"({frame.format.name}: {reason(error)}); give a file that plays"
            ) from error
        return image if self._matrix is None else _upright(image, self._matrix)


def open_video(path: Path, most_pixels: int = MOST_PIXELS) -> InputContainer:
    """Open a file that has a video in it.

    Raises:
        UserError: it has none, cannot be read, or has larger frames.
    """
    try:
        if not path.stat().st_size:
            raise UserError(f"{path} is empty; give a file that plays")
        container = av.open(
            str(path.absolute()),
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            # Titles and the like may be of any encoding.
            metadata_errors="replace",
        )
    # The last is of what is not in `_CONTAINERS`.
    except (InvalidDataError, EOFError, ArgumentError) as error:
        raise UserError(
            f"{path} is not a video, or one whose recording was cut off, or a list of "
            "others: FFmpeg finds no frames in it; give a file that plays"
        ) from error
    except (FFmpegError, OSError) as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not container.streams.video:
        container.close()
        raise UserError(
            f"{path} holds no video, it is {container.format.long_name}; give a video"
        )
    stream = container.streams.video[0]
    context: Any = stream.codec_context
    if context is None:
        container.close()
        raise UserError(
            f"{path} holds a video of a kind that FFmpeg does not decode; give a file "
            "that plays"
        )
    width, height = context.width, context.height
    if width * height > most_pixels:
        container.close()
        raise UserError(
            f"{path}: received frames of {width}x{height} pixels; at most "
            f"{most_pixels:,} pixels are accepted. Make it smaller."
        )
    # A later frame may be larger.
    context.options = {"max_pixels": str(most_pixels)}
    # By default one core decodes.
    stream.thread_type = "AUTO"
    return container


def _decoded(
    container: InputContainer, warned: Path | None = None
) -> Iterator[av.VideoFrame]:
    """Yield the frames that can be decoded; warn once, by the path, of damage."""
    stream = container.streams.video[0]
    packets = container.demux(stream)
    number, damaged, end = 0, False, None
    while True:
        frames = []
        try:
            packet = next(packets)
            broken = packet.is_corrupt
            frames = packet.decode()
            # What a decoder guesses, it marks.
            broken |= any(frame.is_corrupt for frame in frames)
        except (StopIteration, EOFError):
            break
        except (FFmpegError, OSError):
            broken = True
        if broken and not damaged and warned:
            _LOGGER.warning(
                "%s is damaged at frame %d; what cannot be decoded is left out",
                warned,
                number,
            )
        damaged |= broken
        for frame in frames:
            number += 1
            if frame.pts is not None and stream.time_base:
                end = float((frame.pts + (frame.duration or 0)) * stream.time_base)
            yield frame
    stated = _stated_end(container)
    missing = end and stated and stated - end > _MISSING_SECONDS
    if missing and not damaged and warned:
        _LOGGER.warning(
            "%s ends after frame %d, at %.1f s of the %.1f s it states: its end is "
            "missing",
            warned,
            number - 1,
            end,
            stated,
        )


def _stated_end(container: InputContainer) -> float | None:
    """Return the second at which the video should end, `None` if it is not stated."""
    stream = container.streams.video[0]
    whole = None
    if container.duration:
        # Matroska's is the time of the end.
        matroska = "matroska" in container.format.name
        start = 0 if matroska else container.start_time or 0
        whole = (container.duration + start) / 1e6
    if stream.duration is None or stream.time_base is None:
        # The sound may be longer than the video.
        return None if container.streams.audio else whole
    own = float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    return min(own, whole) if whole else own


def _rgb(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """Return a frame as (H, W, 3) uint8 RGB of a size (W, H), as it is stored."""
    hd = frame.colorspace == _UNKNOWN_COLOURS and min(size) >= _HD_HEIGHT
    return frame.to_ndarray(
        format="rgb24",
        width=size[0],
        height=size[1],
        src_colorspace="ITU709" if hd else None,
    )


def _upright(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return an image as its display matrix, nine integers, says."""
    # x, y are shown at (a x + c y, b x + d y), in 65536ths.
    (a, b), (c, d) = matrix.reshape(3, 3)[:2, :2]
    if abs(b) > abs(a):
        image = image.swapaxes(0, 1)
        a, d = c, b
    image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def plate_of(path: str | Path, samples: int = 48) -> np.ndarray:
    """Return a plate made from a video of a camera that stands still.

    Of every pixel the values in frames spread over the whole video are compared: the
    plate is the median of those about the value that is met most often. What moves
    disappears, even where the background is seen in a third of the frames only; what
    stands at one place for longer than the background is seen there remains.

    Args:
        path: a video file.
        samples: how many frames are compared; of frames larger than 1080p fewer, so
            that 600 MB hold them.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: it is not a video.
    """
    images = list(_spread(Path(path), samples))
    plate = np.empty_like(images[0])
    for top in range(0, len(plate), _STRIP):
        rows = slice(top, top + _STRIP)
        plate[rows] = _most_frequent(np.stack([image[rows] for image in images]))
    return plate


def _spread(path: Path, samples: int) -> Iterator[np.ndarray]:
    """Yield the images of frames spread over a video."""
    with VideoReader(path) as reader, open_video(path) as container:
        stream = container.streams.video[0]
        width, height = reader.size
        samples = max(1, min(samples, _PLATE_BYTES // (width * height * 3)))
        begin = (container.start_time or 0) / 1e6
        end = _stated_end(container) or _last_time(path)
        frames = _decoded(container)
        position = -float("inf")
        for target in np.linspace(begin, end, samples, endpoint=False):
            if target - max(position, begin) > _WORTH_SEEKING:
                container.seek(round(target / reader.time_base), stream=stream)
                frames = _decoded(container)
            # In a video of few frames one may stand for several.
            while position < target:
                frame = next(frames, None)
                if frame is None:
                    return
                position = float((frame.pts or 0) * reader.time_base)
                if position >= target:
                    yield reader.image_of(frame)


def _last_time(path: Path) -> float:
    """Return when the last frame is shown, in seconds, of a file that does not say."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        times = [packet.pts for packet in container.demux(stream) if packet.pts]
        return float(max(times, default=0) * (stream.time_base or _MILLISECOND))


def _most_frequent(images: np.ndarray) -> np.ndarray:
    """Return (H, W, 3): of (N, H, W, 3) uint8 the median of the most frequent colours."""
    sums = images.sum(-1, dtype=np.int16)
    ordered = np.sort(sums, axis=0)
    count = max(1, round(_DENSEST * len(images)))
    # The shortest interval that holds so many of the values.
    widths = ordered[count - 1 :] - ordered[: len(images) - count + 1]
    middle = np.take_along_axis(ordered, widths.argmin(0)[None] + count // 2, 0)
    near = np.abs(sums - middle) <= 3 * _LEVELS
    # What is not near is sorted behind all that is.
    colours = np.sort(np.where(near[..., None], images, np.uint8(255)), axis=0)
    half = (near.sum(0) - 1) // 2
    index = np.broadcast_to(half[None, ..., None], (1, *images.shape[1:]))
    return np.take_along_axis(colours, index, 0)[0]
