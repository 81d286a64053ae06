"""Damaged records are found, named and left out, whatever is damaged."""

import contextlib
import functools
import shutil

import tensorflow as tf
from absl.testing import parameterized

from fuzzing.structures import wrong_length
from keras_depthseg.datasets.frames import read_frames
from keras_depthseg.datasets.inspection.damage import find_damage, open_without_damage
from keras_depthseg.datasets.inspection.stored_records import read_shard
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.datasets.stored_sample import parse
from keras_depthseg.pipeline import make_pipeline
from tests.support.damaged_records import FLIPS, KINDS, damage, flip
from tests.support.tiny_data import TinyDataTestCase


class DamageTest(TinyDataTestCase):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy"
        shutil.copytree(self.records, self.copy)
        self.shard = min(self.copy.glob("*-train.tfrecord-00001-*"))
        features = open_records(self.copy).features
        self.names = [parse(each, features).sample_id for each in read_shard(self.shard)]

    @functools.cached_property
    def every(self):
        features = open_records(self.records).features
        shards = sorted(self.records.glob("*-train.tfrecord-*"))
        # As `interleave` reads three shards of less than 16 records: one by one.
        records = (each for shard in shards for each in read_shard(shard))
        return [parse(each, features).sample_id for each in records]

    def read(self, records, **options):
        """The names of the samples of `train` that a training reads."""
        batches = make_pipeline(
            records, resolution=32, batch_size=4, whole_samples=True, **options
        )
        read = list(batches.as_numpy_iterator())
        self.assertLen(read, len(batches))
        return [name.decode() for batch in read for name in batch["sample_id"]]

    def assert_left_out(self, *numbers):
        records, found = open_without_damage(self.copy)
        shard = f"train {self.shard.name[-14:]}"
        for line, number in zip(found.lines, numbers, strict=True):
            self.assertStartsWith(line, f"{shard} record {number}: ")
        gone = [self.names[number] for number in numbers]
        self.assertEqual(records.size("train"), len(self.every) - len(numbers))
        self.assertEqual(
            self.read(records), [name for name in self.every if name not in gone]
        )
        return found

    def test_whole(self):
        self.assertEqual(find_damage(open_records(self.copy)).lines, [])
        self.assert_left_out()

    @parameterized.parameters(2**40, 2**62, 2**63, 2**64 - 17)
    def test_records_that_claim_to_be_huge(self, length):
        # With the right checksum: TensorFlow's reader ends the process.
        data = self.shard.read_bytes()
        frames = list(read_frames(self.shard))
        for number in (1, 0):
            at = frames[number - 1].end if number else 0
            damaged = data[:at] + wrong_length(length) + data[at + 12 :]
            self.shard.write_bytes(damaged)
            self.assertLen(list(self._readable()), number)
            self.assertIn("damaged", validate(self.copy).errors[0])
            self.assert_refused(
                lambda: open_records(self.copy), self.shard, f"record {number} of"
            )
            self.assert_left_out(number)

    def _readable(self):
        with contextlib.suppress(tf.errors.DataLossError):
            yield from read_shard(self.shard)

    def test_passes_that_are_shuffled(self):
        damage(self.shard, 3, "content")
        records, _ = open_without_damage(self.copy)
        one, again, other = (
            self.read(records, shuffle=True, epoch=epoch) for epoch in (2, 2, 3)
        )
        self.assertEqual(one, again)
        self.assertNotEqual(one, other)
        self.assertCountEqual(one, other)

    @parameterized.parameters(*KINDS)
    def test_every_kind(self, kind):
        text = damage(self.shard, 3, kind)
        found = self.assert_left_out(3)
        self.assertIn(text, found.lines[0])
        self.assertLen(found.lines[0].splitlines(), 1)

    @parameterized.parameters(*FLIPS)
    def test_at_the_ends_of_a_shard(self, kind):
        last = len(self.names) - 1
        # The last first: a length that is wrong hides the records after it.
        for number in (last, 0):
            flip(self.shard, number, FLIPS[kind])
        self.assert_left_out(0, last)

    def test_several_in_a_row(self):
        for number, kind in ((5, "length"), (4, "content")):
            damage(self.shard, number, kind)
        self.assert_left_out(4, 5)

    def test_cut_short(self):
        data = self.shard.read_bytes()
        self.shard.write_bytes(data[: len(data) * 2 // 3])
        records, found = open_without_damage(self.copy)
        last = f"train 00001-of-00003 record {len(self.names) - 1}: missing"
        self.assertStartsWith(found.lines[-1], last)
        self.assertEqual(
            records.size("train") + len(found.lines),
            open_records(self.records).size("train"),
        )
        self.assertLen(self.read(records), records.size("train"))

    def test_a_shard_is_missing(self):
        self.shard.unlink()
        records, found = open_without_damage(self.copy)
        self.assertLen(found.lines, len(self.names))
        self.assertIn("the file is missing", found.lines[0])
        self.assertLen(self.read(records), records.size("train"))

    def test_bytes_after_the_last_record(self):
        self.shard.write_bytes(self.shard.read_bytes() + b"more")
        records, found = open_without_damage(self.copy)
        self.assertIn("4 bytes after the last record", found.lines[0])
        self.assertEqual(self.read(records), self.every)
