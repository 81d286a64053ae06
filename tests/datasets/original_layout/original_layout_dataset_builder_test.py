"""The builder of the original layout, on small pictures made here."""

import contextlib
import importlib.util
import io
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets import original_layout
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.original_layout import OriginalLayoutConfig
from keras_depthseg.errors import UserError
from tests.support.sources import SourceTestCase, merged, stored, zip_folders
from tests.support.tiny_data import (
    HEIGHT,
    WIDTH,
    colour,
    encoded,
    grey,
    mask,
    write_source,
)


class BuildTest(SourceTestCase):
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
        self.assertLen(stored(self.data_dir / "original_layout/1.1.0")["train"], 1)

    @parameterized.named_parameters(
        ("png", np.zeros((HEIGHT, WIDTH), np.uint8), "png", None),
        ("noise_of_jpeg", grey(0) // 64, "jpeg", None),
        ("label", np.zeros((HEIGHT, WIDTH), np.uint8), "png", "0\t0\t0\t0"),
        ("label_elsewhere", np.zeros((HEIGHT, WIDTH), np.uint8), "png", "3\t4\t0\t0"),
    )
    def test_a_pair_without_foreground_has_an_empty_box(self, pixels, suffix, label):
        self._write_mask(pixels, suffix, label)
        path = self.build(splitting="random", val_fraction=0)
        sample = merged(stored(path))["bg001_fg001_01"]
        self.assertAllEqual(sample["box"], [0, 0, 0, 0])
        self.assertEmpty(validate(path).errors)

    def _write_mask(self, pixels, suffix, label=None):
        """Two samples, the first with another mask and another box."""
        write_source(self.source, 1, 2)
        path = self.source / "fg_bg_mask/bg001_fg001_01_mask.png"
        path.unlink()
        path.with_suffix(f".{suffix}").write_bytes(encoded(pixels, suffix))
        if label is not None:
            (self.source / "labels.txt").write_text(
                f"bg001_fg001_01\t{label}\nbg001_fg002_01\t10\t4\t8\t12\n"
            )

    def test_a_faint_foreground_has_a_box(self):
        self._write_mask(np.where(mask(), 40 + grey(0) % 60, 0).astype(np.uint8), "png")
        path = self.build(splitting="random", val_fraction=0)
        sample = merged(stored(path))["bg001_fg001_01"]
        self.assertAllClose(sample["box"], [4 / 24, 10 / 32, 16 / 24, 18 / 32])
        self.assertEmpty(validate(path).errors)

    @parameterized.parameters(
        (np.zeros((HEIGHT, WIDTH), np.uint8), "2\t3\t4\t5", "received a box, but"),
        (mask(), "0\t0\t0\t0", "received an empty box, but"),
        (mask(), "10\t4\t8\t0", "received an empty box, but"),
    )
    def test_a_box_that_is_not_of_the_mask(self, pixels, label, said):
        self._write_mask(pixels, "png", label)
        self.assert_refused(
            *("labels.txt, line 1: ", said, "or 0, 0, 0, 0 without any"),
            call=lambda: self.build(splitting="random", val_fraction=0),
        )

    def test_zips_equal_folders(self):
        write_source(self.source)
        folders = stored(self.build())
        zip_folders(self.source)
        self.assertEqual(stored(self.build()), folders)

    def test_random_split_of_the_original(self):
        write_source(self.source, 6, 6)
        splits = stored(self.build(val_fraction=0.3, splitting="random"))
        self.assertEqual(list(splits), ["train", "val"])
        self.assertLen(merged(splits), 36)
        self.assertBetween(len(splits["val"]), 4, 18)
        with self.assertRaisesRegex(UserError, "`splitting`: received 'no'"):
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

    def test_equal_channels_become_one(self):
        write_source(self.source, 1, 1)
        data = encoded(np.repeat(grey(0)[..., None], 3, axis=2), "png")
        (self.source / "fg_bg_mask/bg001_fg001_01_mask.png").write_bytes(data)
        (sample,) = merged(stored(self.build())).values()
        result = Image.open(io.BytesIO(sample["mask"]))
        self.assertEqual((result.format, result.mode), ("PNG", "L"))
        self.assertAllEqual(np.asarray(result), grey(0))

    def test_black_and_white_mask_is_read_as_0_and_255(self):
        write_source(self.source, 1, 1)
        path = self.source / "fg_bg_mask/bg001_fg001_01_mask.png"
        path.write_bytes(encoded(mask() > 0, "png"))
        builder = tfds.builder_from_directory(self.build())
        (sample,) = tfds.as_numpy(builder.as_dataset(split="train"))
        self.assertAllEqual(sample["mask"][..., 0], mask())


class CacheTest(SourceTestCase):
    def test_second_build_changes_nothing(self):
        write_source(self.source, 1, 1)
        path = self.build()
        before = {file: file.stat().st_mtime_ns for file in path.iterdir()}
        self.assertEqual(self.build(), path)
        after = {file: file.stat().st_mtime_ns for file in path.iterdir()}
        self.assertEqual(after, before)
        config = OriginalLayoutConfig(name=path.parent.name, source=self.source)
        builder = original_layout.Builder(config=config, data_dir=self.data_dir)
        self.assertEqual(Path(builder.data_path), path)
        self.assertTrue(builder.is_prepared())

    def test_what_a_killed_build_left_is_removed(self):
        write_source(self.source, 1, 1)
        path = self.build()
        partial = path.with_name(f".{path.name}.partial")
        partial.mkdir()
        for name in ("lock", "a shard"):
            (partial / name).write_bytes(b"")
        self.assertEqual(self.build(), path)
        self.assertFalse(partial.exists())

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
        config = OriginalLayoutConfig(name="mine", source=self.source)
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
        self.assertEqual(os.listdir(self.data_dir / "original_layout/mine"), ["1.1.0"])


class RefusalTest(SourceTestCase):
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

    @parameterized.parameters(
        ("val_fraction", 1), ("unseen_fraction", float("nan")), ("depth_dtype", "float32")
    )
    def test_configuration(self, name, value):
        self.assert_refused(
            f"`{name}`: received {value!r}",
            call=lambda: OriginalLayoutConfig(name="x", **{name: value}),
        )

    def test_data_dir_is_a_file(self):
        write_source(self.source, 1, 1)
        self.data_dir = self.source / "file_map.txt"
        with self.assertRaisesRegex(UserError, "`data_dir` cannot be created: received"):
            self.build()


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
