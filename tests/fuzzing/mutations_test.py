"""Damage follows from the seed, and structures stay what they are."""

import contextlib
import io
import json
import random
import zipfile

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from fuzzing import drawings, mutations, structures
from tests.support.tiny_data import RefusalTestCase

DATA = bytes(range(256)) * 3


class MutationsTest(RefusalTestCase):
    def test_the_seed_determines_the_damage(self):
        def damaged(seed):
            return [
                mutations.mutate(DATA, random.Random(f"{seed} {number}"))
                for number in range(200)
            ]

        self.assertEqual(damaged(1), damaged(1))
        self.assertNotEqual(damaged(1), damaged(2))
        changed = [data != DATA for data in damaged(1)]
        self.assertGreater(np.mean(changed), 0.95)

    @parameterized.parameters(
        *(mutations.flip_bit, mutations.change_byte, mutations.cut_end),
        *(mutations.cut_out, mutations.repeat, mutations.swap, mutations.blank),
        *(mutations.overwrite_boundary, mutations.insert_boundary),
        mutations.append_noise,
    )
    def test_every_kind_changes_bytes_of_any_length(self, mutation):
        rng = random.Random(0)
        for data in (b"", b"a", b"ab", DATA[:100], DATA):
            results = {mutation(data, rng) for _ in range(50)}
            if len(data) > 50:
                self.assertNotEqual(results, {data})


class StructuresTest(RefusalTestCase):
    def test_records_are_framed_as_tensorflow_does(self):
        records = [b"", b"one", DATA]
        path = self.folder / "shard"
        path.write_bytes(b"".join(map(structures.framed, records)))
        found = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
        self.assertEqual(found, records)
        path.write_bytes(structures.wrong_length(7) + b"1234567" + bytes(4))
        with self.assertRaisesRegex(tf.errors.DataLossError, "at 12"):
            list(tf.data.TFRecordDataset(str(path)))

    def test_chunks_of_a_png(self):
        data = drawings.encoded(drawings.plate(0))
        self.assertEqual(structures.png_of(structures.png_chunks(data)), data)
        self.assertFalse(structures.is_png_with_wrong_sums(data))
        for at in (20, len(data) // 2, len(data) - 6):
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            self.assertTrue(structures.is_png_with_wrong_sums(flipped))
            self.assertTrue(structures.is_png_with_wrong_sums(data[:at]))
        opened = 0
        for number in range(60):
            damaged = structures.mutate_png(data, random.Random(number))
            try:
                Image.open(io.BytesIO(damaged)).verify()
                opened += 1
            except Exception:  # Of all kinds.
                continue
        self.assertGreater(opened, 20)

    def test_json_stays_json(self):
        text = json.dumps({"a": [1, 2.5, "x"], "b": {"c": None}}).encode()
        parsed = set()
        for number in range(100):
            damaged = structures.mutate_json(text, random.Random(number))
            with contextlib.suppress(ValueError):
                parsed.add(repr(json.loads(damaged)))
        self.assertGreater(len(parsed), 40)

    def test_tables_and_zips(self):
        table = b"a\tb\n1\t2\n"
        tables = {
            structures.mutate_table(table, random.Random(n), b"\t") for n in range(50)
        }
        self.assertGreater(len(tables), 30)
        packed = structures.zip_of([("a.txt", b"one"), ("b.txt", b"two")])
        self.assertEqual(
            packed, structures.zip_of([("a.txt", b"one"), ("b.txt", b"two")])
        )
        contents = set()
        for number in range(100):
            damaged = structures.mutate_zip(
                packed, random.Random(number), lambda name, content, rng: b"changed"
            )
            with (
                contextlib.suppress(zipfile.BadZipFile, RuntimeError, ValueError),
                zipfile.ZipFile(io.BytesIO(damaged)) as archive,
            ):
                contents |= {archive.read(name) for name in archive.namelist()}
        self.assertIn(b"changed", contents)
