"""Encoded pictures, against Pillow's decoder."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg.datasets import records
from keras_depthseg.pictures import encode
from tests.support.compositions import SIZE, soft_disc
from tests.support.tiny_data import colour


class EncodeTest(tf.test.TestCase):
    def test_lossless(self):
        picture, mask = colour(0, (SIZE, SIZE)), soft_disc(SIZE, SIZE)[..., 3]
        for data, expected in (
            (encode.encode_colour(picture, lossless=True), picture),
            (encode.encode_mask(mask), mask),
        ):
            self.assertAllEqual(np.asarray(Image.open(io.BytesIO(data))), expected)

    def test_jpeg_keeps_colours_at_full_resolution(self):
        picture = np.zeros((SIZE, SIZE, 3), np.uint8)
        picture[:, : SIZE // 2 + 1] = (255, 0, 0)
        image = Image.open(io.BytesIO(encode.encode_colour(picture)))
        self.assertEqual(image.format, "JPEG")
        # Half resolution is 60 levels off at this edge.
        self.assertAllClose(np.asarray(image), picture, rtol=0, atol=12)

    def test_depth(self):
        depth = np.array([[0, records.NEAREST_DEPTH, 0.5, 1, 1.5, -1]], np.float32)
        stored = np.asarray(Image.open(io.BytesIO(encode.encode_depth(depth))))
        self.assertAllEqual(stored, [[0, 13, 32768, 65535, 65535, 0]])
