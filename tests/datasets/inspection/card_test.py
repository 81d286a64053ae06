"""Data cards: numbers against plain NumPy, one file, the same bytes every time."""

import base64
import io
import json
import shutil

import cv2
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from keras_depthseg.datasets.inspection.card import write_card
from keras_depthseg.datasets.inspection.card_pictures import depth_picture
from keras_depthseg.datasets.inspection.card_statistics import Draw, collect
from keras_depthseg.datasets.inspection.levels import Levels
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.datasets.stored_sample import StoredSample
from tests.support.html_pages import Page
from tests.support.tiny_data import TinyDataTestCase, encoded, grey, remove_field


class CardPage(Page):
    """A data card."""

    def row(self, first):
        """The other cells of the row that begins with `first`."""
        return next(row[1:] for row in self.rows if row[0] == first)

    def numbers(self, first):
        return [[float(x) for x in cell.split(", ")] for cell in self.row(first)]

    def picture(self, alt):
        data = base64.b64decode(self.pictures[alt].partition("base64,")[2])
        return np.asarray(Image.open(io.BytesIO(data)))


def moments(images):
    """Mean and standard deviation a channel, in 0..1, of plain pixels."""
    images = [np.atleast_3d(image) for image in images]
    pixels = np.concatenate([x.reshape(-1, x.shape[-1]) for x in images])
    pixels = pixels / np.iinfo(images[0].dtype).max
    return [pixels.mean(axis=0), pixels.std(axis=0)]


class CardTestCase(TinyDataTestCase):
    def _card(self, data_dir):
        path = self.folder / "card.html"
        write_card(data_dir, path)
        return CardPage(path.read_text(encoding="utf-8"))

    def _samples(self, data_dir=None):
        """Decoded samples; JPEG by OpenCV, as training does it."""
        builder = tfds.builder_from_directory(data_dir or self.records)
        flags = dict.fromkeys(("bg", "fg_bg"), cv2.IMREAD_COLOR_RGB)
        if "depth" in builder.info.features:
            flags["depth"] = cv2.IMREAD_ANYDEPTH
        encoded = dict.fromkeys(flags, tfds.decode.SkipDecoding())
        samples = []
        for split in builder.info.splits:
            for sample in tfds.as_numpy(builder.as_dataset(split, decoders=encoded)):
                for field, flag in flags.items():
                    data = np.frombuffer(sample[field], np.uint8)
                    sample[field] = cv2.imdecode(data, flag)
                samples.append(sample)
        return samples

    def _copy_with(self, **metadata):
        copy = self.folder / "copy"
        shutil.copytree(self.records, copy)
        path = copy / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **metadata}))
        return copy

    def _copy_with_a_shared_background(self):
        """A copy in which `bg002` has the picture of `bg001`."""
        copy = self._copy_with()
        first = {}
        for shard in sorted(copy.glob("*.tfrecord-*")):
            records = []
            for record in tf.data.TFRecordDataset(str(shard)):
                example = tf.train.Example.FromString(record.numpy())
                fields = example.features.feature
                name = fields["bg_id"].bytes_list.value[0]
                if name in (b"bg001", b"bg002"):
                    plate = first.setdefault("bg", fields["bg"].bytes_list.value[0])
                    fields["bg"].bytes_list.value[0] = plate
                records.append(example.SerializeToString())
            with tf.io.TFRecordWriter(str(shard)) as writer:
                for record in records:
                    writer.write(record)
        return copy


