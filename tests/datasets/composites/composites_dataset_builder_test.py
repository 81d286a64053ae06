"""Records of composites, against NumPy and the metadata; the same bytes everywhere."""

import dataclasses
import itertools

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from keras_depthseg.datasets import opening
from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from keras_depthseg.errors import UserError
from keras_depthseg.pipeline import make_pipeline
from tests.support.compositions import (
    HEIGHT,
    SIZE,
    CompositesTestCase,
    build,
    compose_config,
    contents,
    over,
    run_process,
    samples,
)


class RecordsTest(CompositesTestCase):
    def test_masks_and_pictures_equal_numpy(self):
        path = build(self.config(flip=True), self.folder)
        metadata = tfds.builder_from_directory(path).info.metadata
        found = {}
        for sample in samples(path):
            name = sample["sample_id"].decode()
            self.assertNotIn(name, found)
            found[name] = sample
            bg_id, fg_id, place = name.split("_")
            self.assertEqual(sample["bg_id"].decode(), bg_id)
            self.assertEqual(sample["fg_id"].decode(), fg_id)
            plate = Image.open(self.pictures / "bg" / metadata["sources"][bg_id]["file"])
            self.assertAllEqual(sample["bg"], np.asarray(plate))
            file = self.pictures / "fg" / metadata["sources"][fg_id]["file"]
            rgba = np.asarray(Image.open(file))[4:-4, 4:-4]
            if int(place) % 2 == 0:
                rgba = rgba[:, ::-1]
            top, left, bottom, right = np.round(sample["box"] * SIZE).astype(int)
            self.assertAllClose(sample["box"] * SIZE, [top, left, bottom, right])
            self.assertEqual((bottom - top, right - left), rgba.shape[:2])
            picture, mask = over(sample["bg"], rgba, top, left)
            self.assertAllEqual(sample["mask"][..., 0], mask)
            self.assertAllClose(sample["fg_bg"], picture, rtol=0, atol=1)
            clear = mask == 0
            self.assertAllEqual(sample["fg_bg"][clear], sample["bg"][clear])
        every = itertools.product(range(1, 7), range(1, 7), range(1, 5))
        names = ["bg{:03}_fg{:03}_{:02}".format(*numbers) for numbers in every]
        self.assertEqual(sorted(found), names)
        boxes = {tuple(sample["box"]) for sample in found.values()}
        self.assertGreater(len(boxes), 120, "each place has its own random numbers")

    def test_depth_and_statistics(self):
        path = build(self.config(depth=self.depth), self.folder)
        opened = opening.open_records(path)
        self.assertEqual((opened.depth["unit"], opened.depth["scale"]), ("metre", 10.0))
        pixels = {"bg": [], "fg_bg": []}
        hidden = 0
        for sample in samples(path):
            index = int(sample["bg_id"][2:]) - 1
            levels = np.asarray(Image.open(self.pictures / f"depth/{index:02}.png"))
            expected = levels / 10_000 * 65535
            mask, depth = sample["mask"][..., 0], sample["depth"][..., 0]
            its = mask >= 128
            self.assertLen(set(depth[its].tolist()), 1)
            self.assertAllClose(depth[~its], expected[~its], rtol=0, atol=0.51)
            self.assertAllEqual(depth[~its] == 0, levels[~its] == 0)
            # Nothing known is seen behind what is nearer.
            known = its & (levels > 0)
            self.assertAllInRange(depth[known] / expected[known], 0, 1.025)
            rows, columns = np.nonzero(mask)
            edges = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
            self.assertAllClose(sample["box"] * SIZE, edges)
            hidden += bool(rows.max() + 1 - rows.min() < HEIGHT)
            if sample["split"] == "train":
                for field, found in pixels.items():
                    found.append(sample[field] / 255)
        self.assertGreater(hidden, 3)
        for field, found in pixels.items():
            statistics = opened.statistics[field]
            self.assertAllClose(statistics["mean"], np.mean(found, (0, 1, 2)), 0, 1e-4)
            self.assertAllClose(statistics["std"], np.std(found, (0, 1, 2)), 0, 1e-4)
        inputs, targets = next(iter(make_pipeline(opened, resolution=SIZE, batch_size=4)))
        shapes = {name: tuple(value.shape) for name, value in (inputs | targets).items()}
        self.assertEqual(shapes["fg_bg"], (4, SIZE, SIZE, 3))
        self.assertEqual(shapes["depth"], (4, SIZE, SIZE, 1))

    def test_without_a_configuration(self):
        with self.assertRaisesRegex(UserError, "0 backgrounds"):
            Builder(data_dir=self.folder).download_and_prepare()


class SameBytesTest(CompositesTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = {"depth": cls.depth, "placements": 10, "flip": True, "shadow": 0.5}
        cls.made = compose_config(cls.pictures, **options, workers=1)
        path = build(cls.made, cls.pictures.with_name("expected"))
        cls.expected = contents(path)

    def assert_same(self, path):
        found = contents(path)
        self.assertGreater(len([name for name in found if "tfrecord" in name]), 5)
        self.assertEqual(found.keys(), self.expected.keys())
        for name, data in self.expected.items():
            self.assertEqual(data, found[name], name)

    def test_workers_of_a_process_with_another_hash_seed(self):
        five = dataclasses.replace(self.made, workers=5)
        self.assertEqual(run_process(build, five, self.folder), 0)
        # Finished: this only looks for it.
        self.assert_same(build(self.made, self.folder))

    def test_beam(self):
        from apache_beam.options.pipeline_options import PipelineOptions

        beam = PipelineOptions(["--runner=DirectRunner"])
        self.assert_same(build(self.made, self.folder, beam))
