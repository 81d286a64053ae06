"""From records to batches: every sample once, the same for the same seed, as stored."""

import functools
import shutil
from unittest import mock

import albumentations
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg.augment.changes import make_augmentation
from keras_depthseg.datasets import mixture
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.pipeline import make_pipeline
from tests.support.tiny_data import (
    SIDE,
    TinyDataTestCase,
    encoded,
    grey,
    mask,
    remove_field,
)

sample_batches = functools.partial(make_pipeline, whole_samples=True)


def _ids(batches):
    return [name for batch in batches for name in batch["sample_id"].numpy()]


def _fields(batches):
    """Every field of the whole pass as one array."""
    passed = list(batches.as_numpy_iterator())
    return {name: np.concatenate([b[name] for b in passed]) for name in passed[0]}


class SkipTest(TinyDataTestCase):
    def test_is_the_rest_of_the_pass(self):
        options = {"resolution": 32, "batch_size": 5, "shuffle": True, "epoch": 4}
        options["augment"] = "original"
        whole = list(sample_batches(self.records, **options).as_numpy_iterator())
        for skip in (0, 1, len(whole) - 1, len(whole)):
            batches = sample_batches(self.records, skip=skip, **options)
            self.assertLen(batches, len(whole) - skip)
            rest = list(batches.as_numpy_iterator())
            self.assertLen(rest, len(whole) - skip)
            for batch, expected in zip(rest, whole[skip:], strict=True):
                for name, value in expected.items():
                    np.testing.assert_array_equal(batch[name], value)

    def test_an_epoch_is_the_same_pass_again_and_again(self):
        options = {"resolution": 32, "batch_size": 5, "shuffle": True}
        options["augment"] = "original"
        passes = []
        for epoch in (0, 1, None):
            batches = sample_batches(self.records, epoch=epoch, **options)
            passes.append([_fields(batches), _fields(batches)])
        for first, second in passes[:2]:
            for name, value in first.items():
                np.testing.assert_array_equal(second[name], value)
        (a, _), (b, _), (c, d) = passes
        for one, other in ((a, b), (c, d), (a, c)):
            self.assertNotEqual(list(one["sample_id"]), list(other["sample_id"]))


class EverySampleOnceTest(TinyDataTestCase):
    def test_each_epoch_of_each_phase(self):
        records = open_records(self.records)
        everything = sorted(_ids(sample_batches(records, batch_size=5)))
        size = records.size("train")
        self.assertTrue(size % 7, "no partial last batch")
        for resolution, batch_size, epoch in ((32, 4, 0), (32, 4, 1), (64, 7, 2)):
            passed = list(
                sample_batches(
                    records,
                    resolution=resolution,
                    batch_size=batch_size,
                    shuffle=True,
                    epoch=epoch,
                )
            )
            self.assertEqual(sorted(_ids(passed)), everything)
            whole, rest = divmod(size, batch_size)
            self.assertEqual(
                [len(batch["bg"]) for batch in passed],
                [batch_size] * whole + [rest] * bool(rest),
            )
            for batch in passed:
                self.assertEqual(batch["bg"].shape[1:3], (resolution,) * 2)


class OrderTest(TinyDataTestCase):
    def _passes(self, count=2, **options):
        batches = sample_batches(
            self.records, resolution=32, batch_size=4, shuffle=True, **options
        )
        return [_fields(batches) for _ in range(count)]

    def test_follows_from_the_seed_and_the_pass(self):
        first, second = self._passes(seed=3, augment="original")
        (same,), (other,) = self._passes(1, seed=3, augment="original"), self._passes(1)
        for name in first:
            self.assertAllEqual(first[name], same[name])
        in_order = _ids(sample_batches(self.records, resolution=32, seed=3))
        orders = [list(x["sample_id"]) for x in (first, second, other)] + [in_order]
        self.assertLen({tuple(order) for order in orders}, 4)
        order = [np.argsort(fields["sample_id"]) for fields in (first, second)]
        for name in ("mask", "depth", "box"):
            self.assertAllEqual(first[name][order[0]], second[name][order[1]])
        self.assertNotAllEqual(first["bg"][order[0]], second["bg"][order[1]])

    def test_a_small_buffer_loses_nothing(self):
        with mock.patch.object(mixture, "SHUFFLE_BUFFER_BYTES", 1):
            (fields,) = self._passes(1)
        everything = _ids(sample_batches(self.records, resolution=32))
        self.assertCountEqual(fields["sample_id"], everything)


