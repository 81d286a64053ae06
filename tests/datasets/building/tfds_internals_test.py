"""Assumptions about TFDS's private API, one test each."""

import contextlib
import io
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_depthseg.datasets.building import tfds_internals
from tests.support.tiny_data import RefusalTestCase


class Builder(tfds_internals.FileWriterBuilder, skip_registration=True):
    name = "numbers"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = []

    def _info(self):
        features = tfds.features.FeaturesDict({"x": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _write_files(self, dl_manager, download_config):
        self.written_to = Path(self.data_path)
        sizes = []
        for index, count in enumerate((2, 1)):
            path = self.written_to / self._file_name("train", index, 2)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for x in range(count):
                    record = self.info.features.serialize_example({"x": x})
                    writer.write(record)
            sizes.append((count, count * len(record)))
        return {"train": sizes}


class InternalsTest(RefusalTestCase):
    def setUp(self):
        super().setUp()
        config = tfds.core.BuilderConfig(name="some")
        with tfds_internals.quiet():
            self.builder = Builder(config=config, data_dir=self.folder)
            self.path = Path(self.builder.data_path)

    def test_files_are_written_beside_and_renamed(self):
        with tfds_internals.quiet():
            self.builder.download_and_prepare()
        self.assertEqual(self.path, self.folder / "numbers/some/1.0.0")
        self.assertEqual(self.builder.written_to.parent, self.path.parent)
        self.assertRegex(self.builder.written_to.name, r"^incomplete\..+_1\.0\.0$")
        self.assertFalse(self.builder.written_to.exists())
        opened = tfds.builder_from_directory(self.path)
        self.assertEqual(opened.info.splits["train"].shard_lengths, [2, 1])
        data = opened.as_dataset(split="train", shuffle_files=False)
        self.assertEqual([int(it["x"]) for it in tfds.as_numpy(data)], [0, 1, 0])
        for path in opened.info.splits["train"].filepaths:
            self.assertTrue(Path(path).is_file())

    def test_leftovers(self):
        for name in ("incomplete.AB12CD_1.0.0", "incomplete.AB12CD_2.0.0", "1.0.0"):
            (self.path.parent / name).mkdir(parents=True)
        tfds_internals.remove_incomplete(self.path)
        names = {path.name for path in self.path.parent.iterdir()}
        self.assertEqual(names, {"incomplete.AB12CD_2.0.0", "1.0.0"})

    def test_empty_folders_of_a_failed_build(self):
        def fail(*_):
            raise ValueError

        self.builder._write_files = fail
        with tfds_internals.quiet(), self.assertRaises(ValueError):
            self.builder.download_and_prepare()
        self.assertTrue((self.folder / "downloads/extracted").is_dir())
        tfds_internals.remove_empty_folders(self.path, self.folder)
        self.assertEmpty(list(self.folder.iterdir()))

    def test_quiet(self):
        config = tfds.core.BuilderConfig(name="other")
        with self.assertLogs("absl", "WARNING") as logs:
            Builder(config=config, data_dir=self.folder)
        self.assertIn("Using custom data configuration", logs.output[0])
        with (
            self.assertNoLogs("absl", "WARNING"),
            contextlib.redirect_stdout(io.StringIO()) as printed,
            tfds_internals.quiet(),
        ):
            Builder(config=config, data_dir=self.folder).download_and_prepare()
        self.assertEqual(printed.getvalue(), "")
