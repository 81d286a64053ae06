"""JPEGs whose rows are exchanged, against encoding the whole picture."""

import io

import cv2
import hypothesis
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st
from PIL import Image

from keras_depthseg.pictures import checks
from keras_depthseg.pictures.row_jpeg import RowJpeg
from tests.support.tiny_data import colour


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


class RowJpegTest(tf.test.TestCase):
    @hypothesis.settings(max_examples=60, deadline=None)
    @hypothesis.given(
        height=st.integers(1, 150),
        width=st.integers(1, 90),
        rows=st.tuples(st.integers(0, 150), st.integers(0, 150)),
        seed=st.integers(0, 5),
    )
    def test_equals_encoding_the_whole(self, height, width, rows, seed):
        top, bottom = sorted(min(row, height) for row in rows)
        bg = colour(seed, (height, width))
        fg_bg = bg.copy()
        fg_bg[top:bottom] = colour(seed + 10, (bottom - top, width))
        self.assertEqual(RowJpeg(bg).with_rows(fg_bg, top, bottom), RowJpeg(fg_bg).data)

    def test_rows_that_do_not_differ_stay_to_the_bit(self):
        # As composing does: onto what a reader sees of the background.
        jpeg = RowJpeg(colour(0, (64, 40)))
        bg = decoded(jpeg.data)
        fg_bg = bg.copy()
        fg_bg[21:35, 5:20] = 255
        data = jpeg.with_rows(fg_bg, 21, 35)
        self.assertAllEqual(decoded(data)[:16], bg[:16])
        self.assertAllEqual(decoded(data)[40:], bg[40:])
        self.assertLess(np.abs(decoded(data)[21:35] - fg_bg[21:35].astype(int)).mean(), 4)
        self.assertEqual(jpeg.with_rows(bg, 0, 0), jpeg.data)

    def test_every_reader_reads_it(self):
        jpeg = RowJpeg(colour(0, (72, 40)))
        fg_bg = decoded(jpeg.data)
        fg_bg[9:70] = 7
        data = jpeg.with_rows(fg_bg, 9, 70)
        seen = decoded(data)
        self.assertAllEqual(checks.decode_colour(data, "a.jpg"), seen)
        self.assertAllEqual(np.asarray(Image.open(io.BytesIO(data))), seen)
        options = {"dct_method": "INTEGER_ACCURATE"}
        self.assertAllEqual(tf.io.decode_jpeg(data, **options), seen)
