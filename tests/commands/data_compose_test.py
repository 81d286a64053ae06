"""`depthseg data compose`: its options, what it says, and what it leaves on the disk."""

import contextlib
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import parameterized

import depthseg
from keras_depthseg.commands import main, terminal
from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from tests.support.tiny_data import RefusalTestCase, colour, encoded, mask

SIZE = (32, 40)


def cutout(seed, size=SIZE):
    return np.dstack([colour(seed, size), mask(size)])


def png(pixels):
    return encoded(pixels, "png")


def state(folder):
    """Every file below a folder: its checksum and the time of its last change."""
    return {
        str(path.relative_to(folder)): (
            zlib.crc32(path.read_bytes()),
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def messages(errors):
    """The lines of errors and warnings."""
    return [line.removeprefix("warning: ") for line in errors.splitlines()]


@contextlib.contextmanager
def full_disk(limit):
    """No file becomes longer; Python ignores the signal, so that writes fail."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


class CommandTestCase(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self.bg, self.fg = self.folder / "bg", self.folder / "fg"
        self.out = self.folder / "out"
        self.partial = self.folder / ".out.partial"
        self.write({f"bg/{i}.png": png(colour(i, SIZE)) for i in range(3)})
        self.write({f"fg/{i}.png": png(cutout(10 + i)) for i in range(3)})

    def write(self, files):
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def arguments(self, **options):
        """`True` is an option without a value, `None` no option."""
        options = {
            **{"bg": self.bg, "fg": self.fg, "out": self.out, "size": 32, "count": 30},
            **options,
        }
        arguments = ["data", "compose"]
        for name, value in options.items():
            text = f"--{name.replace('_', '-')}"
            if value is not None:
                arguments.append(text if value is True else f"{text}={value}")
        return arguments

    def command(self, *arguments):
        """Exit status, lines of output, lines of errors."""
        output, errors = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            terminal.run(lambda: main.main([str(text) for text in arguments]))
        lines = output.getvalue().splitlines(), messages(errors.getvalue())
        return caught.exception.code or 0, *lines

    def compose(self, **options):
        """Succeeds; the lines of errors."""
        status, output, errors = self.command(*self.arguments(**options))
        self.assertEqual((status, output), (0, [f"wrote {self.out}"]), errors)
        self.assertFalse(self.partial.exists())
        return errors

    def assert_refused(self, *parts, **options):
        """Status 2, one line of error, nothing changed."""
        before = state(self.folder)
        status, output, errors = self.command(*self.arguments(**options))
        self.assertEqual((status, output), (2, []), errors)
        (line,) = errors
        self.assertStartsWith(line, "error: ")
        for part in parts:
            self.assertIn(str(part), line)
        self.assertEqual(state(self.folder), before)

    def samples(self):
        builder = tfds.builder_from_directory(self.out)
        return [
            sample
            for split in builder.info.splits
            for sample in tfds.as_numpy(builder.as_dataset(split=split))
        ]

    def files_used(self):
        builder = tfds.builder_from_directory(self.out)
        return {source["file"] for source in builder.info.metadata["sources"].values()}


class GoodTest(CommandTestCase):
    def test_bad_pictures_are_told_and_left_out(self):
        self.write({"bg/new\nline.png": b"", "fg/x.heic": b""})
        cutout, background = self.compose()
        self.assertStartsWith(cutout, f"left out: {self.fg}/x.heic: received a .heic")
        self.assertStartsWith(background, rf"left out: {self.bg}/new\nline.png: rec")
        self.assertEqual(self.files_used(), {"0.png", "1.png", "2.png"})
        self.assertLen(self.samples(), 30)

    def test_second_time_changes_nothing(self):
        options = {"layout": "original", "zip": True}
        self.compose(**options)
        before = state(self.folder)
        self.assertNotEmpty([name for name in before if name.startswith("out/")])
        # How it is made does not count, what is made does.
        status, output, _ = self.command(*self.arguments(workers=1, **options))
        self.assertEqual((status, output), (0, [f"{self.out}: nothing to do"]))
        self.assertEqual(state(self.folder), before)
        self.assert_refused("exists and is not the data set", seed=1, **options)

    def test_zips_and_masks_and_depth(self):
        self.write({f"masks/{i}_mask.png": png(mask(SIZE) > 0) for i in range(3)})
        levels = np.arange(1, 1 + SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE)
        self.write({f"depth/{i}.png": png(levels) for i in range(3)})
        zips = {
            name: shutil.make_archive(self.folder / name, "zip", self.folder / name)
            for name in ("bg", "fg", "masks", "depth")
        }
        sources = {"bg": zips["bg"], "fg": zips["fg"], "fg_mask": zips["masks"]}
        errors = self.compose(**sources, depth=f"{zips['depth']},step=0.001")
        self.assertEqual(errors, [])
        self.assertEqual({s["depth"].dtype for s in self.samples()}, {np.dtype("uint16")})


class RefusedTest(CommandTestCase):
    @parameterized.named_parameters(
        ("size", {"size": 31}, "--size: received 31; accepted: 32 to 4096 pixels"),
        ("shadow_nan", {"shadow": "nan"}, "--shadow: received nan; accepted: 0 to 1"),
        ("val", {"val_fraction": 1}, "--val-fraction: received 1.0; accepted: 0 or more"),
        ("zip", {"zip": True}, "--zip: received True; accepted: only with --layout orig"),
        ("no_beam", {"layout": "original", "beam": ""}, "only with --layout records"),
        ("beam_runner", {"beam": "--runner=Nope"}, "--beam: received", "Unexpected"),
        ("beam_quotes", {"beam": "--runner='"}, "--beam: received", "No closing quot"),
        ("rooms_large", {"bg": f"rooms:{10**9}"}, "accepted: rooms:1 to rooms:100000"),
        ("rooms_depth", {"bg": "rooms:2", "depth": "x"}, "--depth: received x for rend"),
        ("standing", {"placement": "standing"}, "--placement: received standing"),
        ("no_bg", {"bg": None}, "arguments are required: --bg; see depthseg data comp"),
        ("depth", {"depth": "nowhere,step=1"}, "nowhere: it cannot be read (No such"),
        ("too_many", {"count": 181}, "--count: received 181", "180 samples", "at most"),
        # 240 MB of numbers otherwise.
        (
            *("many", {"bg": "rooms:100", "placements": 100_000, "count": None}),
            *("--count: received none; ", "30,000,000", "most 10,000,000 are"),
        ),
    )
    def test_options(self, options, *parts):
        self.assert_refused(*parts, **options)

    def test_folder_named_rooms(self):
        (self.folder / "rooms").mkdir()
        self.enter_context(contextlib.chdir(self.folder))
        self.assert_refused("--bg: received rooms, which is a folder here", bg="rooms")
        self.assert_refused("rooms: there is no usable picture", bg="./rooms")


class OutTest(CommandTestCase):
    @parameterized.named_parameters(
        ("file", {"out": b"mine"}),
        ("damaged_mark", {"out/fingerprint.json": b"{"}),
        ("mark_of_another", {"out/fingerprint.json": b'{"fingerprint": "0"}'}),
    )
    def test_occupied(self, files):
        self.write(files)
        self.assert_refused(
            f"--out: {self.out} exists and is not the data set", "expected a new folder"
        )

    def test_occupied_is_told_before_anything_is_read(self):
        self.out.mkdir()
        (self.bg / "bad.jpg").touch()
        self.assert_refused("exists and is not")

    def test_in_a_file(self):
        part = "cannot be written (Not a directory); expected a folder"
        self.assert_refused("--out: ", part, out=self.bg / "0.png/out")

    def interrupt(self):
        """Ctrl-C once the build has begun."""
        with mock.patch.object(
            Builder, "download_and_prepare", side_effect=KeyboardInterrupt
        ):
            result = self.command(*self.arguments())
        self.assertEqual(result, (130, [], ["", "stopped"]))
        self.assertFalse(self.out.exists())

    def test_other_options_or_pictures_for_an_unfinished_build(self):
        self.interrupt()
        for options in ({"seed": 1}, {"layout": "original"}):
            part = f"--out: {self.partial} is an unfinished data set of other options"
            self.assert_refused(part, **options)
        self.write({"fg/3.png": png(cutout(20))})
        self.assert_refused("is an unfinished data set of other options or pictures")
        (self.fg / "3.png").unlink()
        self.compose()

    def test_after_an_error_other_options_are_accepted(self):
        # The only sample is of a background that is kept out.
        bad = {"count": 1, "unseen_fraction": 0.9}
        self.assert_refused("none is left for training", **bad)
        self.assertFalse(self.partial.exists())
        self.compose(count=1, split="random", val_fraction=0)

    def test_killed_before_it_is_in_place(self):
        replace = os.replace

        def kill(source, target):
            if Path(target) == self.out:
                raise KeyboardInterrupt
            replace(source, target)

        with mock.patch.object(os, "replace", kill):
            self.assertEqual(self.command(*self.arguments())[0], 130)
        self.assertFalse(self.out.exists())
        self.assert_refused("is an unfinished data set of other options", seed=1)
        self.compose()

    @parameterized.parameters(("records", 1500), ("original", 100))
    def test_full_disk(self, layout, limit):
        before = state(self.folder)
        with full_disk(limit):
            status, output, errors = self.command(*self.arguments(layout=layout))
        self.assertEqual((status, output), (2, []), errors)
        (line,) = errors
        self.assertStartsWith(line, f"error: --out: {self.out} cannot be written (")
        for part in ("File too large", "free some space", "where it stopped."):
            self.assertIn(part, line)
        self.assertFalse(self.out.exists())
        self.assertTrue(self.partial.exists())
        self.compose(layout=layout)
        self.assertLessEqual(before.items(), state(self.folder).items())


class ProcessTest(CommandTestCase):
    def test_ctrl_c(self):
        (self.bg / "bad.jpg").touch()
        long = {"count": 5000, "placements": 1000}
        env = {**os.environ, "PYTHONPATH": str(Path(depthseg.__file__).parent)}
        # JAX sets it when it is imported, for all that comes after.
        env.pop("TF_CPP_MIN_LOG_LEVEL", None)
        stopped = subprocess.Popen(
            [sys.executable, depthseg.__file__, *self.arguments(**long)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # In the background of a script it is ignored, and so it would stay.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not (made := list(self.partial.rglob("*.tfrecord*.json"))):
            self.assertIsNone(stopped.poll())
            time.sleep(0.01)
        stopped.send_signal(signal.SIGINT)

        output, errors = stopped.communicate()
        self.assertEqual((stopped.returncode, output), (130, ""), errors)
        picture, *rest = messages(errors)
        self.assertStartsWith(picture, f"left out: {self.bg}/bad.jpg: received an empty")
        self.assertEqual(rest, ["", "stopped"])
        self.assertFalse(self.out.exists())
        whole = {path.name.removesuffix(".json") for path in made}
        before = {
            path.name: path.stat().st_mtime_ns
            for path in self.partial.rglob("*")
            if path.name in whole
        }
        self.assertNotEmpty(before)
        self.compose(**long)
        after = {path.name: path.stat().st_mtime_ns for path in self.out.iterdir()}
        self.assertLessEqual(before.items(), after.items())
        builder = tfds.builder_from_directory(self.out)
        self.assertEqual(sum(s.num_examples for s in builder.info.splits.values()), 5000)
