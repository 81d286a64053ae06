"""The builder of the original layout, on small pictures made here."""

import contextlib
import importlib.util
import io
import itertools
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from unittest import mock

import hypothesis
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from hypothesis import strategies as st
from PIL import Image

from keras_depthseg.datasets import original_layout, records
from keras_depthseg.datasets.original_layout import examples, reader, tables
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks
from tests.support.tiny_data import (
    HEIGHT,
    WIDTH,
    colour,
    encoded,
    grey,
    mask,
    write_source,
)


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


class ModestTestCase(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.source = folder / "source"
        self.data_dir = folder / "data"

    def build(self, **settings):
        return original_layout.build(self.source, self.data_dir, **settings)

    def assert_refused(self, *parts, call=None):
        """The call fails with one line that has all `parts`, and leaves nothing."""
        with self.assertRaises(UserError) as caught:
            (call or self.build)()
        message = str(caught.exception)
        self.assertLen(message.splitlines(), 1, message)
        for part in parts:
            self.assertIn(part, message)
        if self.data_dir.exists():
            self.assertEmpty(list(self.data_dir.iterdir()))


class BuildTest(ModestTestCase):
    def test_bytes_ids_and_boxes(self):
        write_source(self.source)
        samples = merged(stored(self.build()))
        self.assertLen(samples, 16)
        sample = samples["bg002_fg003_01"]
        for field, file in {
            "bg": "bg/bg002.jpeg",
            "fg_bg": "fg_bg/bg002_fg003_01.jpeg",
            "mask": "fg_bg_mask/bg002_fg003_01_mask.png",
            "depth": "fg_bg_depth/bg002_fg003_01_depth_map.JPG",
        }.items():
            self.assertEqual(sample[field], (self.source / file).read_bytes())
        self.assertEqual((sample["bg_id"], sample["fg_id"]), (b"bg002", b"fg003"))
        self.assertAllClose(sample["box"], [4 / 24, 10 / 32, 16 / 24, 18 / 32])

    def test_labels_win_over_masks(self):
        write_source(self.source, 1, 1)
        (self.source / "labels.txt").write_text("bg001_fg001_01\t8\t6\t16\t18\n")
        (sample,) = merged(stored(self.build())).values()
        self.assertAllClose(sample["box"], [0.25, 0.25, 1.0, 0.75])

    def test_source_in_manual_dir(self):
        write_source(self.source, 1, 1)
        builder = original_layout.Builder(data_dir=self.data_dir)
        config = tfds.download.DownloadConfig(manual_dir=self.source)
        builder.download_and_prepare(download_config=config)
        self.assertLen(stored(self.data_dir / "modest/1.0.0")["train"], 1)

    def test_an_empty_mask_has_an_empty_box(self):
        write_source(self.source, 1, 1)
        path = self.source / "fg_bg_mask/bg001_fg001_01_mask.png"
        path.write_bytes(encoded(np.zeros((HEIGHT, WIDTH), np.uint8), "png"))
        (sample,) = merged(stored(self.build())).values()
        self.assertAllEqual(sample["box"], [0, 0, 0, 0])

    def test_zips_equal_folders(self):
        write_source(self.source)
        folders = stored(self.build())
        zip_folders(self.source)
        self.assertEqual(stored(self.build()), folders)

    def test_splits_by_identity(self):
        write_source(self.source, 6, 6)
        splits = stored(self.build(val_fraction=0.3, unseen_fraction=0.3))
        self.assertEqual(list(splits), list(SPLITS))
        ids = {
            split: tuple({s[key] for s in samples.values()} for key in ("bg_id", "fg_id"))
            for split, samples in splits.items()
        }
        for split, seen in itertools.product(splits, ("train", "val")):
            if split in ("unseen_bg", "unseen_both"):
                self.assertEmpty(ids[split][0] & ids[seen][0])
            if split in ("unseen_fg", "unseen_both"):
                self.assertEmpty(ids[split][1] & ids[seen][1])
        self.assertLen(ids["unseen_bg"][0] | ids["unseen_both"][0], 2)
        self.assertLen(merged(splits), 36)
        self.assertEqual(sum(map(len, splits.values())), 36)

    def test_random_split_of_the_original(self):
        write_source(self.source, 6, 6)
        splits = stored(self.build(val_fraction=0.3, splitting="random"))
        self.assertEqual(list(splits), ["train", "val"])
        self.assertLen(merged(splits), 36)
        self.assertBetween(len(splits["val"]), 4, 18)
        for key in ("bg_id", "fg_id"):
            seen, val = (
                {s[key] for s in splits[split].values()} for split in ("train", "val")
            )
            self.assertNotEmpty(seen & val)
        with self.assertRaisesRegex(UserError, "splitting: received 'no'"):
            self.build(splitting="no")

    def test_empty_splits_are_left_out(self):
        write_source(self.source, 1, 1)
        self.assertEqual(list(stored(self.build(val_fraction=0))), ["train"])

    def test_statistics_are_of_the_train_split(self):
        write_source(self.source)
        path = self.build()
        train = stored(path)["train"].values()
        self.assertBetween(len(train), 2, 15)
        builder = tfds.builder_from_directory(path)
        for field in ("bg", "fg_bg"):
            pictures = [Image.open(io.BytesIO(sample[field])) for sample in train]
            pixels = np.stack([np.asarray(picture) for picture in pictures]) / 255
            result = builder.info.metadata["statistics"][field]
            self.assertAllClose(result["mean"], pixels.mean((0, 1, 2)), 1e-9, 1e-9)
            self.assertAllClose(result["std"], pixels.std((0, 1, 2)), 1e-9, 1e-9)
        self.assertEqual(builder.info.metadata["depth"]["direction"], "larger is farther")

    def test_16_bit_depth(self):
        write_source(self.source, 1, 2, lambda seed: encoded(grey(seed, "u2"), "png"))
        builder = tfds.builder_from_directory(self.build(val_fraction=0))
        self.assertEqual(builder.info.features["depth"].dtype, np.uint16)
        for sample in tfds.as_numpy(builder.as_dataset(split="train")):
            b, f = int(sample["bg_id"][2:]), int(sample["fg_id"][2:])
            self.assertAllEqual(sample["depth"][..., 0], grey(100 * b + f, "u2"))

    @parameterized.parameters("jpeg", "png")
    def test_equal_channels_become_one(self, extension):
        write_source(self.source, 1, 1)
        pixels = np.repeat(grey(0)[..., None], 3, axis=2)
        data = encoded(pixels, extension)
        (self.source / f"fg_bg_mask/bg001_fg001_01_mask.{extension}").write_bytes(data)
        if extension != "png":
            (self.source / "fg_bg_mask/bg001_fg001_01_mask.png").unlink()
        (sample,) = merged(stored(self.build())).values()
        result = Image.open(io.BytesIO(sample["mask"]))
        self.assertEqual((result.format, result.mode), ("PNG", "L"))
        expected = np.asarray(Image.open(io.BytesIO(data)))[..., 0]
        self.assertAllEqual(np.asarray(result), expected)

    def test_black_and_white_mask_is_read_as_0_and_255(self):
        write_source(self.source, 1, 1)
        path = self.source / "fg_bg_mask/bg001_fg001_01_mask.png"
        path.write_bytes(encoded(mask() > 0, "png"))
        builder = tfds.builder_from_directory(self.build())
        (sample,) = tfds.as_numpy(builder.as_dataset(split="train"))
        self.assertAllEqual(sample["mask"][..., 0], mask())

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


class CacheTest(ModestTestCase):
    def test_second_build_only_looks(self):
        write_source(self.source)
        first = self.build()
        with mock.patch.object(
            original_layout.Builder, "download_and_prepare"
        ) as prepare:
            self.assertEqual(self.build(), first)
        prepare.assert_not_called()

    def test_path_is_the_builders(self):
        write_source(self.source, 1, 1)
        path = self.build()
        config = original_layout.OriginalLayoutConfig(name=path.parent.name, source=self.source)
        builder = original_layout.Builder(config=config, data_dir=self.data_dir)
        self.assertEqual(Path(builder.data_path), path)
        self.assertTrue(builder.is_prepared())

    def test_every_change_has_its_own_folder(self):
        write_source(self.source, 3, 3)
        paths = [self.build(), self.build(seed=1), self.build(val_fraction=0.2)]
        picture = self.source / "fg_bg/bg001_fg001_01.jpeg"
        os.utime(picture, (1, 1))
        paths.append(self.build())
        (self.source / "labels.txt").write_text(
            "".join(f"bg00{b}_fg00{f}_01\t0\t0\t9\t9\n" for b in "123" for f in "123")
        )
        paths.append(self.build())
        lines = (self.source / "file_map.txt").read_text().splitlines()
        (self.source / "file_map.txt").write_text("\n".join(lines[:-1]))
        paths.append(self.build())
        moved = self.source.rename(self.source.with_name("moved"))
        paths.append(original_layout.build(moved, self.data_dir))
        self.assertLen(set(paths), len(paths))

    @parameterized.parameters(True, False)
    def test_rebuild_in_place(self, good):
        write_source(self.source, 3, 3)
        config = original_layout.OriginalLayoutConfig(name="mine", source=self.source)
        builder = original_layout.Builder(config=config, data_dir=self.data_dir)
        builder.download_and_prepare()
        before = stored(builder.data_path)
        picture = self.source / "fg_bg/bg002_fg002_01.jpeg"
        picture.write_bytes(encoded(colour(0)) if good else b"")
        again = tfds.download.DownloadConfig(
            download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
        )
        builder = original_layout.Builder(config=config, data_dir=self.data_dir)
        refused = contextlib.nullcontext() if good else self.assertRaises(UserError)
        with refused:
            builder.download_and_prepare(download_config=again)
        after = stored(builder.data_path)
        self.assertEqual(merged(after).keys(), merged(before).keys())
        name = "bg002_fg002_01"
        changed = merged(after)[name]["fg_bg"] != merged(before)[name]["fg_bg"]
        self.assertEqual(changed, good)
        self.assertEqual(os.listdir(self.data_dir / "modest/mine"), ["1.0.0"])

    def test_no_notice_about_the_configuration(self):
        write_source(self.source, 1, 1)
        with self.assertNoLogs("absl", "WARNING"):
            self.build()


def _write(path, content):
    def change(root):
        (root / path).write_bytes(content(root) if callable(content) else content)

    return change


def _cut(path, stop):
    return _write(
        path,
        lambda root: (data := (root / path).read_bytes())[
            : int(len(data) * stop) if isinstance(stop, float) else stop
        ],
    )


def _replace(path, new, data):
    def change(root):
        (root / path).unlink()
        (root / new).write_bytes(data)

    return change


def _zipped(then):
    def change(root):
        zip_folders(root)
        then(root)

    return change


def _without_member(root):
    path = root / "fg_bg/bg001.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.jpeg", b"")


