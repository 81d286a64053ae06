"""Composites in the original's layout: read back, the same bytes, killed or not."""

import dataclasses
import io
import multiprocessing
import signal
import stat
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets import original_layout
from keras_depthseg.datasets.composites.maker import Maker
from keras_depthseg.datasets.original_layout.writer import write_original_layout
from tests.support.compositions import (
    SIZE,
    STEP,
    compose_config,
    contents,
    run_process,
    write_pictures,
)
from tests.support.tiny_data import RefusalTestCase


def write_and_be_killed(config, folder, zipped, files):
    """Write in another process; kill it once there are so many pictures."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.compositions"])
    process = context.Process(target=write_original_layout, args=(config, folder, zipped))
    process.start()
    while process.is_alive() and len(list(folder.rglob("*.*"))) < files:
        time.sleep(0.002)
    process.kill()
    process.join()
    return process.exitcode


class OriginalLayoutTest(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pictures = write_pictures(
            Path(cls.enter_context(tempfile.TemporaryDirectory())) / "pictures", 4, 3
        )

    def _config(self, **options):
        depth = f"{self.pictures}/depth,step={STEP}"
        return compose_config(
            self.pictures, **{"depth": depth, "flip": True, "shadow": 0.5, **options}
        )

    def _write(self, name, zipped=False, **options):
        write_original_layout(self._config(**options), self.folder / name, zipped)
        return self.folder / name

    @parameterized.parameters((False, True), (True, False))
    def test_reader_reads_it(self, zipped, lossless):
        config = self._config(lossless=lossless)
        write_original_layout(config, self.folder / "made", zipped)
        path = original_layout.build(self.folder / "made", self.folder / "records")
        builder = tfds.builder_from_directory(path)
        self.assertEqual(builder.info.features["depth"].dtype, np.uint16)
        skip = {name: tfds.decode.SkipDecoding() for name in ("bg", "fg_bg", "mask")}
        found = {}
        for split in builder.info.splits:
            for sample in tfds.as_numpy(builder.as_dataset(split, decoders=skip)):
                found[sample["sample_id"].decode()] = sample
        self.assertLen(found, 4 * 3 * 4)
        for entry, scene, made in Maker.of(config).composites(config.plan.numbers()):
            sample = found.pop(entry.sample_id)
            self.assertEqual(sample["bg_id"].decode(), entry.bg_id)
            self.assertEqual(sample["fg_id"].decode(), entry.fg_id)
            self.assertAllClose(sample["box"] * SIZE, made.box)
            depth = sample["depth"][..., 0] / 65535
            self.assertAllClose(depth, made.depth, rtol=0, atol=0.51 / 65535)
            self.assertEqual(sample["bg"], scene.encoded)
            for name, expected in {"fg_bg": made.fg_bg, "mask": made.mask}.items():
                stored = np.asarray(Image.open(io.BytesIO(sample[name]))).astype(int)
                if lossless:
                    self.assertAllEqual(stored, expected)
                else:
                    self.assertLess(float(np.abs(stored - expected).mean()), 8)
        self.assertEmpty(found)

    def test_files(self):
        self.assertFalse((self._write("masks", depth=None) / "fg_bg_depth").exists())
        made = self._write("made", lossless=False)
        lines = (made / "file_map.txt").read_text().splitlines()
        rows = [line.split("\t") for line in lines]
        name = "bg001_fg002_02"
        self.assertEqual(rows[5], ["bg001", name, f"{name}_mask", f"{name}_depth_map"])
        for bg, fg_bg, mask, depth in rows:
            self.assertTrue((made / f"bg/{bg}.jpeg").exists())
            self.assertTrue((made / f"fg_bg/{fg_bg}.jpeg").exists())
            self.assertTrue((made / f"fg_bg_mask/{mask}.jpeg").exists())
            self.assertTrue((made / f"fg_bg_depth/{depth}.png").exists())
        files = sum(path.is_file() for path in made.rglob("*"))
        self.assertEqual(files, 2 + 4 + 3 * 48)
        self.assertNotIn(b"\r", (made / "labels.txt").read_bytes())

    def test_zips_hold_the_same_files(self):
        files = contents(self._write("files"))
        zips = self._write("zips", zipped=True)
        self.assertEqual(
            sorted(path.name for path in (zips / "fg_bg").iterdir()),
            [f"bg00{bg}.zip" for bg in (1, 2, 3, 4)],
        )
        unpacked = {}
        for name, data in contents(zips).items():
            if not name.endswith(".zip"):
                unpacked[name] = data
                continue
            with zipfile.ZipFile(zips / name) as archive:
                self.assertIsNone(archive.testzip())
                for member in archive.infolist():
                    mode = member.external_attr >> 16
                    self.assertEqual(mode, stat.S_IFREG | 0o644)
                    self.assertEqual(member.date_time, (1980, 1, 1, 0, 0, 0))
                    where = f"{Path(name).parent}/{member.filename}"
                    unpacked[where] = archive.read(member)
        self.assertEqual(unpacked, files)

    @parameterized.parameters(False, True)
    def test_same_bytes(self, zipped):
        expected = contents(self._write("one", zipped, workers=1))
        self.assertEqual(contents(self._write("five", zipped, workers=5)), expected)
        config = self._config()
        other = self.folder / "other"
        self.assertEqual(run_process(write_original_layout, config, other, zipped), 0)
        self.assertEqual(contents(other), expected)

    @parameterized.parameters((False, 60), (True, 10))
    def test_killed_and_resumed(self, zipped, files):
        config = self._config(workers=1, placements=10)
        expected = self._write("expected", zipped, placements=10)
        made = self.folder / "made"
        code = write_and_be_killed(config, made, zipped, files)
        self.assertEqual(code, -signal.SIGKILL)
        finished = {path: path.stat().st_mtime_ns for path in made.glob(".rows/*.json")}
        before = {
            path: path.stat().st_mtime_ns
            for path in made.glob("fg_bg/*.*")
            for rows in finished
            if path.name.startswith(f"bg00{int(rows.stem) + 1}")
        }
        write_original_layout(dataclasses.replace(config, workers=2), made, zipped)
        self.assertEqual(contents(made), contents(expected))
        self.assertFalse((made / ".rows").exists())
        # Finished backgrounds are not made again.
        after = {path: path.stat().st_mtime_ns for path in before}
        self.assertEqual(after, before)
