"""Sharded builds: the same bytes whoever makes them, killed or not, one or many."""

import dataclasses
import multiprocessing
import os
import signal
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_depthseg.datasets import opening, records
from keras_depthseg.datasets.building.sharded import ShardedBuilder
from keras_depthseg.datasets.building.shards import Shard
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import encode
from tests.support.tiny_data import RefusalTestCase

SPLITS = {"train": (5, 3, 4, 6), "val": (2, 2)}


@dataclasses.dataclass(frozen=True)
class TinyShard(Shard):
    """Plain colours; notes in a file which samples it has made."""

    name: str
    samples: int
    config: "TinyConfig"

    def __len__(self) -> int:
        return self.samples

    def examples(self) -> Iterator[records.Example]:
        config = self.config
        for index in range(self.samples):
            sample_id = f"{self.name}_{config.word}_{index}"
            time.sleep(config.seconds)
            if config.notes is not None:
                with config.notes.open("a") as file:
                    file.write(f"{sample_id}\n")
            if config.fails == sample_id:
                raise config.error
            colours = [len(sample_id), 3 * index, ord(self.name[-1])]
            plate = np.full((8, 8, 3), colours, np.uint8)
            if config.noise:
                plate = np.random.default_rng(index).integers(
                    0, 256, (90, 90, 3), np.uint8
                )
            picture = encode.encode_colour(plate, lossless=True)
            features = {
                "bg": picture,
                "fg_bg": picture,
                "mask": encode.encode_mask(plate[..., 0]),
                "depth": encode.encode_depth(plate[..., 0] / 255),
                "sample_id": sample_id,
                "bg_id": self.name,
                "fg_id": "fg",
                "box": tfds.features.BBox(0.0, 0.0, 0.5, 1.0),
            }
            statistics = records.ImageStatistics.of(plate)
            yield records.Example(features, statistics, statistics)


@dataclasses.dataclass(eq=False)
class TinyConfig(tfds.core.BuilderConfig):
    splits: dict = dataclasses.field(default_factory=lambda: SPLITS)
    word: str = "one"
    workers: int | None = 2
    seconds: float = 0.0
    noise: bool = False
    notes: Path | None = None
    fails: str | None = None
    error: Exception | None = None


class TinyBuilder(ShardedBuilder, skip_registration=True):
    name = "tiny"
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=records.sample_features(np.uint16),
            metadata=records.sample_metadata(records.DepthMetadata()),
        )

    def _fingerprint(self):
        return self.builder_config.word

    def _shards(self, dl_manager):
        return {
            split: [
                TinyShard(f"{split}{index}", samples, self.builder_config)
                for index, samples in enumerate(lengths)
            ]
            for split, lengths in self.builder_config.splits.items()
        }


def build(data_dir, *, beam=None, overwrite=False, **settings):
    """Build; return the data set's folder."""
    config = TinyConfig(name="some", **settings)
    builder = TinyBuilder(config=config, data_dir=data_dir)
    download = tfds.download.DownloadConfig(beam_options=beam)
    if overwrite:
        download.download_mode = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    builder.download_and_prepare(download_config=download)
    return Path(builder.data_path)


