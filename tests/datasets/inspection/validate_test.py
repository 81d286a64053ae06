"""Validation: what is damaged, wrong or leaking is named, and nothing else is."""

import io
import json
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets import rooms
from keras_depthseg.datasets.inspection.stored_records import read_shard
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.opening import open_records
from tests.support.compositions import build, compose_config, write_pictures
from tests.support.damaged_records import Fields, rewrite
from tests.support.tiny_data import (
    SIDE,
    RefusalTestCase,
    TinyDataTestCase,
    colour,
    encoded,
    grey,
    mask,
)


def changed(data, kind, change):
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return encoded(np.ascontiguousarray(change(pixels)), kind)


class ValidationTestCase(TinyDataTestCase):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy"
        shutil.copytree(self.records, self.copy)
        self.shard = self._shards("train")[1]

    def _shards(self, split):
        return sorted(self.copy.glob(f"*-{split}.tfrecord-*"))

    def _edit(self, **fields):
        """Sets fields of the first record of `self.shard`; returns its sample_id."""
        names = []

        def change(number, record):
            if number == 0:
                names.append(record["sample_id"].decode())
                for name, value in fields.items():
                    record[name] = value(record) if callable(value) else value

        rewrite(self.shard, change)
        return names[0]

    def _edit_json(self, name, change):
        path = self.copy / name
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def _assert_found(self, *expected, kind="errors"):
        """The report has these lines, each given by its parts, and no others."""
        report = validate(self.copy)
        found = {name: getattr(report, name) for name in ("errors", "warnings")}
        lines = found.pop(kind)
        self.assertEqual(list(found.values()), [[]])
        self.assertLen(lines, len(expected), lines)
        for line, parts in zip(lines, expected, strict=True):
            self.assertLen(line.splitlines(), 1)
            for part in parts:
                self.assertIn(str(part), line)
        return report


