"""Unfinished data sets: one process at a time, resumed with the same settings only."""

import errno
import fcntl
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

import tensorflow as tf

from keras_depthseg.datasets.building import partial

# Holds the lock of the folder that it is given until it is killed.
HOLDER = """
import pathlib, sys, time
from keras_depthseg.datasets.building.partial import only_builder
with only_builder(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


class PartialTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.root = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.folder = partial.partial_folder(self.root / "data")

    def _files(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))

    def test_lock_of_a_killed_process_passes_to_the_next(self):
        command = [sys.executable, "-c", HOLDER, str(self.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "locked\n")
            killer = threading.Timer(0.3, process.kill)
            killer.start()
            start = time.monotonic()
            with (
                self.assertLogs(partial.__name__, "WARNING") as logs,
                partial.only_builder(self.folder),
            ):
                self.assertGreater(time.monotonic() - start, 0.25)
                self.assertEqual(process.wait(), -signal.SIGKILL)
            self.assertLen(logs.output, 1)
            self.assertIn("waiting for another process that builds", logs.output[0])

    def test_one_at_a_time_while_the_folder_is_removed(self):
        inside, most, errors = [], [], []

        def build():
            try:
                for _ in range(5):
                    with partial.only_builder(self.folder):
                        inside.append(1)
                        most.append(len(inside))
                        time.sleep(0.001)
                        inside.pop()
                        partial.remove_partial(self.folder)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=build) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((errors, set(most), len(most)), ([], {1}, 30))
        self.assertEmpty(self._files())

    def test_file_system_without_locks(self):
        error = OSError(errno.ENOLCK, "no locks")
        with (
            mock.patch.object(fcntl, "flock", side_effect=error),
            self.assertLogs(partial.__name__, "WARNING") as logs,
            partial.only_builder(self.folder),
        ):
            self.assertIn("no locks", logs.output[0])

    def test_folder_that_cannot_be_created(self):
        (self.root / "taken").symlink_to("nowhere")
        with (
            self.assertRaises(FileExistsError),
            partial.only_builder(self.root / "taken"),
        ):
            self.fail("there is none")

    def test_work_of_the_same_settings_is_resumed(self):
        with partial.only_builder(self.folder):
            (self.folder / "of_nobody").mkdir()
            self.assertFalse(partial.has_other_work(self.folder, "one"))
            partial.start(self.folder, "one")
            finished = partial.Summaries(self.folder)
            self.assertNotIn("shard", finished)
            finished["shard"] = {"samples": 3}
            (self.folder / "half.part").touch()
        names = ["", "/fingerprint", "/half.part", "/lock", "/shard.json"]
        self.assertEqual(self._files(), [f".data.partial{name}" for name in names])
        with partial.only_builder(self.folder):
            self.assertFalse(partial.has_other_work(self.folder, "one"))
            self.assertTrue(partial.has_other_work(self.folder, "two"))
            partial.start(self.folder, "one")
            self.assertEqual(partial.Summaries(self.folder)["shard"], {"samples": 3})
            self.assertFalse((self.folder / "half.part").exists())
            (self.folder / "link").symlink_to(self.root.parent)
            (self.folder / "round").symlink_to(self.folder)
            partial.empty(self.folder)
            self.assertTrue(self.root.parent.exists())
            self.assertEqual(self._files(), [".data.partial", ".data.partial/lock"])
            partial.remove_partial(self.folder)
        self.assertEmpty(self._files())
