"""Checks of encoded pictures, on files that lie about their format."""

import random
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from PIL import Image

from keras_depthseg.pictures import checks
from tests.support.picture_files import png_header
from tests.support.tiny_data import RefusalTestCase


class ChecksTest(RefusalTestCase):
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
