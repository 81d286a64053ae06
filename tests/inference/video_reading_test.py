"""Videos as phones and cameras write them, whole and damaged."""

import logging
import wave
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from keras_depthseg.errors import UserError
from keras_depthseg.inference.video_reading import VideoReader, is_video, plate_of
from tests.support.videos import decoded, pictures, write_video


def differs(image, expected):
    """The mean difference in levels: compression alone gives about 2."""
    return np.abs(image.astype(int) - expected).mean()


@pytest.fixture(name="video")
def _video(tmp_path):
    return write_video(tmp_path / "v.mp4", pictures(40), options={"g": "12"})


def test_figures_of_the_file(tmp_path):
    path = write_video(tmp_path / "v.mp4", pictures(31), sound="aac")
    with VideoReader(path) as reader:
        assert reader.size == (64, 48)
        assert reader.rate == 30
        assert reader.frames == 31
        assert reader.time_base == Fraction(1, 15360)
        assert reader.has_sound
    assert not VideoReader(write_video(tmp_path / "s.mp4", pictures(3))).has_sound


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_are_upright(tmp_path, turns, mirrored):
    images = pictures(3)
    path = write_video(tmp_path / "v.mp4", images, rotation=(90 * turns, mirrored))
    expected = np.rot90(images[1], turns)
    expected = expected[:, ::-1] if mirrored else expected
    with VideoReader(path) as reader:
        frames = list(reader)
        assert reader.size == expected.shape[1::-1]
    assert frames[1].image.flags.c_contiguous
    assert differs(frames[1].image, expected) < 8
    assert differs(frames[1].image, expected[::-1]) > 30


def test_times_of_a_variable_rate(tmp_path):
    pts = [700, 1300, 2600, 2900, 5000]
    with VideoReader(write_video(tmp_path / "v.mp4", pictures(5), pts)) as reader:
        assert [frame.pts for frame in reader] == pts
        assert [frame.index for frame in reader] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("start", [0, 1, 12, 29, 40])
def test_starts_at_any_frame(video, start):
    with VideoReader(video) as reader:
        every = list(reader)
        rest = list(reader.read(start))
    assert [frame.index for frame in rest] == list(range(start, 40))
    for frame, expected in zip(rest, every[start:], strict=True):
        assert frame.pts == expected.pts
        np.testing.assert_array_equal(frame.image, expected.image)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("v.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}),
        ("v.mkv", "libvpx-vp9", "yuv420p", {}),
        ("v.mov", "prores_ks", "yuv422p10le", {}),
        ("v.avi", "mjpeg", "yuvj420p", {}),
    ],
)
def test_other_codecs_and_odd_sides(tmp_path, name, codec, pixels, options):
    images = pictures(4, (64, 48) if codec == "libx265" else (63, 47))
    path = write_video(
        tmp_path / name, images, codec=codec, pixels=pixels, options=options
    )
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 4
    assert differs(frames[2].image, images[2]) < 12


def test_colours_follow_the_tags(tmp_path):
    red = np.full((2, 48, 64, 3), (200, 20, 30), np.uint8)
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 64, 48
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 2
        for image in red:
            frame = av.VideoFrame.from_ndarray(image)
            frame = frame.reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="JPEG"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert differs(next(iter(VideoReader(path))).image, red[0]) < 3


def test_end_cut_off(tmp_path, caplog):
    # The index is at the front, as in what is made for the web.
    front = {"movflags": "faststart"}
    whole = write_video(
        tmp_path / "v.mp4", pictures(60), options={"g": "6"}, container_options=front
    )
    _, expected = decoded(whole)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    with VideoReader(cut) as reader:
        assert reader.frames == 60
        frames = list(reader)
    assert 10 < len(frames) < 60
    for frame in frames[:-2]:
        assert differs(frame.image, expected[frame.index, ..., :3]) == 0
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    number = int(record.getMessage().split("damaged at frame ")[1].split(";")[0])
    assert abs(number - len(frames)) <= 4


