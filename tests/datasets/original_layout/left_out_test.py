"""What cannot be used is named, all of it, and left out where somebody asks for that."""

import logging
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import opening, original_layout
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.pipeline import make_pipeline
from tests.support.sources import SourceTestCase, merged, stored, zip_folders
from tests.support.tiny_data import colour, encoded, write_source

LOGGER = "keras_depthseg.datasets.original_layout"


class LeftOutTestCase(SourceTestCase):
    def setUp(self):
        super().setUp()
        write_source(self.source, 6, 6)

    def cut(self, *names):
        for name in names:
            path = self.source / f"fg_bg/{name}.jpeg"
            path.write_bytes(path.read_bytes()[:-20])

    def spoil(self):
        """Four kinds of damage to five samples, one of which has two."""
        self.cut("bg001_fg001_01", "bg004_fg002_01")
        (self.source / "fg_bg_mask/bg002_fg003_01_mask.png").unlink()
        odd = self.source / "fg_bg/bg002_fg003_01.jpeg"
        odd.write_bytes(encoded(colour(0, (8, 8))))
        (self.source / "fg_bg_depth/bg003_fg003_01_depth_map.JPG").write_bytes(b"text")
        (self.source / "fg_bg_mask/bg006_fg006_01_mask.png").write_bytes(
            encoded(np.full((24, 32), 3, np.uint8), "png")
        )
        names = ["bg001_fg001", "bg004_fg002", "bg002_fg003", "bg003_fg003"]
        return [f"{name}_01" for name in (*names, "bg006_fg006")]

    def logged(self, **settings):
        """The folder of the records, and all that was logged while they were built."""
        with self.assertLogs(LOGGER, logging.INFO) as logs:
            logging.getLogger(LOGGER).info("begun")
            path = self.build(**settings)
        return path, [record.getMessage() for record in logs.records[1:]]

    def refusal(self, *parts, **settings):
        """What is logged, with the refusal, which has `parts`."""
        with self.assertLogs(LOGGER, logging.ERROR) as logs:
            self.assert_refused(*parts, call=lambda: self.build(**settings))
        return [record.getMessage() for record in logs.records]


class RefusedTest(LeftOutTestCase):
    def test_all_bad_samples_are_named_at_once(self):
        names = self.spoil()
        # What is missing is found without reading a picture.
        self.assert_refused("fg_bg_mask/bg002_fg003_01_mask.jpeg / .jpg / .png. Add")
        lines = (self.source / "file_map.txt").read_text().splitlines()
        kept = [line for line in lines if "bg002_fg003_01" not in line]
        (self.source / "file_map.txt").write_text("\n".join(kept))
        logged = self.refusal("4 of 35 samples cannot be used, for 3 more reasons, above")
        self.assertLen(logged, 3)
        with self.assertRaisesRegex(Exception, "cannot be used") as caught:
            self.build()
        for name in set(names) - {"bg002_fg003_01"}:
            found = [line for line in (*logged, str(caught.exception)) if name in line]
            self.assertLen(found, 1)

    def test_twenty_are_named(self):
        rows = (self.source / "file_map.txt").read_text().splitlines()
        self.cut(*(row.split("\t")[1] for row in rows[:30]))
        logged = self.refusal("30 of", "for 29 more reasons, the first of them above")
        self.assertLen(logged, 19)

    def test_twenty_of_those_that_are_missing(self):
        for path in sorted((self.source / "fg_bg_depth").iterdir())[3:]:
            path.unlink()
        logged = self.refusal("33 of 36 samples", "for 32 more reasons")
        self.assertLen(logged, 19)

    def test_a_background_is_named_once(self):
        (self.source / "bg/bg002.jpeg").write_bytes(b"")
        self.assert_refused("bg/bg002.jpeg: received an empty file", "`skip_damaged`")

    def test_a_zip_is_named_once(self):
        zip_folders(self.source)
        (self.source / "fg_bg/bg003.zip").write_bytes(b"PK")
        self.assert_refused("bg003.zip: received a damaged or unsupported zip")


class SkippedTest(LeftOutTestCase):
    def test_the_good_ones_are_kept_and_the_others_named(self):
        whole = merged(stored(self.build()))
        names = self.spoil()
        path, lines = self.logged(skip_damaged=True)
        found = merged(stored(path))
        self.assertEqual(found.keys(), whole.keys() - set(names))
        for name, sample in found.items():
            self.assertEqual(sample, whole[name])
        for name in names:
            self.assertLen([line for line in lines if name in line], 1)
        self.assertIn("5 of 36 samples are left out, all of them named in", lines[-1])
        rows = (path / "findings.txt").read_text().splitlines()
        self.assertCountEqual([row.split("\t")[0] for row in rows], names)
        self.assertEqual(opening.open_records(path).metadata["left_out"], 5)
        _, (line,) = self.logged(skip_damaged=True)
        self.assertIn("5 left out; named in", line)
        # Without the option they are refused as before.
        self.assert_refused_again()

    def assert_refused_again(self):
        with self.assertRaisesRegex(Exception, "fg_bg_mask/bg002_fg003_01_mask"):
            self.build()

    def test_such_records_are_sound(self):
        self.spoil()
        path, _ = self.logged(skip_damaged=True, splitting="random")
        self.assertEmpty(validate(path).errors)
        inputs, _ = next(iter(make_pipeline(path, resolution=32, batch_size=4)))
        self.assertEqual(inputs["bg"].shape, (4, 32, 32, 3))

    def test_nothing_to_skip(self):
        path = self.build()
        self.assertEqual(self.build(skip_damaged=True), path)

    def test_more_than_twenty(self):
        rows = (self.source / "file_map.txt").read_text().splitlines()
        self.cut(*(row.split("\t")[1] for row in rows[:30]))
        path, lines = self.logged(skip_damaged=True, splitting="random")
        self.assertLen(lines, 21)
        self.assertLen((path / "findings.txt").read_text().splitlines(), 30)

    def test_splits_and_shards_without_a_sample_are_left_out(self):
        settings = {"source": self.source, "skip_damaged": True}
        config = original_layout.OriginalLayoutConfig(name="all", **settings)
        splits = stored(self._built(config))
        self.assertLen(splits, 5)
        # All of one split, and much of the others.
        names = [*splits["val"], *list(splits["train"])[4:]]
        self.cut(*names)
        config = original_layout.OriginalLayoutConfig(name="some", **settings)
        path = self._built(config)
        found = stored(path)
        self.assertEqual(list(found), [name for name in splits if name != "val"])
        self.assertEqual(found["train"].keys(), splits["train"].keys() - set(names))
        lengths = tfds.builder_from_directory(path).info.splits["train"].shard_lengths
        self.assertEqual(sum(lengths), 4)
        self.assertNotIn(0, lengths)
        opening.open_records(path)

    def _built(self, config):
        builder = original_layout.Builder(config=config, data_dir=self.data_dir)
        shards = tfds.download.DownloadConfig(num_shards=8)
        builder.download_and_prepare(download_config=shards)
        return Path(builder.data_path)

    def test_nothing_good_is_refused(self):
        for path in (self.source / "bg").iterdir():
            path.write_bytes(b"")
        logged = self.refusal("36 of 36 samples cannot be used", skip_damaged=True)
        self.assertLen(logged, 5)
