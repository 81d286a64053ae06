"""Opening records: what is missing or damaged is named in one line."""

import json
import shutil

from absl.testing import parameterized

from keras_depthseg.datasets.opening import open_records
from keras_depthseg.pipeline import make_pipeline
from tests.support.tiny_data import TinyDataTestCase, remove_field

AGAIN = "build the data set again"


class OpeningTest(TinyDataTestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy"
        shutil.copytree(self.records, self.copy)
        self.shard = min(self.copy.glob("*-train.tfrecord-00001-*"))

    def _refused(self, *parts):
        self.assert_refused(lambda: open_records(self.copy), *parts)

    def test_whole(self):
        records = open_records(self.copy)
        sizes = [records.size(name) for name in records.builder.info.splits]
        self.assertEqual(sum(sizes), 64)
        self.assertEqual(records.size("test"), 0)
        self.assertEqual(
            records.depth,
            {"unit": "relative", "scale": None, "direction": "larger is farther"},
        )
        for branch in ("bg", "fg_bg"):
            for values in records.statistics[branch].values():
                self.assertLen(values, 3)
                self.assertAllInRange(values, 0.1, 0.9)

    def test_missing_folder(self):
        shutil.rmtree(self.copy)
        self._refused(self.copy, "no such folder")

    def test_a_file(self):
        self.assert_refused(
            lambda: open_records(self.shard), self.shard, "no such folder"
        )

    def test_another_folder(self):
        shutil.rmtree(self.copy)
        self.copy.mkdir()
        self._refused(self.copy, "not a data set", "dataset_info.json")

    @parameterized.product(
        name=["dataset_info.json", "features.json"],
        content=["", "{", "[]", "null", "\xff", None],
    )
    def test_damaged_json(self, name, content):
        path = self.copy / name
        if content is None:
            content = path.read_text()[: path.stat().st_size // 2]
        path.write_text(content, encoding="latin-1")
        self._refused(self.copy, name, "damaged", AGAIN)

    def test_missing_features(self):
        (self.copy / "features.json").unlink()
        self._refused(self.copy, "features.json", AGAIN)

    @parameterized.parameters("", "{", "[1]", "null")
    def test_damaged_metadata(self, content):
        (self.copy / "metadata.json").write_text(content)
        self._refused(self.copy, "metadata.json", AGAIN)

    def test_without_metadata(self):
        (self.copy / "metadata.json").unlink()
        records = open_records(self.copy)
        self.assertEqual((records.depth, records.statistics), ({}, None))

    def test_another_data_set(self):
        remove_field(self.copy, "mask")
        self._refused(self.copy, "not a data set of this package", "no mask")

    def test_missing_shard(self):
        self.shard.unlink()
        self._refused(self.shard, "is missing", AGAIN)

    @parameterized.parameters(0.5, 1, 4, 17, None)
    def test_cut_shard(self, cut):
        data = self.shard.read_bytes()
        cut = {None: len(data), 0.5: len(data) // 2}.get(cut, cut)
        self.shard.write_bytes(data[:-cut])
        self._refused(self.shard, "damaged", "whole records of", AGAIN)

    @parameterized.parameters(b"x", b"0123456789abcdef" * 4)
    def test_longer_shard(self, more):
        self.shard.write_bytes(self.shard.read_bytes() + more)
        self._refused(self.shard, "damaged", AGAIN)

    def test_cut_between_records(self):
        data = self.shard.read_bytes()
        first = int.from_bytes(data[:8], "little") + 16
        self.shard.write_bytes(data[:first])
        self._refused(self.shard, "it holds 1 whole records of")

    def test_empty_split(self):
        path = self.copy / "dataset_info.json"
        info = json.loads(path.read_text())
        for split in info["splits"]:
            if split["name"] == "val":
                split.update(shardLengths=["0"] * len(split["shardLengths"]))
        path.write_text(json.dumps(info))
        for shard in self.copy.glob("*-val.tfrecord*"):
            shard.write_bytes(b"")
        records = open_records(self.copy)
        self.assertEqual(records.size("val"), 0)
        self.assert_refused(
            lambda: make_pipeline(records, "val"),
            *(self.copy, "no samples in split 'val'", "it has train, unseen_bg"),
        )