def test_end_missing_without_a_trace(tmp_path, caplog):
    whole = write_video(tmp_path / "v.mkv", pictures(60))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(cut) as reader:
        count = len(list(reader))
    assert 5 < count < 45
    assert f"ends after frame {count - 1}" in caplog.text
    assert "of the 2.0 s" in caplog.text


def test_no_warning_of_whole_videos(tmp_path, caplog):
    # It begins two hours late, as one that a camera cut in pieces.
    pts = [7_200_000 + 33 * index for index in range(40)]
    late = write_video(tmp_path / "v.mkv", pictures(40), pts, Fraction(1, 1000))
    assert [frame.pts for frame in VideoReader(late)] == pts
    assert differs(plate_of(late, samples=9), np.median(pictures(40), axis=0)) < 40
    # Its first half second is hidden, as after a phone's trimming.
    whole = write_video(tmp_path / "v.mp4", pictures(60), options={"bf": "0"})
    options = {"movie_timescale": "15360"}
    with (
        av.open(str(whole)) as source,
        av.open(str(tmp_path / "trimmed.mp4"), "w", options=options) as trimmed,
    ):
        stream = trimmed.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts -= 15 * 512
                packet.dts -= 15 * 512
                packet.stream = stream
                trimmed.mux(packet)
    with VideoReader(tmp_path / "trimmed.mp4") as reader:
        assert [frame.pts for frame in reader] == [512 * index for index in range(45)]
    assert not caplog.records


