"""Checks of encoded pictures, on files that lie about their format."""

import random
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from PIL import Image

from keras_depthseg.inference.photographs import read_photograph
from keras_depthseg.pictures import checks
from tests.support.picture_files import png_header, saved
from tests.support.tiny_data import RefusalTestCase, colour


class ChecksTest(RefusalTestCase):
    def test_palette_that_is_missing(self):
        for options in ({}, {"transparency": 3}, {"optimize": True}):
            data = saved(colour(0), mode="P", **options)
            at = data.index(b"PLTE") - 4
            size = 12 + int.from_bytes(data[at : at + 4], "big")
            damaged = data[:at] + data[at + size :]
            for call in (
                lambda damaged=damaged: checks.open_picture(damaged, "a.png"),
                lambda damaged=damaged: self._read(damaged),
            ):
                self.assert_refused(call, "a.png", "damaged", "its palette is missing")

    def _read(self, data):
        path = self.folder / "a.png"
        path.write_bytes(data)
        return read_photograph(path, "image")

    def test_filters_of_warnings_stay(self):
        # Several threads at once open pictures that make Pillow warn, slowly.
        open_picture = Image.open

        def slowly(*args, **kwargs):
            time.sleep(random.random() / 500)
            return open_picture(*args, **kwargs)

        before = list(warnings.filters)
        large = png_header(10000, 10000)
        with mock.patch.object(Image, "open", slowly), ThreadPoolExecutor(8) as pool:
            results = [
                pool.submit(checks.open_picture, large, "a.png") for _ in range(40)
            ]
        self.assertEqual(warnings.filters, before)
        for result in results:
            self.assert_refused(result.result, "received 100,000,000 pixels")
