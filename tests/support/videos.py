"""Tiny videos, written with PyAV alone."""

from fractions import Fraction

import av
import cv2
import numpy as np

MP4_BASE = Fraction(1, 15360)


def pictures(count, size=(64, 48), seed=0):
    """Return (count, H, W, 3) uint8: blocks of colour that go to the right."""
    width, height = size
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 220, (6, 8, 3), np.uint8)
    image = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
    return np.stack([np.roll(image, 2 * index, 1) for index in range(count)])


def write_video(
    path,
    images,
    pts=None,
    base=MP4_BASE,
    codec="libx264",
    pixels="yuv420p",
    sound=None,
    rotation=None,
    options=None,
    container_options=None,
):
    """Write images (N, H, W, 3) at `pts`, with a tone of 440 Hz if a codec is given."""
    pts = [512 * index for index in range(len(images))] if pts is None else pts
    # So that QuickTime keeps the time of the first frame.
    scale = {"movie_timescale": str(base.denominator)}
    scaled = str(path).endswith((".mp4", ".mov"))
    container_options = {**(scale if scaled else {}), **(container_options or {})}
    with av.open(str(path), "w", options=container_options) as container:
        video = container.add_stream(codec, rate=30, options=options or {})
        video.width, video.height = images.shape[2], images.shape[1]
        video.pix_fmt = pixels
        video.codec_context.time_base = base
        if rotation:
            video.set_display_rotation(*rotation)
        if sound:
            heard = container.add_stream(sound, rate=48000, layout="mono")
        for image, time in zip(images, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = time, base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound:
            count = int(48000 * float(pts[-1] * base))
            tone = 9000 * np.sin(np.arange(count) * (2 * np.pi * 440 / 48000))
            for begin in range(0, count - 960, 960):
                samples = tone[None, begin : begin + 960].astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples, layout="mono")
                frame.sample_rate, frame.pts = 48000, begin
                container.mux(heard.encode(frame))
            container.mux(heard.encode(None))
    return path


def decoded(path, decoder=None):
    """Return the times in seconds (Fraction) and RGBA images of a video, by PyAV alone.

    Args:
        decoder: `libvpx-vp9` is the one that decodes the alpha of VP9.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = av.codec.CodecContext.create(decoder, "r") if decoder else stream
        frames = [
            frame
            for packet in container.demux(stream)
            for frame in context.decode(packet)
        ]
        times = [frame.pts * stream.time_base for frame in frames]
    return times, np.stack([frame.to_ndarray(format="rgba") for frame in frames])


def heard(path):
    """Return the codec, the samples (N,) float32, and the rate, of a file's sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", "mono")
        samples = [
            part.to_ndarray()[0]
            for frame in container.decode(stream)
            for part in resampler.resample(frame)
        ]
        return stream.codec_context.name, np.concatenate(samples), stream.sample_rate


def sound_packets(path):
    """Return the bytes and the times in seconds of the packets of a file's sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        return [bytes(packet) for packet in packets], [
            packet.pts * packet.time_base for packet in packets
        ]
