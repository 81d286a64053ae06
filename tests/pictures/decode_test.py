"""Decoding and resizing against Pillow, OpenCV at full size, and TensorFlow."""

import concurrent.futures
import io
from unittest import mock

import cv2
import hypothesis
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from hypothesis import strategies as st
from PIL import Image

from keras_depthseg.pictures.decode import BackgroundCache, Decoder
from tests.support.picture_files import png_header
from tests.support.tiny_data import colour, encoded, grey

RESOLUTION = 32
# Around every size at which another reduction becomes right.
SIZES = tuple(
    size + step for size in (RESOLUTION, 64, 128, 256, 512) for step in (-2, -1, 0, 1, 2)
)
JPEGS = {size: encoded(colour(size, (size, size))) for size in SIZES}


def _fresh(size):
    return Decoder(3, RESOLUTION)(JPEGS[size])


class DecoderTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(extension=["jpeg", "png"], channels=[1, 3])
    def test_same_size_is_left_alone(self, extension, channels):
        pixels = colour(0, (64, 64)) if channels == 3 else grey(3, size=(64, 64))
        data = encoded(pixels, extension)
        image = Decoder(channels, 64)(data)
        expected = np.asarray(Image.open(io.BytesIO(data))).reshape(64, 64, channels)
        self.assertEqual((image.shape, image.dtype), (expected.shape, np.uint8))
        # Two JPEG decoders may round differently.
        tolerance = 2 if extension == "jpeg" else 0
        self.assertAllClose(image.astype(int), expected.astype(int), atol=tolerance)

    @parameterized.product(size=[(40, 56), (24, 17)], kind=["rgb", "uint8", "uint16"])
    def test_resizing_is_half_pixel_bilinear(self, size, kind):
        pixels = colour(1, size) if kind == "rgb" else grey(1, kind, size)[..., None]
        image = Decoder(pixels.shape[-1], 32)(encoded(pixels.squeeze(), "png"))
        expected = tf.image.resize(pixels, (32, 32))
        self.assertEqual((image.shape, image.dtype), (expected.shape, pixels.dtype))
        # OpenCV has weights of 11 bits for uint8.
        tolerance = 1.0 if pixels.dtype == np.uint8 else 1.0 + 65535 / 2048
        self.assertAllClose(image.astype("float32"), expected, atol=tolerance)
        self.assertLess(abs(np.mean(image.astype(float) - expected.numpy())), 0.3)

    @parameterized.parameters(np.uint8, np.uint16)
    def test_larger_png_is_averaged(self, dtype):
        pixels = grey(2, dtype, (64, 96))
        image = Decoder(1, 32)(encoded(pixels, "png"))
        expected = pixels.reshape(32, 2, 32, 3).astype(float).mean((1, 3))
        self.assertAllClose(
            image[..., 0].astype(float), expected, rtol=0, atol=0.5 + 1e-3
        )

    def test_orientation_is_not_applied(self):
        buffer = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6  # rotated by 90 degrees
        Image.fromarray(colour(4, (32, 32))).save(buffer, "JPEG", exif=exif)
        expected = np.asarray(Image.open(io.BytesIO(buffer.getvalue()))).astype(int)
        image = Decoder(3, 32)(buffer.getvalue())
        self.assertAllClose(image.astype(int), expected, atol=2)

    @parameterized.parameters(
        b"",
        b"no picture",
        b"\xff\xd8 nor this",
        png_header(100_000, 100_000),
        # OpenCV itself accepts four times as many pixels.
        png_header(17_000, 17_000),
        png_header(2**31 - 1, 1),
    )
    def test_no_image(self, data):
        with self.assertRaisesRegex(ValueError, "cannot be decoded"):
            Decoder(3, 32)(data)


class ReducedTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*SIZES)
    def test_largest_reduction_that_leaves_enough(self, size):
        factor = max((f for f in (1, 2, 4, 8) if -(-size // f) >= RESOLUTION), default=1)
        flag = {1: cv2.IMREAD_COLOR}
        flag |= {f: getattr(cv2, f"IMREAD_REDUCED_COLOR_{f}") for f in (2, 4, 8)}
        image = cv2.imdecode(np.frombuffer(JPEGS[size], np.uint8), flag[factor])
        self.assertEqual(image.shape[0], -(-size // factor))
        area = image.shape[0] >= 2 * RESOLUTION
        expected = cv2.resize(
            image[..., ::-1],
            (RESOLUTION, RESOLUTION),
            interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR,
        )
        self.assertAllEqual(_fresh(size), expected)

    @hypothesis.given(st.lists(st.sampled_from(SIZES), min_size=2, max_size=6))
    def test_what_was_decoded_before_does_not_matter(self, sizes):
        decoder = Decoder(3, RESOLUTION)
        for size in sizes:
            self.assertAllEqual(decoder(JPEGS[size]), _fresh(size), str(sizes))

    def test_images_of_one_size_are_decoded_once(self):
        decoder = Decoder(3, RESOLUTION)
        decoder(JPEGS[256])
        with mock.patch.object(cv2, "imdecode", side_effect=cv2.imdecode) as imdecode:
            decoder(JPEGS[256])
        self.assertEqual(imdecode.call_count, 1)


class BackgroundCacheTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.encoded = [encoded(colour(i, (64, 64))) for i in range(6)]
        self.decode = Decoder(3, RESOLUTION)
        self.expected = [self.decode(data) for data in self.encoded]
        # The largest number of bytes an image and its key take.
        self.size = 3 * RESOLUTION**2 + max(map(len, self.encoded))

    def _decoded(self, cache, decode, items):
        """How many of the items are decoded, the others being kept."""
        with mock.patch.object(cv2, "imdecode", side_effect=cv2.imdecode) as imdecode:
            for data in items:
                cache(data, decode)
        return imdecode.call_count

    def test_decodes_once_while_capacity_lasts(self):
        cache = BackgroundCache(4 * self.size)
        none = BackgroundCache(0)
        for data, expected in zip(2 * self.encoded, 2 * self.expected, strict=True):
            self.assertAllEqual(cache(data, self.decode), expected)
            self.assertAllEqual(none(data, self.decode), expected)
        self.assertEqual(self._decoded(cache, self.decode, 3 * self.encoded), 3 * 2)
        cache.clear()
        self.assertEqual(self._decoded(cache, self.decode, self.encoded), 6)

    def test_another_resolution_takes_the_room(self):
        cache = BackgroundCache(6 * self.size)
        smaller = Decoder(3, RESOLUTION // 2)
        for data in self.encoded[:3]:
            self.assertEqual(cache(data, smaller).shape[0], RESOLUTION // 2)
        for _ in range(2):
            self._decoded(cache, self.decode, self.encoded[:3])
        both = self._decoded(cache, smaller, self.encoded[:3])
        self.assertEqual(both, 0, "there is room for both")
        self._decoded(cache, self.decode, self.encoded)
        self.assertEqual(self._decoded(cache, self.decode, self.encoded), 0)
        self.assertEqual(self._decoded(cache, smaller, self.encoded[:1]), 1)

    def test_right_images_from_many_threads(self):
        cache = BackgroundCache(4 * self.size)
        decoders = {side: Decoder(3, side) for side in (RESOLUTION, RESOLUTION // 2)}
        chosen = np.random.default_rng(0).choice([*decoders], 2000), [*range(6)] * 334
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            images = pool.map(
                lambda side, i: (side, i, cache(self.encoded[i], Decoder(3, int(side)))),
                *(items[:2000] for items in chosen),
            )
        for side, i, image in images:
            expected = decoders[side](self.encoded[i])
            self.assertTrue(np.array_equal(image, expected))
