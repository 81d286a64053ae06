import os
from pathlib import Path
from unittest import mock

import tensorflow as tf

from keras_depthseg.datasets import locate, original_layout, pets_in_rooms, rooms
from keras_depthseg.errors import UserError


class LocateTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / self._testMethodName
        self.folder.mkdir()

    def locate(self, data, **options):
        return locate.locate_records(str(data), self.folder / "cache", **options)

    def test_a_folder_of_records_is_taken_as_it_is(self):
        (self.folder / "dataset_info.json").touch()
        self.assertEqual(self.locate(self.folder), self.folder)

    def test_the_original_layout_is_built(self):
        (self.folder / "file_map.txt").touch()
        with mock.patch.object(original_layout, "build", return_value="built") as build:
            self.assertEqual(self.locate(self.folder), "built")
        build.assert_called_once_with(
            self.folder, self.folder / "cache", splitting="identity", seed=0
        )

    def test_only_the_original_layout_is_split_here(self):
        (self.folder / "file_map.txt").touch()
        with mock.patch.object(original_layout, "build") as build:
            self.locate(self.folder, splitting="random")
        self.assertEqual(build.call_args.kwargs["splitting"], "random")
        (self.folder / "dataset_info.json").touch()
        for data in (self.folder, "rooms"):
            with self.assertRaisesRegex(UserError, "`splitting`: received random"):
                self.locate(data, splitting="random")

    def test_rooms_and_their_number(self):
        with mock.patch.object(rooms, "build") as build:
            self.locate("rooms")
            self.locate("rooms:77")
        counts = [call.kwargs["num_samples"] for call in build.call_args_list]
        self.assertEqual(counts, [rooms.DEFAULT_SAMPLES, 77])

    def test_pets_in_rooms(self):
        with mock.patch.object(pets_in_rooms, "build") as build:
            self.locate("pets_in_rooms:500", size=96)
        build.assert_called_once_with(
            self.folder / "cache", num_samples=500, size=96, seed=0
        )

    def test_too_few_rooms(self):
        with self.assertRaisesRegex(UserError, "received 3 samples"):
            self.locate("rooms:3")

    def test_anything_else_is_refused(self):
        with self.assertRaisesRegex(UserError, "neither records"):
            self.locate(self.folder)
        for data in (self.folder / "missing", "room", "rooms:many"):
            with self.assertRaisesRegex(UserError, "no such folder"):
                self.locate(data)
        self.assertFalse((self.folder / "cache").exists())

    def test_cache_folder(self):
        with mock.patch.dict(os.environ, {"KERAS_DEPTHSEG_CACHE": "/here"}):
            self.assertEqual(locate.default_cache_dir(), Path("/here"))
        environment = {"XDG_CACHE_HOME": "/xdg", "KERAS_DEPTHSEG_CACHE": ""}
        with mock.patch.dict(os.environ, environment):
            self.assertEqual(locate.default_cache_dir(), Path("/xdg/keras_depthseg"))