def _wrong_sum(root):
    """Changes a byte inside a member of a zip."""
    path = root / "fg_bg/bg001.zip"
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)


def _with_other_pixels(root):
    """Gives a PNG a chunk of pixels that has a right sum but cannot be inflated."""
    data = (root / MASK).read_bytes()
    chunk = b"IDAT" + b"not deflated"
    chunk = struct.pack(">I", 12) + chunk + struct.pack(">I", zlib.crc32(chunk))
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    (root / MASK).write_bytes(data[:start] + chunk + data[end:])


BG, COMPOSITE = "bg/bg001.jpeg", "fg_bg/bg001_fg001_01.jpeg"
MASK = "fg_bg_mask/bg001_fg001_01_mask.png"
DEPTH = "fg_bg_depth/bg001_fg001_01_depth_map.JPG"
LINE = b"bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map\n"
TRUNCATED = ("received a truncated or damaged picture", "Copy or write it again")
RGBA = np.dstack([colour(0), grey(0)])

# What is done to a good source, and what the message must say.
BAD = {
    "no_source": (shutil.rmtree, "source", "does not exist", "Give the path"),
    "a_file": (
        lambda root: (shutil.rmtree(root), root.write_bytes(b"")),
        *("source", "is not a folder"),
    ),
    "no_folder": (
        lambda root: shutil.rmtree(root / "fg_bg_depth"),
        *("source", "has no folder fg_bg_depth/", "Give the folder"),
    ),
    "no_file_map": (
        lambda root: (root / "file_map.txt").unlink(),
        *("source", "has no file_map.txt", "Write one line a sample"),
    ),
    "empty_file_map": (
        _write("file_map.txt", b"\n \r\n"),
        "file_map.txt: there are no",
    ),
    "few_columns": (
        _write("file_map.txt", LINE + b"\nbg001\tx\n"),
        *("file_map.txt, line 3", "expected 4", "received 2: ['bg001', 'x']"),
    ),
    "many_columns": (
        _write("file_map.txt", LINE.replace(b"\n", b"\tmore\n")),
        *("file_map.txt, line 1", "expected 4", "received 5"),
    ),
    "empty_column": (
        _write("file_map.txt", b"a\t\tb\tc\n"),
        *("file_map.txt, line 1", "none of them empty"),
    ),
    "file_map_latin_1": (
        _write("file_map.txt", LINE + "b\xe9\tx\ty\tz".encode("latin-1")),
        *("file_map.txt, line 2", "not UTF-8", "Save the file as UTF-8"),
    ),
    "duplicate_sample": (
        _write("file_map.txt", LINE + LINE),
        *("file_map.txt, line 2", "'bg001_fg001_01' is already on line 1"),
    ),
    "no_picture": (
        lambda root: (root / COMPOSITE).unlink(),
        *("file_map.txt, line 1", "there is no", "fg_bg/bg001_fg001_01.jpeg"),
    ),
    "no_pictures": (
        lambda root: [path.unlink() for path in (root / "bg").iterdir()],
        *("file_map.txt, line 1", "bg/bg001.jpeg / .jpg / .png (and 1 more)"),
    ),
    "two_of_a_name": (
        _write("bg/bg001.png", encoded(colour(0), "png")),
        *("bg: 'bg001' may be bg001.jpeg and bg001.png", "Remove one"),
    ),
    "empty_jpeg": (_write(COMPOSITE, b""), COMPOSITE, "received an empty file"),
    "half_jpeg": (_cut(COMPOSITE, 0.5), COMPOSITE, *TRUNCATED),
    "half_bg": (_cut(BG, 0.5), BG, *TRUNCATED),
    "jpeg_without_100_bytes": (_cut(COMPOSITE, -100), COMPOSITE, *TRUNCATED),
    "jpeg_without_2_bytes": (_cut(COMPOSITE, -2), COMPOSITE, *TRUNCATED),
    "depth_without_100_bytes": (_cut(DEPTH, -100), DEPTH, *TRUNCATED),
    "half_png": (_cut(MASK, 0.5), MASK, *TRUNCATED),
    "png_of_other_pixels": (_with_other_pixels, MASK, *TRUNCATED),
    "png_without_1_byte": (_cut(MASK, -1), MASK, *TRUNCATED),
    "text": (_write(COMPOSITE, b"hello\n" * 99), COMPOSITE, "is not a picture"),
    "gif": (
        lambda root: Image.fromarray(grey(0)).save(root / COMPOSITE, "GIF"),
        *(COMPOSITE, "in the format GIF; expected a JPEG or PNG"),
    ),
    "grey_bg": (
        _write(BG, encoded(grey(0))),
        *(BG, "received greyscale (1 channel, 8 bit)", "expected RGB"),
    ),
    "cmyk": (
        _write(COMPOSITE, encoded(colour(0), mode="CMYK")),
        *(COMPOSITE, "received CMYK", "expected RGB"),
    ),
    "alpha_mask": (
        _write(MASK, encoded(RGBA, "png")),
        *(MASK, "received RGB with alpha", "without alpha"),
    ),
    "palette_mask": (
        _write(MASK, encoded(grey(0), "png", mode="P")),
        *(MASK, "received a colour palette"),
    ),
    "coloured_mask": (
        _write(MASK, encoded(colour(0), "png")),
        *(MASK, "received RGB", "the channels differ"),
    ),
    "mask_16_bit": (
        _write(MASK, encoded(grey(0, "u2"), "png")),
        *(MASK, "received 16 bit", "expected one channel of 8 bit"),
    ),
    "depth_of_other_bits": (
        _replace(
            "fg_bg_depth/bg002_fg002_01_depth_map.JPG",
            "fg_bg_depth/bg002_fg002_01_depth_map.png",
            encoded(grey(0, "u2"), "png"),
        ),
        *("bg002_fg002_01_depth_map.png", "received depth of 16 bit, expected 8"),
    ),
    "sizes": (
        _write(COMPOSITE, encoded(colour(0, (16, 16)))),
        *(COMPOSITE, "received 16x16 pixels", "bg001.jpeg is 32x24 pixels"),
    ),
    "no_zip": (
        lambda root: (
            _write("fg_bg/bg001.zip", b"PK, but no zip")(root)
            or (root / COMPOSITE).unlink()
        ),
        *("fg_bg/bg001.zip", "damaged or unsupported zip", "download it again"),
    ),
    "cut_zip": (
        _zipped(_cut("fg_bg_mask/bg002.zip", 0.5)),
        *("fg_bg_mask/bg002.zip", "damaged or unsupported zip"),
    ),
    "zip_sum": (
        _zipped(_wrong_sum),
        *("fg_bg/bg001.zip/inner/bg001_fg001_01.jpeg", "damaged or unsupported zip"),
    ),
    "no_member": (
        _zipped(_without_member),
        *("file_map.txt, line 1", "picture 'bg001_fg001_01' in", "fg_bg/bg001.zip"),
        "(and 1 more)",
    ),
    "label_columns": (
        _write("labels.txt", b"bg001_fg001_01\t1\t2\n"),
        *("labels.txt, line 1", "expected 5", "received 3"),
    ),
    "label_text": (
        _write("labels.txt", b"bg001_fg001_01\t1\t2\tthree\t4\n"),
        *("labels.txt, line 1", "all of them numbers", "'three'"),
    ),
    "label_nan": (
        _write("labels.txt", b"bg001_fg001_01\t1\t2\tnan\t4\n"),
        *("labels.txt, line 1", "all of them numbers", "'nan'"),
    ),
    "label_twice": (
        _write("labels.txt", 2 * b"bg001_fg001_01\t1\t2\t3\t4\n"),
        *("labels.txt, line 2", "already on line 1"),
    ),
    "label_missing": (
        _write("labels.txt", b"bg001_fg001_01\t1\t2\t3\t4\n"),
        *("labels.txt: there is no box for 'bg001_fg002_01' (and 2 more)",),
    ),
    "label_outside": (
        _write(
            "labels.txt",
            "".join(
                f"bg00{b}_fg00{f}_01\t30\t0\t9\t9\n" for b in "12" for f in "12"
            ).encode(),
        ),
        *("labels.txt, line ", "a box that ends at x=39, y=9", "32x24 pixels"),
    ),
}


