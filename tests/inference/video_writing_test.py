"""What is written has every frame, its time, its transparency and the sound."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from keras_depthseg.errors import UserError
from keras_depthseg.inference.video_reading import VideoReader
from keras_depthseg.inference.video_writing import VideoWriter
from tests.support.videos import (
    decoded,
    heard,
    pictures,
    sound_packets,
    write_video,
)

PACKAGE = Path(__file__).parent.parent.parent / "keras_depthseg"
RATES = np.random.default_rng(0).integers(200, 1500, 25).cumsum().tolist()


def rgba(image):
    """RGBA: opaque at the left, a strip of 100, else transparent."""
    alpha = np.zeros(image.shape[:2], np.uint8)
    alpha[:, : image.shape[1] // 2] = 255
    alpha[:12] = 100
    return np.dstack([image, alpha])


def copy(source, path, make=lambda image: image, stop=None, **arguments):
    """Write a video's frames, from where a writer was; return where that was.

    Args:
        make: the image of a frame.
        stop: the number of the frame at which the process would be killed.
    """
    reader = VideoReader(source)
    writer = VideoWriter(path, reader.size, reader, **{"segment": 10, **arguments})
    if stop is None:
        with writer:
            for frame in reader.read(writer.done):
                state = {"last": np.full(3, frame.index)}
                writer.write(frame, make(frame.image), state)
        return writer
    for frame in reader.read(writer.done):
        if frame.index == stop:
            return writer
        writer.write(frame, make(frame.image), {"last": np.full(3, frame.index)})
    raise AssertionError("it was not stopped")


@pytest.fixture(name="source", scope="module")
def _source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "v.mp4"
    return write_video(path, pictures(25), RATES, sound="aac")


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
def test_times_and_images_are_kept(source, tmp_path, name):
    times, images = decoded(source)
    copy(source, tmp_path / name)
    written_times, written = decoded(tmp_path / name)
    assert written_times == times
    assert np.abs(written.astype(int) - images).mean() < 6
    assert os.listdir(tmp_path) == [name]


def test_webm_has_milliseconds(source, tmp_path):
    times, images = decoded(source)
    copy(source, tmp_path / "out.webm")
    written_times, written = decoded(tmp_path / "out.webm")
    assert len(written_times) == len(times)
    assert np.abs(np.subtract(written_times, times).astype(float)).max() <= 0.0005
    assert np.abs(written.astype(int) - images).mean() < 8


def test_frames_last_as_long_as_they_did(source, tmp_path):
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
    lasts = [packet.duration * stream.time_base * 15360 for packet in packets]
    assert lasts[:-1] == np.diff(RATES).tolist()
    assert lasts[-1] == lasts[-2]


@pytest.mark.parametrize(
    ("name", "decoder"), [("out.webm", "libvpx-vp9"), ("out.mov", None)]
)
def test_transparency_comes_through(source, tmp_path, name, decoder):
    copy(source, tmp_path / name, rgba, alpha=True)
    times, written = decoded(tmp_path / name, decoder)
    assert len(times) == 25
    expected = np.stack([rgba(image[..., :3]) for image in decoded(source)[1]])
    assert np.abs(written[..., 3].astype(int) - expected[..., 3]).mean() < 2
    seen = expected[..., 3] > 0
    assert np.abs(written.astype(int) - expected)[seen].mean() < 6


def test_folder_of_pngs(source, tmp_path):
    copy(source, tmp_path / "out", rgba, alpha=True)
    times, images = decoded(source)
    names = sorted(os.listdir(tmp_path / "out"))
    assert names == [f"{index:06d}.png" for index in range(25)] + ["times.txt"]
    image = np.asarray(Image.open(tmp_path / "out/000007.png"))
    with VideoReader(source) as reader:
        np.testing.assert_array_equal(image, rgba(list(reader)[7].image))
    seconds = np.loadtxt(tmp_path / "out/times.txt")
    np.testing.assert_allclose(seconds, np.array(times, float), atol=1e-6)


def test_masks_of_one_channel(source, tmp_path):
    copy(source, tmp_path / "out.mp4", lambda image: image[..., 0])
    _, written = decoded(tmp_path / "out.mp4")
    with VideoReader(source) as reader:
        expected = next(iter(reader)).image[..., 0]
    assert np.abs(written[0, ..., :3].astype(int) - expected[..., None]).mean() < 3


def test_odd_sides_grow_by_one_pixel_in_mp4_alone(tmp_path):
    images = pictures(4, (63, 47))
    source = write_video(tmp_path / "v.mkv", images, codec="ffv1", pixels="bgr0")
    copy(source, tmp_path / "out.mp4")
    copy(source, tmp_path / "out.webm")
    copy(source, tmp_path / "out.mov")
    _, written = decoded(tmp_path / "out.mp4")
    assert written.shape == (4, 48, 64, 4)
    assert np.abs(written[:, :47, :63, :3].astype(int) - images).mean() < 8
    assert np.abs(written[:, :47, 63, :3].astype(int) - images[:, :, -1]).mean() < 8
    for name in ("out.webm", "out.mov"):
        assert decoded(tmp_path / name)[1].shape == (4, 47, 63, 4)


def test_colours_of_the_source_are_kept(tmp_path):
    red = np.full((3, 48, 64, 3), (200, 20, 30), np.uint8)
    source = write_video(tmp_path / "v.mkv", red, codec="ffv1", pixels="bgr0")
    for name in ("out.mp4", "out.webm", "out.mov"):
        copy(source, tmp_path / name)
        _, written = decoded(tmp_path / name)
        np.testing.assert_allclose(written[1, 20, 20, :3], red[0, 0, 0], atol=4)
        with av.open(str(tmp_path / name)) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range) == (1, 1), name


def test_pixels_that_are_not_square(tmp_path):
    source = tmp_path / "v.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for image in pictures(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    for name in ("out.mp4", "out.mov"):
        copy(source, tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_sound_is_copied(source, tmp_path):
    packets, times = sound_packets(source)
    for name in ("out.mp4", "out.mov"):
        copy(source, tmp_path / name)
        written, written_times = sound_packets(tmp_path / name)
        assert written == packets
        assert written_times == times


@pytest.mark.parametrize(
    ("name", "codec", "out", "expected"),
    [
        ("v.mkv", "libopus", "out.mp4", "aac"),
        ("v.mkv", "flac", "out.mov", "aac"),
        ("v.ts", "aac", "out.mp4", "aac"),
        ("v.mp4", "aac", "out.webm", "opus"),
        ("v.webm", "libopus", "out.webm", "opus"),
    ],
)
def test_sound_of_other_containers(tmp_path, name, codec, out, expected):
    video = "libvpx-vp9" if name == "v.webm" else "libx264"
    source = write_video(tmp_path / name, pictures(25), codec=video, sound=codec)
    _, before, rate = heard(source)
    copy(source, tmp_path / out)
    kind, after, new_rate = heard(tmp_path / out)
    assert kind == expected
    assert new_rate == 48000
    assert abs(len(after) / new_rate - len(before) / rate) < 0.05
    middle = after[len(after) // 4 : len(after) // 4 * 3]
    spectrum = np.abs(np.fft.rfft(middle))
    assert abs(spectrum.argmax() * new_rate / len(middle) - 440) < 5
    # The tone began with the images, and still does.
    with av.open(str(tmp_path / out)) as container:
        starts = [stream.start_time or 0 for stream in container.streams]
        bases = [stream.time_base for stream in container.streams]
    video_start, sound_start = (
        float(start * base) for start, base in zip(starts, bases, strict=True)
    )
    assert abs(video_start - sound_start) < 0.05


@pytest.mark.parametrize(
    ("name", "alpha", "decoder"),
    [
        ("out.mp4", False, None),
        ("out.webm", True, "libvpx-vp9"),
        ("out.mov", True, None),
    ],
)
@pytest.mark.parametrize("stop", [3, 17])
def test_resumed_is_as_if_never_killed(source, tmp_path, name, alpha, decoder, stop):
    make = rgba if alpha else lambda image: image
    copy(source, tmp_path / f"whole-{name}", make, alpha=alpha)
    path = tmp_path / name
    copy(source, path, make, alpha=alpha, stop=stop)
    assert not path.exists()
    writer = copy(source, path, make, alpha=alpha)
    assert writer.done == stop // 10 * 10
    if writer.done:
        np.testing.assert_array_equal(writer.state["last"], writer.done - 1)
    else:
        assert writer.state == {}
    times, images = decoded(path, decoder)
    whole_times, whole = decoded(tmp_path / f"whole-{name}", decoder)
    assert times == whole_times == decoded(tmp_path / f"whole-{name}")[0]
    np.testing.assert_array_equal(images, whole)
    if name == "out.mp4":
        assert sound_packets(path) == sound_packets(source)


def test_resumed_folder(source, tmp_path):
    copy(source, tmp_path / "whole")
    copy(source, tmp_path / "out", stop=14)
    assert copy(source, tmp_path / "out").done == 10
    for name in os.listdir(tmp_path / "whole"):
        whole, resumed = (tmp_path / part / name for part in ("whole", "out"))
        assert whole.read_bytes() == resumed.read_bytes()


def test_resumed_after_kill_9(source, tmp_path):
    script = """
        import os, signal, sys, types
        # Without TensorFlow, which `keras_depthseg` imports, in half a second.
        package = sys.modules["keras_depthseg"] = types.ModuleType("keras_depthseg")
        package.__path__ = [sys.argv[3]]
        from keras_depthseg.inference.video_reading import VideoReader
        from keras_depthseg.inference.video_writing import VideoWriter
        reader = VideoReader(sys.argv[1])
        with VideoWriter(sys.argv[2], reader.size, reader, segment=10) as writer:
            for frame in reader.read(writer.done):
                if frame.index == 23:
                    os.kill(os.getpid(), signal.SIGKILL)
                writer.write(frame, frame.image)
    """
    path = tmp_path / "out.mp4"
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), source, path, PACKAGE],
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert copy(source, path).done == 20
    copy(source, tmp_path / "whole.mp4")
    times, images = decoded(path)
    whole_times, whole = decoded(tmp_path / "whole.mp4")
    assert times == whole_times
    np.testing.assert_array_equal(images, whole)


@pytest.mark.parametrize(
    ("file", "damage", "done"),
    [
        ("000010.npz", lambda data: data[:-100], 10),
        ("000000.npz", lambda data: b"", 0),
        ("000010.npz", lambda data: data.replace(b"'shape'", b"'shape"), 10),
        ("000000.npz", lambda data: data.replace(b"pts.npy", b"xxx.npy"), 0),
        ("job.json", lambda data: b"\xff" + data, 0),
        ("job.json", lambda data: data[:-1], 0),
    ],
)
def test_damaged_notes_of_segments(source, tmp_path, file, damage, done):
    path = tmp_path / "out.mp4"
    copy(source, tmp_path / "whole.mp4")
    copy(source, path, stop=23)
    note = tmp_path / ".part-out.mp4" / file
    note.write_bytes(damage(note.read_bytes()))
    assert copy(source, path).done == done
    times, images = decoded(path)
    whole_times, whole = decoded(tmp_path / "whole.mp4")
    assert times == whole_times
    np.testing.assert_array_equal(images, whole)


def test_other_settings_or_another_source_begin_anew(source, tmp_path):
    path, own = tmp_path / "out.mp4", tmp_path / "v.mp4"
    own.write_bytes(source.read_bytes())
    copy(own, path, stop=15, settings={"threshold": 0.5})
    assert copy(own, path, stop=15, settings={"threshold": 0.5}).done == 10
    assert copy(own, path, stop=15, settings={"threshold": 0.6}).done == 0
    os.utime(own, ns=(1, 1))
    assert copy(own, path, stop=15, settings={"threshold": 0.6}).done == 0


def test_an_exception_keeps_the_segments(source, tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("what was there")
    reader = VideoReader(source)
    with (
        pytest.raises(KeyboardInterrupt),
        VideoWriter(path, reader.size, reader, segment=10) as writer,
    ):
        for frame in reader:
            if frame.index == 15:
                raise KeyboardInterrupt
            writer.write(frame, frame.image)
    assert path.read_text() == "what was there"
    kept = sorted(os.listdir(tmp_path / ".part-out.mp4"))
    assert kept == ["000000.mp4", "000000.npz", "job.json"]
    json.loads((tmp_path / ".part-out.mp4/job.json").read_text())


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out"])
def test_disk_full(source, tmp_path, name):
    """A limit on the size of files stands for the disk: the same calls fail."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        with pytest.raises(UserError, match="no room is left for") as caught:
            copy(source, tmp_path / name, lambda _: noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / name).exists()
    copy(source, tmp_path / name)
    assert (tmp_path / name).exists()


