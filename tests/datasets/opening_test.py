"""Opening records: what is missing or damaged is named in one line."""

import json
import shutil

from absl.testing import parameterized

from keras_depthseg.datasets.opening import open_records
from keras_depthseg.pipeline import make_pipeline
from tests.support.tiny_data import TinyDataTestCase, remove_field

AGAIN = "build the data set again"


class OpeningTest(TinyDataTestCase):
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
        self.copy.mkdir()
        self._refused("not a data set", "dataset_info.json")

    @parameterized.parameters(
        ("dataset_info.json", ""),
        ("features.json", "[1]"),
        ("metadata.json", "null"),
        ("metadata.json", '{"depth": 3}'),
        ("metadata.json", '{"statistics": {"bg": "none"}}'),
        ("metadata.json", '{"statistics": {"bg": {"mean": [1, "x", 1]}}}'),
        ("metadata.json", '{"statistics": {"bg": {"std": [0.1, 0.2]}}}'),
        ("metadata.json", '{"statistics": {"bg": {"std": [0.1, 0.2, NaN]}}}'),
    )
    def test_damaged_json(self, name, content):
        (self.copy / name).write_text(content)
        self._refused(self.copy, name, "damaged", AGAIN)

    def test_info_without_the_name_of_the_data_set(self):
        path = self.copy / "dataset_info.json"
        info = json.loads(path.read_text())
        del info["name"]
        path.write_text(json.dumps(info))
        self._refused(self.copy, "dataset_info.json", "damaged")

    def test_missing_features(self):
        (self.copy / "features.json").unlink()
        self._refused(self.copy, "features.json", AGAIN)

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

    def test_cut_and_longer_shard(self):
        data = self.shard.read_bytes()
        for content in (data[:5], data[:-1], data + b"x"):
            self.shard.write_bytes(content)
            self._refused(self.shard, "damaged", "record", AGAIN)

    def test_shards_need_not_be_whole(self):
        self.shard.unlink()
        records = open_records(self.copy, check_shards=False)
        self.assertEqual(sum(shard.examples for shard in records.shards()), 64)
        self.assertIn(self.shard, [shard.path for shard in records.shards()])

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