class SampleTest(ValidationTestCase):
    def test_whole(self):
        calls = []
        report = validate(self.copy, progress=lambda *done: calls.append(done))
        self.assertEqual((report.errors, report.warnings, report.notes), ([], [], []))
        self.assertEqual(report.samples, 64)
        self.assertEqual(report.splits, open_records(self.copy).splits)
        self.assertEqual(calls, [(i + 1, 64) for i in range(64)])
        self.assertIn("no errors, no warnings", report.lines()[-1])

    def test_cut_picture(self):
        name = self._edit(bg=lambda record: record["bg"][: len(record["bg"]) // 2])
        report = self._assert_found(
            ("train 00001-of-00003 record 0", name, "' bg: ", "truncated")
        )
        self.assertEqual(report.samples, 64)
        self.assertEqual(report.lines()[0], f"error: {report.errors[0]}")
        self.assertIn("1 error, no warnings", report.lines()[1])

    def test_names_of_any_length(self):
        self._edit(sample_id=b"x" * 9_000, bg=b"", bg_id=b"y" * 9_000)
        report = validate(self.copy)
        self.assertIn("'xxx", report.errors[0])
        self.assertLess(max(map(len, report.lines())), 500)

    @parameterized.parameters(
        ("fg_bg", encoded(colour(0, (SIDE, SIDE)), "png", "RGBA"), "alpha"),
        ("mask", encoded(colour(0, (SIDE, SIDE)), "png"), "RGB"),
        ("depth", encoded(grey(0, np.uint16, (SIDE, SIDE)), "png"), "16 bit"),
        ("bg", b"", "empty"),
    )
    def test_other_kinds(self, field, data, part):
        name = self._edit(**{field: data})
        self._assert_found((name, field, part))

    def test_other_size(self):
        name = self._edit(depth=encoded(grey(0, size=(SIDE, SIDE // 2))))
        self._assert_found((name, "differ in size", "bg 64x64", "depth 32x64"))

    @parameterized.parameters(
        ([0.1, float("nan"), 0.7, 0.6], "not within 0 to 1"),
        ([0.7, 0.3, 0.1, 0.6], "not ymin < ymax"),
        # The mask has rows 10 to 41 and columns 20 to 35.
        ([12.5 / 64, 0.0, 1.0, 1.0], "mask is 2.5 px outside"),
    )
    def test_boxes(self, box, part):
        name = self._edit(box=[11 / 64, 21 / 64, 41 / 64, 35 / 64])
        self._assert_found()
        self._edit(box=box)
        self._assert_found((name, part))

    def test_noise_of_jpeg_is_no_foreground(self):
        faint = np.full((SIDE, SIDE), 40, np.uint8)
        self._edit(mask=encoded(np.maximum(faint, mask((SIDE, SIDE)))))
        self._assert_found()
        name = self._edit(mask=encoded(faint))
        self._assert_found((name, "mask is empty"))
        self._edit(mask=encoded(faint, "png"))
        self._assert_found()

    def test_nothing_in_them(self):
        zeros = encoded(np.zeros((SIDE, SIDE), np.uint8), "png")
        name = self._edit(mask=zeros, depth=zeros)
        self._assert_found((name, "mask is empty"), (name, "depth is 0 everywhere"))

    def test_pair_without_foreground(self):
        zeros = encoded(np.zeros((SIDE, SIDE), np.uint8), "png")
        name = self._edit(
            mask=zeros, box=[0.0, 0.0, 0.0, 0.0], fg_bg=lambda record: record["bg"]
        )
        self._assert_found()
        self._edit(
            mask=zeros,
            box=[0.0, 0.0, 0.0, 0.0],
            fg_bg=lambda record: changed(record["bg"], "jpeg", lambda x: 255 - x),
        )
        self._assert_found((name, "outside the mask", "by 0 inside"), kind="warnings")
        self._edit(mask=zeros, box=[0.0, 0.0, 0.5, 0.5])
        self._assert_found((name, "mask is empty"))
        self._edit(mask=encoded(mask((SIDE, SIDE))), box=[0.0, 0.0, 0.0, 0.0])
        self._assert_found((name, "not ymin < ymax"))

    def test_inverted_mask(self):
        name = self._edit(
            mask=lambda record: changed(record["mask"], "png", lambda x: 255 - x),
            box=[0.0, 0.0, 1.0, 1.0],
        )
        self._assert_found((name, "outside the mask", "by 1 inside"), kind="warnings")

    @parameterized.named_parameters(
        (
            "of_another",
            {"mask": lambda old: np.roll(old, 24, axis=1)},
            "inside the mask",
        ),
        ("mirrored", {"mask": lambda old: old[:, ::-1]}, "of what differs is outside"),
        ("turned", {"mask": np.rot90}, "of what differs is outside; does the mask"),
        ("empty", {"mask": lambda old: 0 * old}, "nothing is opaque in the mask"),
        ("nothing_differs", {"fg_bg": None}, "is fg_bg the background, or does the mask"),
    )
    def test_mask_that_does_not_fit(self, changes, part):
        """The box is that of the mask, as in a data set built of such pictures."""

        def changing(field, change):
            if change is None:
                return lambda record: record["bg"]
            return lambda record: changed(record[field], "png", change)

        box = [0.0] * 4 if part.startswith("nothing is") else [0.0, 0.0, 1.0, 1.0]
        fields = {field: changing(field, change) for field, change in changes.items()}
        name = self._edit(box=box, **fields)
        self._assert_found((name, part), kind="warnings")

    def test_sample_id_twice(self):
        others = self._shards("val")[0]
        first = next(read_shard(self.shard))
        name = tf.train.Example.FromString(first).features.feature["sample_id"]
        name = name.bytes_list.value[0]

        def rename(number, record):
            if number == 0:
                record["sample_id"] = name

        rewrite(others, rename)
        self._assert_found(("val 0", name.decode(), "also that of train 00001-of"))


class ShardTest(ValidationTestCase):
    def _count(self):
        return sum(1 for _ in read_shard(self.shard))

    def test_missing(self):
        count = self._count()
        self.shard.unlink()
        report = self._assert_found(("train 00001-of-00003", self.shard, "missing"))
        self.assertEqual(report.samples, 64 - count)

    @parameterized.parameters("cut", "longer", "fewer")
    def test_damaged(self, how):
        count = self._count()
        data = bytearray(self.shard.read_bytes())
        whole, part = count - 1, f"damaged after {count - 1} records of {count}"
        match how:
            case "cut":
                del data[-10:]
            case "longer":
                data += b"x"
                whole, part = count, "damaged: 1 bytes after"
            case "fewer":
                del data[int.from_bytes(data[:8], "little") + 16 :]
                whole, part = 1, "it holds 1 records; dataset_info.json says"
        self.shard.write_bytes(bytes(data))
        report = self._assert_found((f"train 00001-of-00003: {part}",))
        self.assertEqual(report.samples, 64 - count + whole)

    def test_unparsable_records(self):
        records = list(read_shard(self.shard))
        without = tf.train.Example.FromString(records[1])
        del without.features.feature["mask"]
        records[:2] = b"\xff\xff", without.SerializeToString()
        with tf.io.TFRecordWriter(str(self.shard)) as writer:
            for record in records:
                writer.write(record)
        report = self._assert_found(
            ("train 00001-of-00003 record 0: it is not a tf.train.Example",),
            ("train 00001-of-00003 record 1: it has no mask",),
        )
        self.assertEqual(report.samples, 62)


class DataSetTest(ValidationTestCase):
    @parameterized.parameters(("std", -0.002, 1), ("mean", 5e-4, 0))
    def test_statistics(self, name, difference, lines):
        def change(metadata):
            metadata["statistics"]["fg_bg"][name][1] += difference

        self._edit_json("metadata.json", change)
        self._assert_found(*[("metadata.json", f"the {name} of fg_bg", "not (")] * lines)

    def test_other_depth_metadata(self):
        self._edit_json("metadata.json", lambda it: it["depth"].update(scale=10.0))
        self._assert_found(("metadata.json", "scale=10.0"))

    def test_without_metadata(self):
        (self.copy / "metadata.json").write_text("{}")
        self._assert_found(("depth has no unit",), ("no statistics",), kind="warnings")

    def test_masks_only(self):
        self._edit_json(
            "features.json", lambda it: it["featuresDict"]["features"].pop("depth")
        )
        self._edit_json("metadata.json", lambda it: it.update(depth={}))
        for split in open_records(self.copy).splits:
            for shard in self._shards(split):
                rewrite(shard, lambda number, record: record.__delitem__("depth"))
        report = self._assert_found()
        self.assertEqual(report.samples, 64)
        self.assertEqual(
            report.notes,
            ["no depth: a data set of masks only, on which only the mask is trained"],
        )

    def test_rooms_with_shadows(self):
        report = validate(rooms.build(self.folder, num_samples=60, size=32))
        self.assertEqual((report.errors, report.warnings), ([], []))
        self.assertEqual(report.samples, 60)


class CompositesTest(RefusalTestCase):
    """Composites, whose masks always fit: what was pasted may be the wrong part."""

    def _report(self, size=64, **options):
        pictures = write_pictures(self.folder / "pictures", size=size, height=24)
        if options.pop("inverted", False):
            for path in sorted((pictures / "fg").iterdir())[:2]:
                rgba = np.array(Image.open(path))
                rgba[..., 3] = 255 - rgba[..., 3]
                Image.fromarray(rgba).save(path)
        options = {"size": size, "fg_height": 24, "lossless": False, **options}
        config = compose_config(pictures, **options)
        return validate(build(config, self.folder / "data"))

    @parameterized.parameters("plain", "rich")
    def test_good(self, variety):
        options = {"fg_height": None, "count": 60} if variety == "rich" else {}
        report = self._report(variety=variety, shadow=0.8, **options)
        self.assertEqual((report.errors, report.warnings), ([], []))

    def test_inverted_cutouts(self):
        report = self._report(inverted=True)
        (line,) = report.warnings
        self.assertStartsWith(
            line, "2 of 6 cutouts (fg001: 00.png, fg002: 01.png): opaque"
        )
        self.assertEqual(report.errors, [])


class LeakTest(ValidationTestCase):
    def _first(self, split):
        """The first record of a split."""
        for shard in self._shards(split):
            for record in read_shard(shard):
                return Fields(tf.train.Example.FromString(record))

    def _set_all(self, split, key, value, **fields):
        """Sets fields of the records of a split whose `key` is `value`."""

        def change(number, record):
            if record[key] == value:
                for name, content in fields.items():
                    record[name] = content

        for shard in self._shards(split):
            rewrite(shard, change)

    @parameterized.parameters(
        ("bg_id", "unseen_bg", "background"), ("fg_id", "unseen_fg", "cutout")
    )
    def test_identity_in_train(self, key, split, kind):
        unseen = self._first(split)[key]
        self._edit(**{key: unseen})
        report = validate(self.copy)
        # The other samples of that id may be in unseen_both.
        (leak,) = (line for line in report.errors if "must not be in" in line)
        for part in ("leak", kind, repr(unseen.decode()), "train", split):
            self.assertIn(part, leak)

    @parameterized.parameters("same", "mirrored")
    def test_background_under_another_name(self, how):
        seen, unseen = self._first("train"), self._first("unseen_bg")
        picture = {
            "same": lambda data: data,
            "mirrored": lambda data: changed(data, "png", lambda x: x[:, ::-1]),
        }[how](seen["bg"])
        for split in ("unseen_bg", "unseen_both"):
            self._set_all(split, "bg_id", unseen["bg_id"], bg=picture, fg_bg=picture)
        how = ": the same picture" if how == "same" else "or nearly the same picture"
        lines = validate(self.copy).errors
        (leak,) = (line for line in lines if "background" in line)
        for part in (seen["bg_id"].decode(), unseen["bg_id"].decode(), "unseen_bg", how):
            self.assertIn(part, leak)

    def test_cutout_under_another_name(self):
        seen, unseen = self._first("train"), self._first("unseen_fg")
        for split in ("unseen_fg", "unseen_both"):
            self._set_all(split, "fg_id", unseen["fg_id"], fg_bg=seen["fg_bg"])
        (leak,) = validate(self.copy).errors
        for part in ("leak: cutouts", repr(seen["fg_id"].decode()), "unseen_fg"):
            self.assertIn(part, leak)
        self.assertIn(repr(unseen["fg_id"].decode()), leak)

    def test_random_split_shares_by_design(self):
        self._edit_json(
            "dataset_info.json",
            lambda info: info.update(
                splits=[it for it in info["splits"] if it["name"] in ("train", "val")]
            ),
        )
        train, val = self._first("train"), self._first("val")
        self._set_all("val", "bg_id", val["bg_id"], bg_id=train["bg_id"])
        report = self._assert_found()
        self.assertEqual(set(report.splits), {"train", "val"})
        self.assertLen(report.notes, 1)
        self.assertIn("only train and val", report.notes[0])
        self.assertIn(f"note: {report.notes[0]}", report.lines())
