"""Making composites: the memory they take, and labels by a network."""

import dataclasses
from unittest import mock

import keras
import numpy as np

from keras_depthseg.datasets import opening, records
from keras_depthseg.datasets.composites import maker
from keras_depthseg.datasets.composites.settings import CompositeSettings
from keras_depthseg.datasets.teacher import teacher
from tests.support.compositions import SIZE, CompositesTestCase, build, contents, samples


class MakerTest(CompositesTestCase):
    def test_plain_places_of_version_0_1_0(self):
        made = maker.Maker.of(self.config()).composites(np.array([0, 7, 50]))
        boxes = [composite.box for _, _, composite in made]
        expected = [(33, 35, 47, 43), (10, 25, 24, 39), (4, 8, 18, 18)]
        self.assertEqual(boxes, expected)

    def test_few_images_are_kept(self):
        config = self.config(depth=self.depth)
        # Memory for two scenes and two layers.
        made = dataclasses.replace(maker.Maker.of(config), cache_bytes=2 * 14 * SIZE**2)
        list(made.composites(config.plan.numbers()))
        self.assertEqual(made.scene.cache_info()[2:], (2, 2))
        large = CompositeSettings(
            size=4096, fg_height=2000, depth="rooms", placement="standing"
        )
        # 235 MB each.
        made = dataclasses.replace(maker.Maker.of(config), settings=large)
        self.assertEqual(made.scene.cache_info().maxsize, 1)


class TeacherTest(CompositesTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        inputs = keras.Input((SIZE, SIZE, 3))
        layer = keras.layers.Conv2D(1, 1, use_bias=False)
        network = keras.Model(inputs, layer(inputs))
        layer.set_weights([np.array([0.5, 0.3, 0.1], "float32").reshape(1, 1, 3, 1)])
        for workers in (1, 5):
            network.save(cls.pictures / f"net{workers}.keras")
        path = cls.pictures / "net.keras"
        cls.depth = f"{path},input=0:1,larger=nearer,output=0:1"

    def test_labels_by_any_number_of_threads(self):
        paths = {}
        for workers in (1, 5):
            # Of another name: the network of the other build is still loaded.
            config = self.config(
                depth=self.depth.replace("net", f"net{workers}"),
                placements=10,
                val_fraction=0.5,
                workers=workers,
            )
            load = mock.Mock(side_effect=teacher.load_teacher)
            with mock.patch.object(teacher, "load_teacher", load):
                paths[workers] = build(config, self.folder / str(workers))
            load.assert_called_once()
        shards = [
            {name: data for name, data in contents(path).items() if "tfrecord" in name}
            for path in paths.values()
        ]
        self.assertEqual(*shards)
        self.assertEqual(opening.open_records(paths[5]).depth["unit"], "relative")
        for sample in samples(paths[5]):
            grey = sample["fg_bg"].astype(float) / 255 @ [0.5, 0.3, 0.1]
            expected = np.maximum(1 - grey, records.NEAREST_DEPTH) * 65535
            self.assertAllClose(sample["depth"][..., 0], expected, rtol=0, atol=0.6)