def test_damage_in_the_middle(tmp_path, caplog):
    images = pictures(60)
    path = write_video(tmp_path / "v.mp4", images, options={"g": "10", "bf": "0"})
    times, expected = decoded(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    # x264 writes other bytes in one run of thirty; half as much noise may then fall on
    # what decoders do not miss.
    noise = np.random.default_rng(0).integers(0, 256, 400, np.uint8)
    data[middle : middle + 400] = noise.tobytes()
    path.write_bytes(data)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert 30 < len(frames) <= 60
    number = int(caplog.text.split("damaged at frame ")[1].split(";")[0])
    assert len(caplog.records) == 1
    for frame in frames[: number - 6]:
        assert differs(frame.image, expected[frame.index, ..., :3]) == 0
    # Later frames keep their times, and the next key frame mends the image.
    last = frames[-1]
    assert last.pts * reader.time_base == times[-1]
    assert differs(last.image, expected[-1, ..., :3]) == 0


def test_what_is_no_video_is_refused_in_a_line(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("a text " * 100)
    # The index, which comes last, is lost: phones leave such files when they run out.
    whole = write_video(tmp_path / "v.mp4", pictures(20)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    reasons = {
        "empty.mp4": "is empty",
        "text.mp4": "is not a video",
        "cut.mp4": "cut off",
        "sound.wav": "holds no video",
        "missing.mp4": "No such file",
        ".": "directory",
    }
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=reason) as caught:
            VideoReader(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_titles_that_are_no_text(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a title of some length"
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in pictures(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"a title of" in data
    path.write_bytes(data.replace(b"a title of", b"\xff\xfe\xa1 le of"))
    assert len(list(VideoReader(path))) == 3


def test_beginning_alone(tmp_path):
    for name in ("a.mkv", "a.webm", "a.mp4", "a.avi"):
        codec = "libvpx-vp9" if name == "a.webm" else "mpeg4"
        whole = write_video(tmp_path / name, pictures(3), codec=codec).read_bytes()
        for length in (1, 8, 40, 200, 400):
            (tmp_path / f"cut-{name}").write_bytes(whole[:length])
            with pytest.raises(UserError, match="cut-"):
                VideoReader(tmp_path / f"cut-{name}")


def test_no_camera():
    with pytest.raises(UserError, match="no camera 99"):
        VideoReader(99)


def test_camera(tmp_path, monkeypatch):
    """A file stands for the camera: OpenCV reads both by the same calls."""
    images = pictures(12)
    path = str(write_video(tmp_path / "v.mp4", images))
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: capture(path))
    with VideoReader(0) as camera:
        frames = list(camera)
    assert camera.size == (64, 48) and camera.frames is None and not camera.has_sound
    # The first picture is taken to see whether there is a camera.
    assert [frame.index for frame in frames] == list(range(11))
    assert differs(frames[0].image, images[1]) < 8
    assert (np.diff([frame.pts for frame in frames]) > 0).all()


def test_suffixes():
    assert is_video("a/VID_1.MP4") and is_video("b.mov") and is_video("c.webm")
    assert not is_video("a.png") and not is_video("mp4") and not is_video("a.mp4.jpg")


def crowd(count, covered, noise=2.0):
    """Pictures of a still scene of which so large a share is covered, each time anew."""
    rng = np.random.default_rng(0)
    plate = pictures(1, seed=5)[0]
    images = np.repeat(plate[None], count, 0).astype(float)
    places = rng.random((count, 6, 8)) < covered
    blocks = rng.integers(0, 256, (count, 6, 8, 3))
    blocks, places = (x.repeat(8, 1).repeat(8, 2) for x in (blocks, places))
    images[places] = blocks[places]
    images += rng.normal(0, noise, images.shape)
    return plate, np.clip(images, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("covered", [0.0, 0.3, 0.6])
def test_plate_of_a_crowd(tmp_path, covered):
    plate, images = crowd(48, covered)
    path = write_video(
        tmp_path / "v.mkv", images, codec="ffv1", pixels="bgr0", base=Fraction(1, 30)
    )
    made = plate_of(path)
    wrong = np.abs(made.astype(int) - plate).max(-1) > 12
    assert wrong.mean() < 0.02
    assert made.dtype == np.uint8
    # A plain median leaves a good part of the crowd.
    if covered == 0.6:
        median = np.median(images, axis=0)
        assert (np.abs(median - plate).max(-1) > 12).mean() > 0.15


def test_plate_looks_at_the_whole_of_a_long_video(tmp_path):
    # Ten minutes, of whose 40 pictures the first ten show another scene.
    images = np.concatenate([pictures(1, seed=1)] * 10 + [pictures(1, seed=2)] * 30)
    pts = [15 * 15360 * index for index in range(40)]
    path = write_video(tmp_path / "v.mp4", images, pts, options={"g": "4"})
    assert differs(plate_of(path, samples=20), pictures(1, seed=2)[0]) < 6


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile v.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nv.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        '<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet mimeType='
        '"video/mp4"><Representation id="1" bandwidth="1"><BaseURL>v.mp4</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
    ],
    ids=["concat", "hls", "sdp", "dash"],
)
def test_lists_of_other_files_are_refused(tmp_path, video, text):
    for suffix in (".mp4", ".ts", ".mkv"):
        path = video.with_name(f"list{suffix}")
        path.write_text(text)
        with pytest.raises(UserError, match="is not a video, or .* a list of others"):
            VideoReader(path)


def test_frames_that_are_too_large(tmp_path):
    path = write_video(tmp_path / "v.mp4", pictures(3))
    with VideoReader(path, most_pixels=64 * 48) as reader:
        assert len(list(reader)) == 3
    with pytest.raises(UserError, match="frames of 64x48 pixels; at most 3,000 pixels"):
        VideoReader(path, most_pixels=3000)


def test_frames_that_are_larger_than_the_file_says(tmp_path):
    # Of a JPEG the decoder believes its own header.
    path = write_video(
        tmp_path / "v.avi", pictures(3), None, Fraction(1, 30), "mjpeg", "yuvj420p"
    )
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xc0\x00\x11\x08")
    while start >= 0:
        data[start + 5 : start + 9] = (9000).to_bytes(2, "big") * 2
        start = data.find(b"\xff\xc0\x00\x11\x08", start + 1)
    path.write_bytes(data)
    with pytest.raises(UserError, match="no frame that can be decoded"):
        VideoReader(path)
