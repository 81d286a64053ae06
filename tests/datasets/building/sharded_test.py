"""Sharded builds: the same bytes whoever makes them, killed or not, one or many."""

import contextlib
import dataclasses
import importlib.util
import io
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import hypothesis
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets import opening, records, rooms
from keras_depthseg.datasets.building import clean_builder, partial, sharded
from keras_depthseg.datasets.building.sharded import (
    Shard,
    ShardedBuilder,
    parts,
    shard_count,
)
from keras_depthseg.datasets.rooms import plan as rooms_plan
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import encode
from tests.support.tiny_data import colour

SPLITS = {"train": (5, 3, 4, 6), "val": (2, 2)}
LENGTHS = SPLITS["train"] + SPLITS["val"]


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
                plate = colour(index, (64, 64))
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
    noise: bool = False
    seconds: float = 0.0
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


def build(data_dir, settings=None, *, beam=None, overwrite=False):
    """Builds; returns the data set's folder."""
    config = TinyConfig(name="some", **(settings or {}))
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


def die(target, call, data_dir, settings):
    """Builds, and kills its own process at the given call of a function of `sharded`."""
    owner, name = {"link": (os, "link"), "examples": (TinyShard, "examples")}.get(
        target, (sharded, target)
    )
    original = getattr(owner, name)
    calls = iter(range(call))

    def counted(*args, **kwargs):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    # Only `_bring` is tried as on a file system without links.
    error = PermissionError("no links") if target == "_bring" else None
    link = mock.patch.object(os, "link", wraps=os.link, side_effect=error)
    with link, mock.patch.object(owner, name, counted):
        build(data_dir, settings)


def build_and_tell(data_dir, settings, told):
    with contextlib.redirect_stderr(io.StringIO()) as stream, clean_builder.quiet():
        build(data_dir, settings)
    told.put(stream.getvalue())


class Processes:
    """Other processes, with another hash seed, that have imported everything already."""

    def __init__(self):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.sharded_test"])
        other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        with mock.patch.dict(os.environ, PYTHONHASHSEED=other):
            process = self.start(os.getpid)
        process.join()

    def start(self, call, *args):
        process = self._context.Process(target=call, args=args)
        process.start()
        return process

    def queue(self):
        return self._context.Queue()


MISTAKE = {"fails": "val1_one_1", "error": UserError("no such picture")}