def contents(folder):
    """Every file under a folder, and every folder, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


class Processes:
    """Other processes, with another hash seed, that have imported everything already."""

    def __init__(self):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.datasets.building.sharded_test"])
        other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        with mock.patch.dict(os.environ, PYTHONHASHSEED=other):
            process = self.start(os.getpid)
        process.join()

    def start(self, call, *args, **kwargs):
        process = self._context.Process(target=call, args=args, kwargs=kwargs)
        process.start()
        return process


MISTAKE = {"fails": "val1_one_1", "error": UserError("no such picture")}


class ShardedTestCase(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.processes = Processes()
        shared = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        build(shared, workers=1)
        cls.expected = contents(shared)

    def setUp(self):
        super().setUp()
        self.data_dir, self.notes = self.folder / "data", self.folder / "notes"
        self.data_dir.mkdir()

    def made(self):
        """The samples made since the last call."""
        made = self.notes.read_text().split() if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return made

    def assert_whole(self):
        """As an uninterrupted build of one worker, to the byte, and nothing more."""
        found = contents(self.data_dir)
        self.assertEqual(found.keys(), self.expected.keys())
        for name, data in self.expected.items():
            self.assertEqual(found[name], data, name)


class SameBytesTest(ShardedTestCase):
    def test_workers_of_a_process_with_another_hash_seed(self):
        self.processes.start(build, self.data_dir, workers=5).join()
        self.assert_whole()

    def test_records_are_read_in_order(self):
        path = build(self.data_dir)
        opened = opening.open_records(path)
        for split, lengths in SPLITS.items():
            info = opened.builder.info.splits[split]
            self.assertEqual(tuple(info.shard_lengths), lengths)
            data = opened.builder.as_dataset(split=split, shuffle_files=False)
            ids = [sample["sample_id"].decode() for sample in tfds.as_numpy(data)]
            shards = [(f"{split}{i}", range(n)) for i, n in enumerate(lengths)]
            expected = [f"{shard}_one_{i}" for shard, numbers in shards for i in numbers]
            self.assertEqual(ids, expected)
        size = sum(info.num_bytes for info in opened.builder.info.splits.values())
        shards = [data for name, data in self.expected.items() if "tfrecord" in name]
        # Each record has 16 bytes around it.
        self.assertEqual(size, sum(map(len, shards)) - 16 * 22)

    def test_memory_does_not_grow_with_the_samples(self):
        def peak(shards):
            with tempfile.TemporaryDirectory() as folder:
                tracemalloc.start()
                splits = {"train": (10,) * shards}
                build(folder, splits=splits, workers=1, noise=True)
                _, most = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                return most

        peak(1)
        # 160 samples more, of 24 kB each.
        self.assertLess(peak(20), peak(4) + 500_000)


class KilledTest(ShardedTestCase):
    def _kill(self, samples, **settings):
        """Build in another process; kill it once it has made so many samples."""
        process = self.processes.start(
            build, self.data_dir, seconds=0.02, notes=self.notes, **settings
        )
        while not self.notes.exists() or len(self.notes.read_text().split()) < samples:
            time.sleep(0.005)
        process.kill()
        process.join()
        self.assertEqual(process.exitcode, -signal.SIGKILL)

    def test_resumes_wherever_it_is_killed(self):
        rng = np.random.default_rng(0)
        made = []
        for _ in range(4):
            self._kill(int(rng.integers(1, 7)))
            made += self.made()
        build(self.data_dir, notes=self.notes)
        self.assert_whole()
        # A shard that was begun loses its samples; each kill meets at most two of them.
        self.assertBetween(len(made + self.made()), 22, 22 + 4 * 2 * 6)

    def test_work_of_another_configuration_is_not_used(self):
        self._kill(12, word="two", workers=1)
        self.made()
        build(self.data_dir, notes=self.notes)
        self.assert_whole()
        self.assertLen(self.made(), 22)

    def test_leftovers_of_a_finished_data_set_are_removed(self):
        path = build(self.data_dir)
        left = path.with_name(f".{path.name}.partial")
        left.mkdir()
        (left / "fingerprint").write_text("one")
        build(self.data_dir, notes=self.notes)
        self.assert_whole()
        self.assertEmpty(self.made())


class ErrorTest(ShardedTestCase):
    def test_others_stop_soon(self):
        settings = {"splits": {"train": (400,) * 6}, "seconds": 0.001, "workers": 3}
        settings |= {**MISTAKE, "fails": "train0_one_5"}
        with self.assertRaisesRegex(UserError, "no such picture"):
            build(self.data_dir, notes=self.notes, **settings)
        self.assertLess(len(self.made()), 150)
        self.assertEmpty(contents(self.data_dir))

    def test_a_mistake_leaves_the_data_set_that_was_there(self):
        build(self.data_dir)
        before = contents(self.data_dir)
        with self.assertRaises(UserError):
            build(self.data_dir, **MISTAKE, overwrite=True)
        self.assertEqual(contents(self.data_dir), before)
        path = build(self.data_dir, word="three", overwrite=True)
        self.assertNotEqual(contents(self.data_dir), before)
        self.assertEqual(contents(self.data_dir).keys(), before.keys())
        self.assertEqual(path, self.data_dir / "tiny/some/1.0.0")

    def test_a_full_disk(self):
        full = tf.errors.ResourceExhaustedError(None, None, "full")
        settings = {"workers": 1, "fails": "train2_one_1", "error": full}
        with self.assertRaises(OSError):
            build(self.data_dir, notes=self.notes, **settings)
        self.assertEqual(
            [path for path in self.data_dir.rglob("*") if "part" in path.suffix],
            [self.data_dir / "tiny/some/.1.0.0.partial"],
        )
        self.assertLen(self.made(), 10)
        build(self.data_dir, notes=self.notes)
        self.assert_whole()
        self.assertLen(self.made(), 22 - 8)

    def test_a_file_system_without_links(self):
        with mock.patch.object(os, "link", side_effect=PermissionError("no links")):
            build(self.data_dir)
        self.assert_whole()


class TwoProcessesTest(ShardedTestCase):
    def test_one_builds_and_the_others_wait(self):
        processes = [
            self.processes.start(build, self.data_dir, seconds=0.005, notes=self.notes)
            for _ in range(3)
        ]
        for process in processes:
            process.join()
        self.assertEqual([process.exitcode for process in processes], [0] * 3)
        self.assert_whole()
        self.assertLen(self.made(), 22)


class BeamTest(ShardedTestCase):
    def _options(self, *more):
        from apache_beam.options.pipeline_options import PipelineOptions

        return PipelineOptions(["--runner=DirectRunner", *more])

    def test_same_bytes_of_two_processes(self):
        two = "--direct_num_workers=2", "--direct_running_mode=multi_processing"
        build(self.data_dir, notes=self.notes, beam=self._options(*two))
        self.assert_whole()
        self.assertLen(self.made(), 22)

    def test_a_mistake_stays_one(self):
        with self.assertRaisesRegex(UserError, "^no such picture$"):
            build(self.data_dir, **MISTAKE, beam=self._options())
        self.assertEmpty(contents(self.data_dir))
