"""From records to batches: every sample once, the same for the same seed, as stored."""

import functools
import shutil
from unittest import mock

import albumentations
import cv2
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_depthseg import pipeline
from keras_depthseg.callbacks.resolution import ResolutionScheduler
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.schedule import parse_schedule
from tests.support.tiny_data import (
    SIDE,
    TinyDataTestCase,
    encoded,
    grey,
    mask,
    remove_field,
)

sample_batches = functools.partial(make_pipeline, whole_samples=True)


class _Recorder(keras.Model):
    """Records the input of each step and learns nothing."""

    def __init__(self):
        super().__init__()
        self.built = True
        self.steps = []
        self.compile(run_eagerly=True)

    def train_step(self, sample):
        self.steps.append((list(sample["sample_id"].numpy()), sample["bg"].shape))
        return {"loss": tf.zeros(())}


class _EpochEnds(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.steps)
        self.model.steps = []


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

    def test_decodes_nothing_of_skipped_batches(self):
        with mock.patch.object(cv2, "imdecode", side_effect=ValueError("decoded")):
            batches = sample_batches(self.records, batch_size=5, skip=99)
            self.assertEmpty(list(batches))


class EverySampleOnceTest(TinyDataTestCase):
    def test_each_epoch_of_each_phase(self):
        records = open_records(self.records)
        everything = sorted(_ids(sample_batches(records, batch_size=5)))
        size = records.size("train")
        phases = parse_schedule("32:2:4,64:3:3,32:2:5,64:1:1,96:2:64")
        remainders = [size % phase.batch_size for phase in phases]
        self.assertGreater(sum(map(bool, remainders)), 2, "no partial last batch")
        ends = _EpochEnds()
        ResolutionScheduler(
            phases,
            train=lambda phase, epoch, step: sample_batches(
                records,
                resolution=phase.resolution,
                batch_size=phase.batch_size,
                shuffle=True,
                epoch=epoch,
                skip=step,
            ),
        ).fit(_Recorder(), callbacks=[ends], verbose=0)

        by_epoch = [phase for phase in phases for _ in range(phase.epochs)]
        self.assertLen(ends.epochs, len(by_epoch))
        for phase, steps in zip(by_epoch, ends.epochs, strict=True):
            seen = [name for ids, _ in steps for name in ids]
            self.assertEqual(sorted(seen), everything)
            sizes = [shape[0] for _, shape in steps]
            whole, rest = divmod(size, phase.batch_size)
            self.assertEqual(sizes, [phase.batch_size] * whole + [rest] * bool(rest))
            sides = {tuple(shape[1:3]) for _, shape in steps}
            self.assertEqual(sides, {(phase.resolution,) * 2})


class OrderTest(TinyDataTestCase):
    def _passes(self, count=2, **options):
        batches = sample_batches(
            self.records, resolution=32, batch_size=4, shuffle=True, **options
        )
        return [_fields(batches) for _ in range(count)]

    def test_same_seed_gives_the_same_passes_and_another_does_not(self):
        for first, second in zip(
            self._passes(seed=3, augment="original"),
            self._passes(seed=3, augment="original"),
            strict=True,
        ):
            self.assertEqual(first.keys(), second.keys())
            for name in first:
                self.assertAllEqual(first[name], second[name])
        (other,) = self._passes(1, seed=4)
        self.assertNotEqual(list(first["sample_id"]), list(other["sample_id"]))

    def test_the_second_pass_differs(self):
        first, second = self._passes(seed=3, augment="original")
        self.assertNotEqual(list(first["sample_id"]), list(second["sample_id"]))
        self.assertCountEqual(first["sample_id"], second["sample_id"])
        order = [np.argsort(fields["sample_id"]) for fields in (first, second)]
        for name in ("mask", "depth", "box"):
            self.assertAllEqual(first[name][order[0]], second[name][order[1]])
        for name in ("bg", "fg_bg"):
            images = first[name][order[0]], second[name][order[1]]
            unchanged = np.mean(
                [np.array_equal(*pair) for pair in zip(*images, strict=True)]
            )
            self.assertLess(unchanged, 0.5)

    def test_without_shuffling_order_is_that_of_the_records(self):
        batches = [sample_batches(self.records, resolution=32, seed=s) for s in (0, 1)]
        self.assertEqual(_ids(batches[0]), _ids(batches[1]))
        (shuffled,) = self._passes(1)
        self.assertNotEqual(_ids(batches[0]), list(shuffled["sample_id"]))

    def test_a_small_buffer_loses_nothing(self):
        with mock.patch.object(pipeline, "SHUFFLE_BUFFER_BYTES", 1):
            (fields,) = self._passes(1)
        everything = _ids(sample_batches(self.records, resolution=32))
        self.assertCountEqual(fields["sample_id"], everything)


class ContentTest(TinyDataTestCase):
    def _source(self, path):
        return np.asarray(Image.open(self.shared / "source" / path))

    def test_shapes_dtypes_and_ranges(self):
        for resolution in (32, 64, 96):
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

    def test_labels_stay_aligned_with_the_images(self):
        for resolution in (32, 96):
            batches = sample_batches(self.records, resolution=resolution)
            fields = _fields(batches)
            self.assertAllEqual(
                fields["mask"], fields["mask"][:1].repeat(len(fields["mask"]), 0)
            )
            opaque = fields["mask"][0, ..., 0] >= 0.5
            # All samples have one mask, so its edges stand out of their mean.
            changed = np.abs(np.int32(fields["bg"]) - np.int32(fields["fg_bg"]))
            changed = changed.mean((0, 3))
            changed = changed > 0.5 * changed.max()
            for axis, edges in ((1, (SIDE // 6, SIDE * 2 // 3)), (0, (20, 36))):
                expected = np.multiply(edges, resolution / SIDE)
                for picture in (opaque, changed):
                    inside = np.flatnonzero(picture.any(axis))
                    self.assertAllClose(inside[[0, -1]] + (0, 1), expected, atol=1.0)

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
        for name in ("bg", "fg_bg", "mask", "depth"):
            expected = plain[name].copy()
            expected[flipped] = expected[flipped, :, ::-1]
            self.assertAllEqual(passes[0][name], expected)
        # A resumed epoch continues with the same changes.
        rest = _fields(sample_batches(self.records, epoch=3, skip=2, **options))
        self.assertAllEqual(rest["fg_bg"], passes[0]["fg_bg"][10:])

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

    def test_passes_differ_without_shards_to_shuffle(self):
        batches = sample_batches(self.records, resolution=32, shuffle=True)
        orders = [_ids(batches) for _ in range(8)]
        self.assertGreater(len({tuple(order) for order in orders}), 2)
        self.assertLen({tuple(sorted(order)) for order in orders}, 1)

    def test_16_bit_depth_at_full_precision(self):
        for sample in sample_batches(self.records, resolution=SIDE).unbatch():
            cutout = int(sample["fg_id"].numpy()[2:])
            expected = grey(100 + cutout, "u2", (SIDE, SIDE))
            self.assertGreater(np.unique(expected).size, 256)
            self.assertAllEqual(
                sample["depth"][..., 0], np.float32(expected) / np.float32(65535)
            )


if __name__ == "__main__":
    tf.test.main()
