"""Small pictures, a source folder of them, and data sets built from it."""

import functools
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets import original_layout
from keras_depthseg.datasets.original_layout import reader
from keras_depthseg.errors import UserError

HEIGHT, WIDTH = 24, 32
SIDE = 64


def encoded(pixels, extension="jpeg", mode=None):
    """The bytes of a picture; `mode` converts it first."""
    image = Image.fromarray(np.asarray(pixels))
    image = image.convert(mode) if mode else image
    buffer = io.BytesIO()
    options = {"quality": 95} if extension != "png" else {}
    image.save(buffer, "PNG" if extension == "png" else "JPEG", **options)
    return buffer.getvalue()


def colour(seed, size=(HEIGHT, WIDTH)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def grey(seed, dtype=np.uint8, size=(HEIGHT, WIDTH)):
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, top, size)
    return pixels.astype(dtype)


def mask(size=(HEIGHT, WIDTH)):
    """A box: rows 1/6 to 2/3 and columns 5/16 to 9/16."""
    height, width = size
    pixels = np.zeros(size, np.uint8)
    pixels[height // 6 : height * 2 // 3, width * 5 // 16 : width * 9 // 16] = 255
    return pixels


def write_source(root, backgrounds=4, cutouts=4, depth=None, size=(HEIGHT, WIDTH)):
    """Writes a folder in the original layout, one placement per pair; returns its path.

    `fg_bg` is `bg` with another picture in the mask. `depth` takes a seed and gives the
    bytes of a PNG.
    """
    root = Path(root)
    for folder in reader.FOLDERS.values():
        (root / folder).mkdir(parents=True)
    lines = []
    for b in range(1, backgrounds + 1):
        bg = f"bg{b:03}"
        plate = colour(b, size)
        (root / f"bg/{bg}.jpeg").write_bytes(encoded(plate))
        for f in range(1, cutouts + 1):
            name = f"{bg}_fg{f:03}_01"
            seed = 100 * b + f
            opaque = mask(size)
            picture = np.where(opaque[..., None] > 0, colour(seed, size), plate)
            (root / f"fg_bg/{name}.jpeg").write_bytes(encoded(picture))
            (root / f"fg_bg_mask/{name}_mask.png").write_bytes(encoded(opaque, "png"))
            depth_path = root / f"fg_bg_depth/{name}_depth_map.JPG"
            if depth is None:
                depth_path.write_bytes(encoded(grey(seed, size=size)))
            else:
                depth_path.with_suffix(".png").write_bytes(depth(seed))
            lines.append(f"{bg}\t{name}\t{name}_mask\t{name}_depth_map\n")
    (root / "file_map.txt").write_text("".join(lines))
    return root


def write_records(root, backgrounds=8, cutouts=8, shards=3, **source):
    """Writes a source of pictures of 64 px and its records; returns the records' path."""
    root = Path(root)
    source = write_source(
        root / "source", backgrounds, cutouts, **{"size": (SIDE, SIDE), **source}
    )
    config = original_layout.OriginalLayoutConfig(
        name="tiny", source=source, val_fraction=0.2, unseen_fraction=0.25
    )
    bits = 8 if list((source / "fg_bg_depth").glob("*.JPG")) else 16
    config.depth_dtype = f"uint{bits}"
    builder = original_layout.Builder(config=config, data_dir=root / "records")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=shards)
    )
    return Path(builder.data_path)


def remove_field(records, field):
    """Takes a field away from the samples of a copy of records."""
    path = Path(records) / "features.json"
    features = json.loads(path.read_text())
    del features["featuresDict"]["features"][field]
    path.write_text(json.dumps(features))


class RefusalTestCase(tf.test.TestCase, parameterized.TestCase):
    """Has `self.folder`, a test's own, and checks refusals."""

    @functools.cached_property
    def folder(self):
        return Path(self.enter_context(tempfile.TemporaryDirectory()))

    def assert_refused(self, call, *parts):
        """The call fails with one line that has all `parts`."""
        with self.assertRaises(UserError) as caught:
            call()
        message = str(caught.exception)
        self.assertLen(message.splitlines(), 1, message)
        for part in parts:
            self.assertIn(str(part), message)


class TinyDataTestCase(RefusalTestCase):
    """Has records in `self.records`, shared by a class.

    By default 64 samples: 8 backgrounds and 8 cutouts, 64 px, three shards a split.
    """

    DATA = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        cls.records = write_records(cls.shared, **cls.DATA)
