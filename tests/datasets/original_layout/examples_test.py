"""Samples are decoded by several threads, and the same after pickling."""

import pickle
from concurrent import futures
from unittest import mock

import numpy as np

from keras_depthseg.datasets.original_layout import reader
from keras_depthseg.datasets.original_layout.examples import ExampleReader, LayoutShard
from keras_depthseg.pictures import checks
from tests.support.sources import SourceTestCase, zip_folders
from tests.support.tiny_data import write_source


class ExampleReaderTest(SourceTestCase):
    def _reader(self):
        layout = reader.Layout(self.source)
        return layout, ExampleReader(layout, np.uint8, "farther", {8: 255, 16: 65535})

    def test_a_background_is_decoded_once(self):
        write_source(self.source)
        layout, examples = self._reader()
        with mock.patch.object(
            checks, "open_picture", side_effect=checks.open_picture
        ) as decode:
            for sample in layout.samples:
                examples.decode(sample)
        places = [call.args[1] for call in decode.call_args_list]
        self.assertLen([place for place in places if "fg_bg" not in place], 4)
        self.assertLen(places, 4 + 3 * 16)

    def test_threads_and_pickles(self):
        write_source(self.source, 6, 6)
        expected = self._features()
        zip_folders(self.source)
        with futures.ThreadPoolExecutor(6) as pool:
            for features in pool.map(lambda _: self._features(pickled=True), range(6)):
                self.assertEqual(features, expected)
        reader.close_zips()

    def _features(self, pickled=False):
        layout, examples = self._reader()
        shard = LayoutShard(examples, layout.samples)
        if pickled:
            shard = pickle.loads(pickle.dumps(shard))
        return [example.features for example in shard.examples()]