class ContentTest(TinyDataTestCase):
    def _source(self, path):
        return np.asarray(Image.open(self.shared / "source" / path))

    def test_shapes_dtypes_and_ranges(self):
        for resolution in (32, 96):
            batches = make_pipeline(self.records, resolution=resolution, batch_size=7)
            square = (resolution, resolution)
            for name in ("bg", "fg_bg"):
                spec = batches.element_spec[0][name]
                self.assertEqual(spec.shape.as_list(), [None, *square, 3])
            inputs, labels = next(iter(batches))
            self.assertEqual(
                (set(inputs), set(labels)), ({"bg", "fg_bg"}, {"depth", "mask"})
            )
            for image in inputs.values():
                self.assertEqual((image.dtype, image.shape), (tf.uint8, (7, *square, 3)))
                self.assertGreater(np.ptp(image), 100)
            for label in labels.values():
                self.assertEqual(
                    (label.dtype, label.shape), (tf.float32, (7, *square, 1))
                )
                self.assertAllInRange(label, 0.0, 1.0)
                self.assertGreater(np.max(label), 0.8)

    def test_images_are_those_of_the_source(self):
        for sample in sample_batches(
            self.records, resolution=SIDE, batch_size=4
        ).unbatch():
            name = sample["sample_id"].numpy().decode()
            bg_id, fg_id = (sample[key].numpy().decode() for key in ("bg_id", "fg_id"))
            self.assertEqual(name, f"{bg_id}_{fg_id}_01")
            self.assertAllClose(
                sample["box"], [SIDE // 6 / SIDE, 5 / 16, SIDE * 2 // 3 / SIDE, 9 / 16]
            )
            # Two JPEG decoders may round differently.
            for field, path in (
                ("bg", f"bg/{bg_id}.jpeg"),
                ("fg_bg", f"fg_bg/{name}.jpeg"),
            ):
                expected = self._source(path).astype(int)
                self.assertAllClose(sample[field].numpy().astype(int), expected, atol=2)
            self.assertAllEqual(sample["mask"][..., 0] * 255, mask((SIDE, SIDE)))
            depth = self._source(f"fg_bg_depth/{name}_depth_map.JPG") / 255
            self.assertAllClose(sample["depth"][..., 0], depth, atol=2 / 255)

    def test_every_split_and_a_missing_one(self):
        records = open_records(self.records)
        for split in records.builder.info.splits:
            self.assertLen(_ids(sample_batches(records, split)), records.size(split))
        self.assert_refused(
            lambda: make_pipeline(records, "test"),
            *(self.records, "no samples in split 'test'", "train, val"),
        )

    def test_records_without_boxes(self):
        data = self.folder / "records"
        shutil.copytree(self.records, data)
        remove_field(data, "box")
        options = {"resolution": 32, "augment": "shared"}
        (batch,) = sample_batches(data, **options).take(1)
        (expected,) = sample_batches(self.records, **options).take(1)
        self.assertNotIn("box", batch)
        self.assertAllEqual(batch["fg_bg"], expected["fg_bg"])

    def test_a_saved_pipeline_is_applied_and_follows_from_the_seed(self):
        path = self.folder / "flip.yaml"
        flip = albumentations.Compose([albumentations.HorizontalFlip(p=0.5)])
        albumentations.save(flip, path, data_format="yaml")
        options = {"resolution": 32, "batch_size": 5, "augment": str(path)}
        plain = _fields(sample_batches(self.records, resolution=32))
        passes = [
            _fields(sample_batches(self.records, seed=seed, epoch=3, **options))
            for seed in (0, 0, 1)
        ]
        self.assertAllEqual(passes[0]["fg_bg"], passes[1]["fg_bg"])
        self.assertNotAllEqual(passes[0]["fg_bg"], passes[2]["fg_bg"])
        flipped = (passes[0]["box"] != plain["box"]).any(axis=1)
        self.assertBetween(flipped.mean(), 0.2, 0.8)
        self.assertNotAllEqual(flipped[:5], flipped[5:10])  # Batches.
        for name in ("bg", "fg_bg", "mask", "depth"):
            expected = plain[name].copy()
            expected[flipped] = expected[flipped, :, ::-1]
            self.assertAllEqual(passes[0][name], expected)
        # A resumed epoch continues with the same changes.
        rest = _fields(sample_batches(self.records, epoch=3, skip=2, **options))
        self.assertAllEqual(rest["fg_bg"], passes[0]["fg_bg"][10:])

    def test_a_change_itself(self):
        options = {"resolution": 32, "seed": 1, "epoch": 0}
        by_name, itself = (
            _fields(sample_batches(self.records, augment=augment, **options))
            for augment in ("handheld", make_augmentation("handheld", 32))
        )
        for name in by_name:
            self.assertAllEqual(by_name[name], itself[name])

    def test_an_unknown_augmentation(self):
        self.assert_refused(
            lambda: make_pipeline(self.records, augment="bright"),
            *("'bright'", "none, original"),
        )


class OneShardTest(TinyDataTestCase):
    DATA = {
        "shards": 1,
        "backgrounds": 1,
        "cutouts": 9,
        "depth": lambda seed: encoded(grey(seed, "u2", (SIDE, SIDE)), "png"),
    }

    def test_16_bit_depth_at_full_precision(self):
        for sample in sample_batches(self.records, resolution=SIDE).unbatch():
            cutout = int(sample["fg_id"].numpy()[2:])
            expected = grey(100 + cutout, "u2", (SIDE, SIDE))
            self.assertGreater(np.unique(expected).size, 256)
            self.assertAllEqual(
                sample["depth"][..., 0], np.float32(expected) / np.float32(65535)
            )