class ShardedTestCase(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.processes = Processes()
        shared = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        build(shared, {"workers": 1})
        cls.expected = contents(shared)

    def setUp(self):
        super().setUp()
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.data_dir = folder / "data"
        self.data_dir.mkdir()
        self.notes = folder / "notes"

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


class PartsTest(parameterized.TestCase):
    @parameterized.parameters(
        *((0, 1), (1, 1), (255, 1), (256, 1), (257, 2), (512, 2), (513, 3)),
        *((65536, 256), (100_000, 256), (10**9, 256)),
    )
    def test_shard_count(self, samples, shards):
        self.assertEqual(shard_count(samples), shards)

    @parameterized.parameters(0, 1, 255, 256, 257, 100_000)
    def test_every_sample_is_in_one_shard(self, samples):
        found = parts(np.arange(samples), shard_count(samples))
        self.assertLen(found, shard_count(samples))
        self.assertEqual(np.concatenate(found).tolist(), list(range(samples)))
        self.assertEqual(min(map(len, found)) == 0, samples == 0)

    @hypothesis.given(st.integers(0, 5000), st.integers(1, 300))
    def test_parts(self, items, count):
        found = parts(range(items), count)
        self.assertLen(found, count)
        self.assertEqual([item for part in found for item in part], list(range(items)))
        lengths = [len(part) for part in found]
        self.assertLessEqual(max(lengths) - min(lengths), 1)


class SameBytesTest(ShardedTestCase):
    @parameterized.parameters(2, 5, None)
    def test_workers(self, workers):
        build(self.data_dir, {"workers": workers})
        self.assert_whole()

    def test_another_process_with_another_hash_seed(self):
        self.processes.start(build, self.data_dir).join()
        self.assert_whole()

    def test_records_are_read_in_order(self):
        path = build(self.data_dir)
        opened = opening.open_records(path)
        for split, lengths in SPLITS.items():
            info = opened.builder.info.splits[split]
            self.assertEqual(tuple(info.shard_lengths), lengths)
            data = opened.builder.as_dataset(split=split, shuffle_files=False)
            ids = [sample["sample_id"].decode() for sample in tfds.as_numpy(data)]
            self.assertEqual(
                ids,
                [
                    f"{split}{shard}_one_{index}"
                    for shard, samples in enumerate(lengths)
                    for index in range(samples)
                ],
            )
        size = sum(info.num_bytes for info in opened.builder.info.splits.values())
        shards = [data for name, data in self.expected.items() if "tfrecord" in name]
        # Each record has 16 bytes around it.
        self.assertEqual(size, sum(map(len, shards)) - 16 * 22)

    def test_statistics_are_of_the_train_split(self):
        opened = opening.open_records(build(self.data_dir))
        data = tfds.as_numpy(opened.builder.as_dataset(split="train"))
        for field in ("bg", "fg_bg"):
            pixels = np.stack([sample[field] for sample in data]) / 255
            result = opened.statistics[field]
            self.assertAllClose(result["mean"], pixels.mean((0, 1, 2)), 1e-9, 1e-9)
            std = np.maximum(pixels.std((0, 1, 2)), 1 / 255)
            self.assertAllClose(result["std"], std, 1e-9, 1e-9)

    def test_memory_does_not_grow_with_the_samples(self):
        def peak(shards):
            with tempfile.TemporaryDirectory() as folder:
                tracemalloc.start()
                settings = {"splits": {"train": (10,) * shards}, "workers": 1}
                build(folder, {**settings, "noise": True})
                _, most = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                return most

        peak(1)
        # 160 samples more, of 24 kB each.
        self.assertLess(peak(20), peak(4) + 500_000)


class KilledTest(ShardedTestCase):
    @parameterized.parameters(
        *(("examples", call) for call in (0, 1, 5)),
        *(("put_in_place", call) for call in (0, 1, 2, 7, 11)),
        *(("link", call) for call in (0, 3, 5)),
        *(("_joined_statistics", 0), ("remove_partial", 0), ("_empty", 1)),
        ("_bring", 3),
    )
    def test_goes_on(self, target, call):
        process = self.processes.start(
            *(die, target, call, self.data_dir),
            {"notes": self.notes, "workers": 1},
        )
        process.join()
        self.assertEqual(process.exitcode, -signal.SIGKILL)
        before = self.made()
        build(self.data_dir, {"notes": self.notes})
        self.assert_whole()
        after = self.made()
        if target == "examples":
            # One worker: the shards before are whole, the one it was killed in is not.
            self.assertLen(before, sum(LENGTHS[:call]))
            self.assertEmpty(set(before) & set(after))
        elif target == "put_in_place":
            # Twice a shard; it is finished with the second.
            self.assertLen(after, 22 - sum(LENGTHS[: call // 2]))
        elif target == "_bring":
            # What was moved away is lost.
            self.assertLen(after, sum(LENGTHS[:call]))
        else:
            self.assertLen(before, 22)
            self.assertEmpty(after)

    def test_killed_again_and_again_at_any_moment(self):
        settings = {"seconds": 0.01, "notes": self.notes}
        rng = np.random.default_rng(0)
        for _ in range(6):
            process = self.processes.start(build, self.data_dir, settings)
            time.sleep(float(rng.uniform(0.05, 0.2)))
            process.kill()
            process.join()
        build(self.data_dir, settings)
        self.assert_whole()
        # Of a shard that was begun, less than all; of what is whole, nothing twice.
        self.assertBetween(len(self.made()), 22, 22 + 6 * 2 * 5)

    def test_what_another_configuration_has_left_is_not_used(self):
        settings = {"word": "two", "notes": self.notes, "workers": 1}
        self.processes.start(die, "examples", 3, self.data_dir, settings).join()
        self.assertLen(self.made(), 12)
        build(self.data_dir)
        self.assert_whole()

    def test_a_data_set_that_is_there_is_only_tidied_up(self):
        settings = {"notes": self.notes}
        self.processes.start(die, "_empty", 1, self.data_dir, settings).join()
        self.assertIn("tiny/some/.1.0.0.partial", contents(self.data_dir))
        self.made()
        build(self.data_dir, settings)
        self.assert_whole()
        self.assertEmpty(self.made())
        with mock.patch.object(sharded, "only_builder", side_effect=AssertionError):
            build(self.data_dir)


class ErrorTest(ShardedTestCase):
    @parameterized.parameters(1, 3)
    def test_others_stop_soon(self, workers):
        with self.assertRaisesRegex(UserError, "no such picture"):
            build(
                self.data_dir,
                {
                    "splits": {"train": (400,) * 6},
                    "seconds": 0.001,
                    "notes": self.notes,
                    "workers": workers,
                    "fails": "train0_one_5",
                    "error": UserError("no such picture"),
                },
            )
        self.assertLess(len(self.made()), 150)
        self.assertEmpty(contents(self.data_dir))

    def test_a_mistake_leaves_the_data_set_that_was_there(self):
        build(self.data_dir)
        before = contents(self.data_dir)
        with self.assertRaises(UserError):
            build(self.data_dir, MISTAKE, overwrite=True)
        self.assertEqual(contents(self.data_dir), before)
        path = build(self.data_dir, {"word": "three"}, overwrite=True)
        self.assertNotEqual(contents(self.data_dir), before)
        self.assertEqual(contents(self.data_dir).keys(), before.keys())
        self.assertEqual(path, self.data_dir / "tiny/some/1.0.0")

    def test_a_full_disk(self):
        with self.assertRaises(OSError):
            build(
                self.data_dir,
                {
                    "notes": self.notes,
                    "workers": 1,
                    "fails": "train2_one_1",
                    "error": tf.errors.ResourceExhaustedError(None, None, "full"),
                },
            )
        self.assertEqual(
            [path for path in self.data_dir.rglob("*") if "part" in path.suffix],
            [self.data_dir / "tiny/some/.1.0.0.partial"],
        )
        self.assertLen(self.made(), 10)
        build(self.data_dir, {"notes": self.notes})
        self.assert_whole()
        self.assertLen(self.made(), 22 - 8)

    def test_a_full_disk_at_the_very_end(self):
        with (
            self.assertRaises(OSError),
            mock.patch.object(
                tfds.core.DatasetInfo, "write_to_directory", side_effect=OSError("full")
            ),
        ):
            build(self.data_dir, {"notes": self.notes})
        self.assertLen(self.made(), 22)
        build(self.data_dir, {"notes": self.notes})
        self.assert_whole()
        self.assertEmpty(self.made())

    def test_a_file_system_without_links(self):
        with mock.patch.object(os, "link", side_effect=PermissionError("no links")):
            build(self.data_dir)
        self.assert_whole()


class TwoProcessesTest(ShardedTestCase):
    def test_one_waits_for_the_other(self):
        settings = {"seconds": 0.02, "notes": self.notes}
        told = self.processes.queue()
        processes = [
            self.processes.start(build_and_tell, self.data_dir, settings, told)
            for _ in range(2)
        ]
        texts = sorted(told.get(timeout=60) for _ in processes)
        for process in processes:
            process.join()
            self.assertEqual(process.exitcode, 0)
        self.assert_whole()
        self.assertLen(self.made(), 22)
        self.assertEqual(texts[0], "")
        self.assertStartsWith(texts[1], "waiting for another process that builds")

    def test_the_one_that_waits_goes_on_when_the_other_is_killed(self):
        settings = {"seconds": 0.02, "notes": self.notes, "workers": 1}
        first = self.processes.start(build, self.data_dir, settings)
        while not self.notes.exists() or len(self.notes.read_text().split()) < 7:
            time.sleep(0.01)
        told = self.processes.queue()
        second = self.processes.start(build_and_tell, self.data_dir, settings, told)
        time.sleep(0.05)
        first.kill()
        self.assertStartsWith(told.get(timeout=60), "waiting for another process")
        second.join()
        self.assert_whole()
        # The first shard, of 5, was whole.
        self.assertEqual(self.made().count("train0_one_0"), 1)

    def test_many(self):
        # Those that come late find the lock at every stage of being removed.
        processes = [
            self.processes.start(build, self.data_dir, {"notes": self.notes})
            for _ in range(8)
        ]
        for process in processes:
            process.join()
        self.assertEqual([process.exitcode for process in processes], [0] * 8)
        self.assert_whole()
        self.assertLen(self.made(), 22)

    def test_many_threads(self):
        errors = []

        def run():
            try:
                build(self.data_dir, {"notes": self.notes})
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEmpty(errors)
        self.assert_whole()
        self.assertLen(self.made(), 22)

    def test_the_folder_vanishes_while_it_is_opened(self):
        folder = self.data_dir / ".partial"
        opened = Path.open
        times = []

        def late(path, *args, **kwargs):
            if path.parent == folder and len(times) < 3:
                times.append(1)
                folder.rmdir()
            return opened(path, *args, **kwargs)

        with mock.patch.object(Path, "open", late), partial.only_builder(folder):
            found = set(contents(self.data_dir))
        self.assertEqual(found, {".partial", ".partial/lock"})
        self.assertLen(times, 3)

    def test_a_folder_that_cannot_be_made(self):
        (self.data_dir / "taken").symlink_to("nowhere")
        with (
            self.assertRaises(FileExistsError),
            partial.only_builder(self.data_dir / "taken"),
        ):
            self.fail("there is none")

    def test_without_locks(self):
        # As on Windows.
        with mock.patch.object(partial, "fcntl", None):
            build(self.data_dir)
        self.assert_whole()


class BeamTest(ShardedTestCase):
    def _options(self, *more):
        from apache_beam.options.pipeline_options import PipelineOptions

        return PipelineOptions(["--runner=DirectRunner", *more])

    def test_same_bytes(self):
        build(self.data_dir, beam=self._options())
        self.assert_whole()

    def test_same_bytes_of_two_processes(self):
        build(
            self.data_dir,
            {"notes": self.notes},
            beam=self._options(
                "--direct_num_workers=2", "--direct_running_mode=multi_processing"
            ),
        )
        self.assert_whole()
        self.assertLen(self.made(), 22)

    def test_a_mistake_stays_one(self):
        with self.assertRaisesRegex(UserError, "^no such picture$"):
            build(self.data_dir, MISTAKE, beam=self._options())
        self.assertEmpty(contents(self.data_dir))


# TFDS's test case needs dill, which TFDS itself does not.
if importlib.util.find_spec("dill"):

    class RoomsBuilderTest(tfds.testing.DatasetBuilderTestCase):
        """TFDS's own checks of the other builder that writes shards."""

        DATASET_CLASS = rooms.Builder
        BUILDER_CONFIG_NAMES_TO_TEST = [
            rooms.RoomsConfig(name="tiny", num_samples=24, size=32)
        ]
        SPLITS = {
            split: len(entries)
            for split, entries in rooms_plan.splits(
                rooms_plan.planned_samples(24, 0), 0
            ).items()
        }

        @classmethod
        def setUpClass(cls):
            folder = tempfile.TemporaryDirectory()
            cls.addClassCleanup(folder.cleanup)
            cls.EXAMPLE_DIR = folder.name
            super().setUpClass()


if __name__ == "__main__":
    tf.test.main()
