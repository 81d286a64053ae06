"""Files that are whole or not there."""

import contextlib
import errno
import os
import tempfile
import time
from pathlib import Path
from unittest import mock

import tensorflow as tf

from keras_depthseg.files import default_cache_dir, replacing, temporary_folder


class ReplacingTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.path = self.folder / "a.weights.h5"
        self.path.write_text("good")

    def _files(self):
        return {path.name: path.read_text() for path in self.folder.iterdir()}

    def test_replaces(self):
        with replacing(self.path) as part:
            part.write_text("better")
            self.assertTrue(part.name.endswith(".weights.h5"))
            self.assertEqual(self.path.read_text(), "good")
        self.assertEqual(self._files(), {"a.weights.h5": "better"})

    def test_is_on_the_disk_before_it_is_renamed(self):
        calls = []
        with (
            mock.patch.object(os, "fsync", side_effect=lambda _: calls.append("sync")),
            mock.patch.object(os, "replace", side_effect=lambda *_: calls.append("move")),
            replacing(self.path) as part,
        ):
            part.write_text("better")
        self.assertEqual(calls, ["sync", "move", "sync"])

    def test_failures_leave_what_was_there(self):
        for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()):
            with self.assertRaises(type(error)), replacing(self.path) as part:
                part.write_text("hal")
                raise error
            self.assertEqual(self._files(), {"a.weights.h5": "good"})

    def test_nothing_written(self):
        with self.assertRaises(FileNotFoundError), replacing(self.path):
            pass
        self.assertEqual(self._files(), {"a.weights.h5": "good"})


class TemporaryFolderTest(tf.test.TestCase):
    def test_is_removed(self):
        place = Path(self.enter_context(tempfile.TemporaryDirectory())) / "new" / "place"
        for error in (None, KeyboardInterrupt(), ValueError()):
            with (
                contextlib.suppress(KeyboardInterrupt, ValueError),
                temporary_folder(place) as folder,
            ):
                self.assertEqual(folder.parent, place)
                (folder / "a").write_text("")
                if error is not None:
                    raise error
            self.assertEqual(list(place.iterdir()), [])

    def test_of_killed_processes(self):
        place = Path(self.enter_context(tempfile.TemporaryDirectory()))
        with temporary_folder(place) as folder:
            name = folder.name
        ages = {name[:-1] + "1": 23, name[:-1] + "2": 25, ".part-video": 99, "mine": 99}
        for other, hours in ages.items():
            (place / other).mkdir()
            (place / other / "a").write_text("")
            changed = time.time() - 3600 * hours
            os.utime(place / other, (changed, changed))
        with temporary_folder(place):
            pass
        left = {path.name for path in place.iterdir()}
        self.assertEqual(left, {name[:-1] + "1", ".part-video", "mine"})


class CacheTest(tf.test.TestCase):
    def test_cache_folder(self):
        with mock.patch.dict(os.environ, {"KERAS_DEPTHSEG_CACHE": "/here"}):
            self.assertEqual(default_cache_dir(), Path("/here"))
        environment = {"XDG_CACHE_HOME": "/xdg", "KERAS_DEPTHSEG_CACHE": ""}
        with mock.patch.dict(os.environ, environment):
            self.assertEqual(default_cache_dir(), Path("/xdg/keras_depthseg"))