class BadInputTest(ModestTestCase):
    @parameterized.named_parameters((name, *case) for name, case in BAD.items())
    def test_refused(self, spoil, *parts):
        write_source(self.source, 2, 2)
        spoil(self.source)
        # With two of each, a validation pair might leave nothing to train on.
        self.assert_refused(*parts, call=lambda: self.build(val_fraction=0))

    def test_no_sample_for_training(self):
        write_source(self.source, 2, 2)
        rows = (self.source / "file_map.txt").read_text().splitlines()
        for kept in itertools.combinations(rows, 2):
            (self.source / "file_map.txt").write_text("\n".join(kept))
            with contextlib.suppress(UserError):
                self.build(unseen_fraction=0.5)
                shutil.rmtree(self.data_dir)
                continue
            self.assert_refused(
                *("file_map.txt: no sample is left for training", "2 samples"),
                call=lambda: self.build(unseen_fraction=0.5),
            )
            return
        self.fail("no pair of lines left training empty")

    @parameterized.parameters("val_fraction", "unseen_fraction")
    def test_fractions(self, name):
        write_source(self.source, 1, 1)
        for value in (-0.1, 1, float("nan")):
            self.assert_refused(
                f"{name}: received {value}",
                call=lambda v=value: self.build(**{name: v}),
            )

    def test_depth_dtype(self):
        self.assert_refused(
            "depth_dtype: received 'float32'",
            call=lambda: original_layout.OriginalLayoutConfig(name="x", depth_dtype="float32"),
        )

    def test_data_dir_is_a_file(self):
        write_source(self.source, 1, 1)
        path = self.source.with_name("taken")
        path.write_bytes(b"")
        self.assert_refused(
            "data_dir: received", call=lambda: original_layout.build(self.source, path)
        )


NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="\t\n\r\ufeff"), min_size=1
).filter(lambda text: text == text.strip())
ROWS = st.lists(
    st.tuples(NAME, NAME, NAME, NAME), min_size=1, unique_by=lambda row: row[1]
)


class TablesTest(ModestTestCase):
    @hypothesis.given(ROWS, st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
    def test_reads_back_what_was_written(self, rows, end, mark):
        text = "".join("\t".join(row) + end for row in rows)
        content = text.encode("utf-8-sig" if mark else "utf-8")
        samples = tables.parse_file_map(content)
        self.assertEqual([(s.bg, s.fg_bg, s.mask, s.depth) for s in samples], rows)
        lines = text.split("\n")
        for sample in samples:
            self.assertIn(sample.fg_bg, lines[sample.line - 1])

    @hypothesis.given(
        st.one_of(st.binary(), st.text("a\t\n\x1e\u2028 1").map(str.encode)),
        st.sampled_from([tables.parse_file_map, tables.parse_labels]),
    )
    def test_any_bytes_are_read_or_refused_in_one_line(self, content, parse):
        try:
            parse(content)
        except UserError as error:
            self.assertLen(str(error).splitlines(), 1)

    @hypothesis.given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4))
    def test_boxes_read_back(self, numbers):
        content = "\t".join(["name", *map(repr, numbers)]).encode()
        box = tables.parse_labels(content)["name"]
        self.assertEqual([box.x, box.y, box.width, box.height], numbers)

    @parameterized.parameters(
        ("bg001_fg002_03", "bg001", "fg002"),
        ("office_cat_7", "office", "cat"),
        ("portrait", "plate", "portrait"),
        ("a_b", "plate", "a_b"),
        ("a_b_c_d", "plate", "a_b_c_d"),
    )
    def test_identities(self, name, bg_id, fg_id):
        sample = tables.MapRow(1, "plate", name, "m", "d")
        self.assertEqual((sample.bg_id, sample.fg_id), (bg_id, fg_id))


# TFDS's test case needs dill, which TFDS itself does not.
if importlib.util.find_spec("dill"):

    class BuilderTest(tfds.testing.DatasetBuilderTestCase):
        """TFDS's own checks, on a source in `manual_dir`."""

        DATASET_CLASS = original_layout.Builder
        SPLITS = {"train": 7, "val": 2, "unseen_bg": 3, "unseen_fg": 3, "unseen_both": 1}

        @classmethod
        def setUpClass(cls):
            folder = tempfile.TemporaryDirectory()
            cls.addClassCleanup(folder.cleanup)
            cls.EXAMPLE_DIR = write_source(Path(folder.name) / "manual")
            super().setUpClass()


if __name__ == "__main__":
    tf.test.main()
