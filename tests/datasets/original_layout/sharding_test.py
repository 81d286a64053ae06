"""The same bytes by any number of workers, on Beam, and after a kill."""

import errno
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path
from unittest import mock

import tensorflow_datasets as tfds

from keras_depthseg.datasets import original_layout
from tests.support.compositions import contents, run_process
from tests.support.sources import SourceTestCase, merged, stored, zip_folders
from tests.support.tiny_data import colour, encoded, write_source

SHARDS = 12


def convert(source, data_dir, workers=1, beam=None):
    """Convert; return the data set's folder."""
    config = original_layout.OriginalLayoutConfig(
        name="some", source=source, skip_damaged=True, workers=workers
    )
    builder = original_layout.Builder(config=config, data_dir=data_dir)
    options = tfds.download.DownloadConfig(num_shards=SHARDS, beam_options=beam)
    builder.download_and_prepare(download_config=options)
    return Path(builder.data_path)


def _but_not_into_place(error):
    """`os.replace` that fails for a shard that leaves the folder of unfinished ones."""
    replace = os.replace

    def fail(source, target):
        if Path(source).parent != Path(target).parent:
            raise error
        replace(source, target)

    return fail


class ShardingTest(SourceTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shared = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        cls.shared = write_source(shared / "source", 10, 12)
        (cls.shared / "fg_bg/bg003_fg004_01.jpeg").write_bytes(b"cut")
        cls.path = convert(cls.shared, shared / "expected")
        cls.expected = contents(cls.path)

    def setUp(self):
        super().setUp()
        self.source = self.shared

    def test_shards(self):
        self.assertGreater(
            len([name for name in self.expected if "tfrecord" in name]), SHARDS
        )

    def test_workers_of_a_process_with_another_hash_seed(self):
        code = run_process(convert, self.source, self.data_dir, 5)
        self.assertEqual(code, 0)
        # Finished: this only looks for it.
        self.assertEqual(contents(convert(self.source, self.data_dir)), self.expected)

    def test_beam(self):
        from apache_beam.options.pipeline_options import PipelineOptions

        beam = PipelineOptions(["--runner=DirectRunner"])
        path = convert(self.source, self.data_dir, beam=beam)
        self.assertEqual(contents(path), self.expected)

    def test_killed_and_resumed(self):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.support.compositions"])
        process = context.Process(target=convert, args=(self.source, self.data_dir))
        process.start()
        while process.is_alive() and len(self._finished()) < 5:
            time.sleep(0.001)
        process.kill()
        process.join()
        self.assertEqual(process.exitcode, -signal.SIGKILL)
        finished = self._finished()
        times = {path: path.stat().st_mtime_ns for path in finished}
        self.assertBetween(len(times), 5, 5 * SHARDS)
        path = convert(self.source, self.data_dir, workers=3)
        self.assertEqual(contents(path), self.expected)
        # Finished shards were not made again.
        for shard, modified in times.items():
            self.assertEqual((path / shard.name).stat().st_mtime_ns, modified)
        self.assertFalse(self._partial.exists())

    @property
    def _partial(self):
        return self.data_dir / "original_layout/some/.1.1.0.partial"

    def _finished(self):
        """The shards that have a summary."""
        return [path.with_suffix("") for path in self._partial.glob("*tfrecord*.json")]

    def test_parts_of_a_source_that_has_changed_are_not_used(self):
        self.source = write_source(self.folder / "source", 3, 3)
        full = OSError(errno.ENOSPC, "full")
        with (
            mock.patch.object(os, "link", side_effect=full),
            mock.patch.object(os, "replace", side_effect=_but_not_into_place(full)),
            self.assertRaises(OSError),
        ):
            convert(self.source, self.data_dir)
        self.assertNotEmpty(self._finished())
        (self.source / "fg_bg/bg001_fg001_01.jpeg").write_bytes(encoded(colour(9)))
        found = merged(stored(convert(self.source, self.data_dir)))
        self.assertEqual(found["bg001_fg001_01"]["fg_bg"], encoded(colour(9)))

    def test_samples_of_many_backgrounds_follow_one_another(self):
        samples = stored(self.path)["train"].values()
        following = [sample["bg_id"] for sample in samples]
        self.assertGreater(len(set(following[:12])), 4)

    def test_zips_of_many_backgrounds(self):
        write_source(self.folder / "many", 20, 2)
        self.source = self.folder / "many"
        files = merged(stored(self.build()))
        zip_folders(self.source)
        self.assertEqual(merged(stored(self.build())), files)