def test_what_cannot_be_written_is_refused(source, tmp_path):
    reader = VideoReader(source)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a").touch()
    cases = {
        ("out.mp4", True): "cannot hold transparency.*.webm, .mov",
        ("out.gif", False): "out.gif; give a name that ends in .mp4, .webm, .mov",
        ("full", False): "not an empty folder",
    }
    for (name, alpha), reason in cases.items():
        with pytest.raises(UserError, match=reason) as caught:
            VideoWriter(tmp_path / name, reader.size, reader, alpha)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["full"]


@pytest.mark.parametrize("shape", [(48, 63, 3), (48, 64, 4), (64, 48, 3)])
def test_images_of_another_shape_are_refused(source, tmp_path, shape):
    reader = VideoReader(source)
    frame = next(iter(reader))
    with (
        pytest.raises(UserError, match=r"`image` must be of `size` \(64, 48\)"),
        VideoWriter(tmp_path / "out.mp4", reader.size, reader) as writer,
    ):
        writer.write(frame, np.zeros(shape, np.uint8))


def test_a_camera_is_never_resumed(source, tmp_path, monkeypatch):
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: capture(str(source)))
    path = tmp_path / "out.mp4"
    copy(0, path, stop=15)
    writer = copy(0, path)
    assert writer.done == 0
    assert len(decoded(path)[0]) == 24


def test_no_frame_is_no_video(source, tmp_path):
    reader = VideoReader(source)
    with (
        pytest.raises(UserError, match="no frame was written"),
        VideoWriter(tmp_path / "out.mp4", reader.size, reader),
    ):
        pass
