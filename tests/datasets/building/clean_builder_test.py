"""Builders leave nothing behind: no temporary folders, and not themselves in memory."""

import gc
import os
import tempfile
import weakref
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_depthseg.datasets.building.clean_builder import CleanBuilder, prepare
from keras_depthseg.datasets.building.tfds_internals import quiet
from tests.support.tiny_data import RefusalTestCase


class Builder(CleanBuilder, tfds.core.GeneratorBasedBuilder, skip_registration=True):
    name = "three"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = []

    def _info(self):
        features = tfds.features.FeaturesDict({"x": np.int64})
        return self.dataset_info_from_configs(features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield from ((str(x), {"x": x}) for x in range(3))


class CleanBuilderTest(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self.config = tfds.core.BuilderConfig(name="some")

    def test_no_temporary_folders(self):
        temporary = self.folder / "temporary"
        temporary.mkdir()
        with (
            mock.patch.object(tempfile, "tempdir", str(temporary)),
            mock.patch("tensorflow_datasets.core.utils.gcs_utils.gcs_path") as bucket,
        ):
            path = prepare(Builder, self.config, self.folder / "data")
        self.assertEmpty(os.listdir(temporary))
        bucket.assert_not_called()
        splits = tfds.builder_from_directory(path).info.splits
        self.assertEqual(splits["train"].num_examples, 3)

    def test_builders_are_not_kept(self):
        with quiet():
            builder = Builder(config=self.config, data_dir=self.folder)
        self.assertIs(builder.info, builder.info)
        kept = weakref.ref(builder)
        del builder
        gc.collect()
        self.assertIsNone(kept())


if __name__ == "__main__":
    tf.test.main()
