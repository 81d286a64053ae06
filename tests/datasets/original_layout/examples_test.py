"""Examples are decoded a few ahead, each background once."""

import contextlib
import os
from unittest import mock

import numpy as np

from keras_depthseg.datasets.original_layout import examples, reader
from keras_depthseg.pictures import checks
from tests.support.sources import SourceTestCase
from tests.support.tiny_data import write_source


class ExampleReaderTest(SourceTestCase):
    def test_each_background_is_decoded_once(self):
        write_source(self.source)
        with mock.patch.object(
            checks, "decode_colour", side_effect=checks.decode_colour
        ) as decode:
            self.build()
        places = [call.args[1] for call in decode.call_args_list]
        self.assertLen([place for place in places if "fg_bg" not in place], 4)
        self.assertLen(places, 4 + 16)

    def test_few_samples_are_in_flight(self):
        write_source(self.source, 10, 10)
        source = reader.Layout(self.source)
        example_reader = examples.ExampleReader(source, np.uint8)
        with (
            mock.patch.object(os, "cpu_count", return_value=2),
            mock.patch.object(source, "read", side_effect=source.read) as read,
            contextlib.closing(example_reader.examples(source.samples)) as stream,
        ):
            next(stream)
            self.assertLess(read.call_count, 50)