class CardTest(CardTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.page_path = cls.shared / "card.html"
        write_card(cls.records, cls.page_path)
        cls.page = CardPage(cls.page_path.read_text(encoding="utf-8"))

    def test_one_page_of_its_own(self):
        page = self.page
        self.assertEqual(page.open, [])
        self.assertContainsSubset({"h1", "table", "img", "style"}, page.tags)
        self.assertEmpty(page.tags & {"script", "link", "iframe"})
        links = [value for name, value in page.attributes if name in ("src", "href")]
        self.assertTrue(all(link.startswith("data:image/") for link in links))
        for alt in page.pictures:
            self.assertGreater(page.picture(alt).size, 0, alt)
        self.assertLess(self.page_path.stat().st_size, 4 * 2**20)

    def test_counts(self):
        page = self.page
        data_set = open_records(self.records)
        self.assertIn("64 samples of 8 backgrounds (8 distinct pictures)", page.text)
        for split, count in data_set.splits.items():
            self.assertEqual(page.row(split)[0], str(count))
        self.assertEqual(sum(int(page.row(s)[1]) for s in ("train", "unseen_bg")), 8)
        self.assertEqual(page.row("picture sizes"), ["64 x 64 px: 64"])
        self.assertIn("relative, without a unit; larger is farther", page.row("depth")[0])

    def test_statistics_equal_numpy_and_duplicates_are_named(self):
        copy = self._copy_with_a_shared_background()
        page = self._card(copy)
        self.assertIn("8 backgrounds: no pairs", self.page.text)
        self.assertIn("8 backgrounds: 1 pair ", page.text)
        self.assertIn("distance 0: bg001 (", page.text)
        self.assertIn("8 backgrounds (7 distinct pictures)", page.text)
        self.assertContainsSubset({"bg001", "bg002"}, page.pictures)
        samples = self._samples(copy)
        distinct = {sample["bg"].tobytes(): sample["bg"] for sample in samples}
        self.assertLen(distinct, 7)
        expected = moments(distinct.values())
        self.assertAllClose(page.numbers("Background (bg)"), expected, rtol=0, atol=1e-4)
        # Sample by sample one background would count twice.
        weighed = moments([sample["bg"] for sample in samples])
        self.assertNotAllClose(weighed, expected, rtol=0, atol=1e-4)
        for field, title in (
            ("fg_bg", "Composite (fg_bg)"),
            ("mask", "Mask"),
            ("depth", "Depth"),
        ):
            expected = moments([sample[field] for sample in samples])
            self.assertAllClose(page.numbers(title), expected, rtol=0, atol=1e-4)

    def test_where_the_foreground_is(self):
        collected = collect(open_records(self.records), seed=0)
        samples = self._samples()
        self.assertNear(
            collected.heat.mean(), np.mean([x["mask"] for x in samples]) / 255, 1e-3
        )
        self.assertEqual(collected.heat[0, 0], 0)
        self.assertNear(collected.heat[20, 24], 1, 1e-6)
        box = samples[0]["box"]
        height, width = int((box[2] - box[0]) * 40), int((box[3] - box[1]) * 40)
        self.assertEqual(collected.boxes[height, width], 64)
        area = int(samples[0]["mask"].mean() / 255 * 50)
        self.assertEqual(collected.areas[area], 64)

    def test_same_bytes(self):
        second, other = self.folder / "1.html", self.folder / "2.html"
        copy = self.folder / "elsewhere"
        shutil.copytree(self.records, copy)
        write_card(copy, second)
        write_card(self.records, other, seed=1)
        self.assertEqual(self.page_path.read_bytes(), second.read_bytes())
        self.assertNotEqual(second.read_bytes(), other.read_bytes())
        self.assertNotIn(str(copy), second.read_text())

    def test_pictures_are_those_of_the_samples(self):
        page = self.page
        samples = {sample["sample_id"].decode(): sample for sample in self._samples()}
        shown = [alt for alt in page.pictures if alt.startswith("Composite (fg_bg) of")]
        self.assertGreater(len(shown), 10)
        for alt in shown:
            sample = samples[alt.split()[-1]]
            expected = sample["fg_bg"].astype(int)
            self.assertLess(np.abs(page.picture(alt) - expected).mean(), 12)
            # JPEG halves the colour resolution; of another sample it would be 85.
            bg = page.picture(alt.replace("Composite (fg_bg)", "Background (bg)"))
            self.assertLess(np.abs(bg - sample["bg"].astype(int)).mean(), 40)
            mask = page.picture(alt.replace("Composite (fg_bg)", "Mask"))
            difference = mask - sample["mask"][..., 0].astype(int)
            self.assertLess(np.abs(difference).max(), 24)

    def test_checksums(self):
        page = self.page
        shard = min(self.records.glob("*.tfrecord-*"))
        size, digest = page.row(shard.name)
        expected = tf.io.gfile.GFile(str(shard), "rb").read()
        self.assertEqual(size, f"{len(expected):,}")
        self.assertLen(digest, 64)
        files = {path.name for path in self.records.iterdir()}
        self.assertContainsSubset(files, {row[0] for row in page.rows if row})

    def test_sources_and_licences_are_text(self):
        page = self._card(
            self._copy_with(
                sources={"bg001": {"file": "<b>office</b>.jpg", "sha256": "ab" * 32}},
                licences={"bg": "CC0 & others", "fg": "<script>alert(1)</script>"},
            )
        )
        self.assertEqual(page.row("bg001"), ["<b>office</b>.jpg", "ab" * 32])
        self.assertEqual(page.row("backgrounds"), ["CC0 & others"])
        self.assertEqual(page.row("cutouts"), ["<script>alert(1)</script>"])
        self.assertNotIn("script", page.tags)

    def test_masks_only(self):
        copy = self._copy_with(depth={})
        remove_field(copy, "depth")
        page = self._card(copy)
        self.assertEqual(page.row("depth"), ["none: a data set of masks only"])
        self.assertNotIn("Depth", [row[0] for row in page.rows if row])
        self.assertFalse([alt for alt in page.pictures if "Depth" in alt])

    def test_refusals(self):
        path = self.folder / "card.html"
        away = self.folder / "no" / "card.html"
        self.assert_refused(lambda: write_card(self.records, away), "no folder", away)
        taken = self.folder / "taken.html"
        taken.mkdir()
        self.assert_refused(
            lambda: write_card(self.records, taken), taken, "cannot be written"
        )
        copy = self._copy_with()
        shard = min(copy.glob("*-train.tfrecord-*"))
        shard.write_bytes(shard.read_bytes()[:-20])
        last = f"train {shard.name[-14:]} record"
        self.assert_refused(lambda: write_card(copy, path), copy, last, "damaged")
        shard.unlink()
        self.assert_refused(
            lambda: write_card(copy, path), copy, f"{last} 0: it is missing"
        )
        self.assertCountEqual(
            [item.name for item in self.folder.iterdir()], ["copy", "taken.html"]
        )


class MetricCardTest(CardTestCase):
    DATA = {
        "backgrounds": 4,
        "cutouts": 4,
        "shards": 1,
        "depth": lambda seed: encoded(_half_measured(seed), "png"),
    }

    def test_no_measurement_is_left_out(self):
        copy = self._copy_with(
            depth={"unit": "metre", "scale": 10.0, "direction": "larger is farther"}
        )
        page = self._card(copy)
        self.assertIn("in metres: 1 is 10.0 m; larger is farther", page.row("depth")[0])
        self.assertIn("0 to 65,535", page.row("depth")[0])
        self.assertIn("(50.00% of the pixels", page.row("depth")[0])
        depths = [sample["depth"] for sample in self._samples(copy)]
        measured = moments([depth[depth > 0][:, None] for depth in depths])
        self.assertAllClose(page.numbers("Depth"), measured, rtol=0, atol=1e-4)


def _half_measured(seed):
    depth = np.maximum(grey(seed, np.uint16, (64, 64)), 1)
    depth[:32] = 0
    return depth


class PartsTest(tf.test.TestCase):
    def test_levels_equal_numpy(self):
        rng = np.random.default_rng(0)
        for dtype, channels in ((np.uint8, 3), (np.uint16, 1)):
            top = np.iinfo(dtype).max
            images = rng.integers(0, top, (3, 5, 7, channels), dtype, endpoint=True)
            levels = Levels(channels, dtype)
            for image in images:
                levels.update(image)
            pixels = images.reshape(-1, channels) / top
            self.assertAllClose(levels.mean(), pixels.mean(axis=0), atol=1e-9)
            self.assertAllClose(levels.std(), pixels.std(axis=0), atol=1e-9)
            self.assertAllClose(levels.shares().sum(axis=1), np.ones(channels))
            edges = np.linspace(0, top + 1, 65)
            expected = np.histogram(images[..., 0], edges)[0] / images[..., 0].size
            self.assertAllClose(levels.shares()[0], expected)
        self.assertAllEqual(np.isnan(Levels(1).mean()), [True])

    def test_draws_do_not_depend_on_the_order(self):
        samples = [
            StoredSample(b"", b"", b"", None, f"s{i:02}", f"b{i % 9}", None, None)
            for i in range(60)
        ]
        draws = []
        for order in (samples, samples[::-1]):
            draw = Draw(4, seed=0)
            for sample in order:
                draw.offer(sample.bg_id, sample)
            draws.append(draw.drawn())
        self.assertEqual(*draws)
        self.assertLen({name for name, _ in draws[0]}, 4)
        self.assertTrue(all(name == sample.bg_id for name, sample in draws[0]))

    def test_depth_near_is_bright(self):
        depth = np.tile(np.arange(1, 101, dtype=np.uint16), (4, 1))
        depth[0] = 0
        colours = depth_picture(depth, metric=True).astype(int).sum(axis=-1)
        self.assertGreater(colours[1, 0], colours[1, 50])
        self.assertGreater(colours[1, 50], colours[1, 99])
        self.assertAllEqual(np.unique(depth_picture(depth, metric=True)[0]), [160])
        self.assertGreater(depth_picture(depth, metric=False)[0].sum(axis=-1).min(), 480)
        nothing = depth_picture(np.zeros((4, 4), np.uint8), metric=True)
        self.assertAllEqual(np.unique(nothing), [160])
