"""A source folder in the original layout, and the data set built from it."""

import zipfile

import tensorflow_datasets as tfds

from keras_depthseg.datasets import original_layout, records
from tests.support.tiny_data import RefusalTestCase


def zip_folders(root):
    """Replaces the pictures of three folders by one zip per background."""
    for folder in ("fg_bg", "fg_bg_mask", "fg_bg_depth"):
        for path in sorted((root / folder).iterdir()):
            archive = root / folder / f"{path.name.split('_')[0]}.zip"
            with zipfile.ZipFile(archive, "a") as content:
                content.write(path, f"inner/{path.name}")
                content.writestr(f"__MACOSX/inner/{path.name}", b"a shadow")
            path.unlink()


def stored(path):
    """Every record of a data set as {split: {sample_id: features, still encoded}}."""
    builder = tfds.builder_from_directory(path)
    skip = {field: tfds.decode.SkipDecoding() for field in records.IMAGE_FIELDS}
    return {
        split: {
            sample["sample_id"].decode(): {**sample, "box": tuple(sample["box"])}
            for sample in tfds.as_numpy(builder.as_dataset(split=split, decoders=skip))
        }
        for split in builder.info.splits
    }


def merged(splits):
    return {name: sample for split in splits.values() for name, sample in split.items()}


class SourceTestCase(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self.source = self.folder / "source"
        self.data_dir = self.folder / "data"

    def build(self, **settings):
        return original_layout.build(self.source, self.data_dir, **settings)

    def assert_refused(self, *parts, call=None):
        """The call fails with one line that has all `parts`, and leaves nothing."""
        super().assert_refused(call or self.build, *parts)
        if self.data_dir.exists():
            self.assertEmpty(list(self.data_dir.iterdir()))
