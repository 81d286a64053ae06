"""`depthseg data compose`: its options, what it says, and what it leaves on the disk."""

import contextlib
import io
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

import depthseg
from keras_depthseg.commands import main, parsing
from keras_depthseg.datasets import compose
from keras_depthseg.datasets.composites import configure
from keras_depthseg.errors import UserError
from tests.support.tiny_data import colour, encoded, mask

SIZE = (32, 40)
COMMANDS = ("", "data", "data compose", "data card", "data validate")


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


@contextlib.contextmanager
def full_disk(limit):
    """No file becomes longer; Python ignores the signal, so that writes fail."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


class CommandTestCase(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
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
            parsing.run(lambda: main.main([str(text) for text in arguments]))
        lines = output.getvalue().splitlines(), errors.getvalue().splitlines()
        return caught.exception.code or 0, *lines

    def compose(self, **options):
        """Succeeds; the lines of errors."""
        status, output, errors = self.command(*self.arguments(**options))
        self.assertEqual((status, output), (0, [f"wrote {self.out}"]), errors)
        self.assertFalse(self.partial.exists())
        return errors

    def assert_refused(self, *parts, told=(), **options):
        """Status 2, one line of error after those about pictures, nothing changed."""
        before = state(self.folder)
        status, output, errors = self.command(*self.arguments(**options))
        self.assertEqual((status, output), (2, []), errors)
        *pictures, line = errors
        self.assertLen(pictures, len(told), errors)
        for picture, part in zip(pictures, told, strict=True):
            self.assertStartsWith(picture, "left out: ")
            self.assertIn(part, picture)
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
        self.write(
            {
                "bg/bad.jpg": b"text",
                "bg/new\nline.png": b"",
                "fg/opaque.png": png(colour(0, SIZE)),
                "fg/x.heic": b"",
            }
        )
        errors = self.compose()
        cutouts, backgrounds = errors[:2], errors[2:]
        self.assertStartsWith(cutouts[0], f"left out: {self.fg}/x.heic: received a .heic")
        self.assertStartsWith(cutouts[1], f"left out: {self.fg}/opaque.png: received RGB")
        self.assertStartsWith(backgrounds[0], f"left out: {self.bg}/bad.jpg: received")
        self.assertStartsWith(backgrounds[1], rf"left out: {self.bg}/new\nline.png: rec")
        self.assertLen(errors, 4)
        self.assertEqual(self.files_used(), {"0.png", "1.png", "2.png"})
        self.assertLen(self.samples(), 30)

    @parameterized.parameters(
        {}, {"layout": "original"}, {"layout": "original", "zip": True}
    )
    def test_second_time_changes_nothing(self, **options):
        self.compose(**options)
        before = state(self.folder)
        self.assertNotEmpty([name for name in before if name.startswith("out/")])
        status, output, _ = self.command(*self.arguments(**options))
        self.assertEqual((status, output), (0, [f"{self.out}: nothing to do"]))
        self.assertEqual(state(self.folder), before)
        # How it is made does not count, what is made does.
        self.assertEqual(self.command(*self.arguments(workers=1, **options))[0], 0)
        self.assert_refused("exists and is not the data set", seed=1, **options)

    @parameterized.parameters(((900, 700),), ((1500, 20),), ((20, 1500),))
    def test_large_and_wide_cutouts_are_wholly_inside(self, size):
        shutil.rmtree(self.fg)
        self.write({"fg/a.png": png(cutout(1, size))})
        self.compose(unseen_fraction=0)
        opacity = {int(sample["mask"].sum()) for sample in self.samples()}
        # Wherever it is, all of it is seen.
        self.assertLen(opacity, 1)
        for sample in self.samples():
            rows, columns, _ = np.nonzero(sample["mask"])
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            self.assertTrue(height == 15 or width == 32, (height, width))
            self.assertLessEqual(height, 15)

    def test_zips_and_masks_and_depth(self):
        self.write({f"masks/{i}_mask.png": png(mask(SIZE) > 0) for i in range(3)})
        levels = np.arange(1, 1 + SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE)
        self.write({f"depth/{i}.png": png(levels) for i in range(3)})
        zips = {
            name: shutil.make_archive(self.folder / name, "zip", self.folder / name)
            for name in ("bg", "fg", "masks", "depth")
        }
        errors = self.compose(
            bg=zips["bg"],
            fg=zips["fg"],
            fg_mask=zips["masks"],
            depth=f"{zips['depth']},step=0.001",
        )
        self.assertEqual(errors, [])
        self.assertEqual({s["depth"].dtype for s in self.samples()}, {np.dtype("uint16")})

    @parameterized.parameters("records", "original")
    def test_two_at_once(self, layout):
        # In place of two processes: their locks keep threads apart as well.
        options = compose.ComposeOptions(
            bg=str(self.bg), fg=self.fg, size=32, count=30, layout=layout
        )
        results, errors = [], io.StringIO()

        def build():
            results.append(compose.compose(options, self.out))

        with contextlib.redirect_stderr(errors):
            threads = [threading.Thread(target=build) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(results, [self.out] * 3)
        self.assertFalse(self.partial.exists())
        self.assertEqual(self.command(*self.arguments(layout=layout))[0], 0)


class RefusedTest(CommandTestCase):
    @parameterized.named_parameters(
        ("count_0", {"count": 0}, "--count: received 0; accepted: 1 or more. Change"),
        ("count_negative", {"count": -5}, "--count: received -5; accepted: 1 or more"),
        ("count_text", {"count": "many"}, "argument --count: invalid int value: 'many'"),
        ("size_small", {"size": 31}, "--size: received 31; accepted: 32 to 4096 pixels"),
        ("size_large", {"size": 4097}, "--size: received 4097"),
        ("size_negative", {"size": -32}, "--size: received -32"),
        ("fg_height_0", {"fg_height": 0}, "--fg-height: received 0; accepted: 1 to 32"),
        ("fg_height_large", {"fg_height": 33}, "--fg-height: received 33"),
        ("placements_0", {"placements": 0}, "--placements: received 0; accepted: 1 to"),
        ("placements_large", {"placements": 10**6}, "accepted: 1 to 100,000"),
        ("workers_0", {"workers": 0}, "--workers: received 0; accepted: 1 or more"),
        ("seed", {"seed": -1}, "--seed: received -1; accepted: 0 to 4294967295"),
        ("seed_large", {"seed": 2**32}, "--seed: received 4294967296"),
        ("shadow", {"shadow": 1.01}, "--shadow: received 1.01; accepted: 0 to 1"),
        ("shadow_nan", {"shadow": "nan"}, "--shadow: received nan"),
        ("val", {"val_fraction": 1}, "--val-fraction: received 1.0; accepted: 0 or more"),
        ("unseen", {"unseen_fraction": -0.1}, "--unseen-fraction: received -0.1"),
        ("placement", {"placement": "up"}, "received up; accepted: anywhere or standing"),
        ("split", {"split": "x"}, "--split: received x; accepted: identity or random"),
        (
            "layout",
            {"layout": "x"},
            "--layout: received x; accepted: records or original",
        ),
        ("zip", {"zip": True}, "--zip: received True; accepted: only with --lay"),
        (
            *("beam_original", {"layout": "original", "beam": "--runner=DirectRunner"}),
            "accepted: only with --layout records",
        ),
        (
            *("beam_runner", {"beam": "--runner=Nope"}),
            *("--beam: received '--runner=Nope', which Apache Beam", "Unexpected pipel"),
        ),
        (
            *("beam_number", {"beam": "--direct_num_workers=x"}),
            *("argument --direct_num_workers: invalid int value: 'x'", "accepted"),
        ),
        (
            "beam_quotes",
            {"beam": "--runner='"},
            "--beam: received",
            "No closing quotation",
        ),
        ("rooms_0", {"bg": "rooms:0"}, "--bg: received rooms:0; accepted: rooms:1 to"),
        ("rooms_large", {"bg": f"rooms:{10**9}"}, "accepted: rooms:1 to rooms:100000"),
        (
            *("rooms_depth", {"bg": "rooms:2", "depth": "maps,step=1"}),
            *("--depth: received maps,step=1 for rendered rooms", "Leave it out"),
        ),
        (
            *("standing", {"placement": "standing"}),
            *("--placement: received standing", "expected --depth FOLDER,step=", "Giv"),
        ),
        (
            "unknown",
            {"colour": 1},
            "unrecognized arguments: --colour=1; see depthseg",
        ),
        ("newline", {"colour": "a\nb"}, r"unrecognized arguments: --colour=a\nb; see"),
        (
            "no_bg",
            {"bg": None},
            "arguments are required: --bg; see depthseg data compose",
        ),
        ("no_value", {"bg": None, "fg": True}, "argument --fg: expected one argument"),
    )
    def test_options(self, options, *parts):
        self.assert_refused(*parts, **options)

    def test_count_too_large(self):
        self.assert_refused(
            *("--count: received 181; 3 backgrounds and 3 cutouts", "make 180 samples"),
            *("at most", "Choose fewer, or more --placements"),
            count=181,
        )
        self.assert_refused("--count: received 1000000000000000000000", count=10**21)
        self.compose(count=180)

    def test_more_than_memory_holds(self):
        # 40 GB of numbers otherwise.
        with mock.patch.object(configure, "MOST_SAMPLES", 179):
            self.assert_refused(
                *("--count: received none; 3 backgrounds", "make 180 samples, and at"),
                *("most 179 are accepted. Choose fewer",),
                count=None,
            )
            self.assert_refused("--count: received 180", "at most 179", count=180)

    @parameterized.named_parameters(
        ("no_meaning", "depth", "received no more; accepted: step=METRES of one grey"),
        ("unknown_key", "depth,unit=metre", "received 'unit=metre'; accepted: each of"),
        ("bad_number", "depth,step=1mm", "received step=1mm; accepted: metres, 1e-06"),
        (
            "missing",
            "no such folder,step=1",
            "no such folder: it cannot be read (No such",
        ),
        ("no_network", "no such.onnx,larger=nearer", "no such.onnx: no such file"),
    )
    def test_depth(self, depth, *parts):
        (self.folder / "depth").mkdir()
        self.assert_refused(*parts, depth=f"{self.folder}/{depth}")

    @parameterized.product(
        option=["bg", "fg", "fg_mask"], kind=["file", "missing", "empty"]
    )
    def test_source(self, option, kind):
        path = self.folder / "source"
        if kind == "file":
            path.touch()
        elif kind == "empty":
            path.mkdir()
        part = {"file": "it is no folder", "missing": "No such file"}.get(
            kind, "no usable"
        )
        self.assert_refused(path, part, **{option: path})

    def test_nothing_left(self):
        for path in self.fg.iterdir():
            path.write_bytes(b"")
        self.assert_refused(
            *(self.fg, "none of its 3 pictures can be used; expected", "Correct"),
            told=("fg/0.png", "fg/1.png", "fg/2.png"),
        )

    def test_folder_named_rooms(self):
        (self.folder / "rooms").mkdir()
        self.enter_context(contextlib.chdir(self.folder))
        self.assert_refused(
            *("--bg: received rooms, which is a folder here", "expected ./rooms for"),
            *("rooms:100 for rendered", "Say which"),
            bg="rooms",
        )
        self.assert_refused("rooms: there is no usable picture", bg="./rooms")

    def test_newline_in_a_path(self):
        self.assert_refused(r"a\nb: it cannot be read", bg=self.folder / "a\nb")


class OutTest(CommandTestCase):
    @parameterized.named_parameters(
        ("empty_folder", {}),
        ("folder", {"out/notes.txt": b"mine"}),
        ("file", {"out": b"mine"}),
        ("damaged_mark", {"out/fingerprint.json": b"{"}),
        ("mark_of_another", {"out/fingerprint.json": b'{"fingerprint": "0"}'}),
    )
    def test_occupied(self, files):
        self.write(files)
        if not files:
            self.out.mkdir()
        self.assert_refused(
            f"--out: {self.out} exists and is not the data set", "expected a new folder"
        )

    def test_occupied_is_told_before_anything_is_read(self):
        self.out.mkdir()
        (self.bg / "bad.jpg").touch()
        self.assert_refused("exists and is not", told=())

    def test_link_to_nowhere(self):
        self.out.symlink_to(self.folder / "nowhere")
        self.assert_refused("exists and is not the data set")
        self.assertTrue(self.out.is_symlink())

    @parameterized.named_parameters(
        ("in_a_file", "bg/0.png/out", "Not a directory"),
        ("long_name", "x" * 300, "File name too long"),
        ("long_hidden_name", "x" * 250, "File name too long"),
        ("not_writable", "/proc/no/out", "No such file or directory"),
        ("not_writable_itself", "/proc/out", "No such file or directory"),
    )
    def test_cannot_be_written(self, name, reason):
        self.assert_refused(
            *("--out: ", f"cannot be written ({reason})", "expected a folder", "Choose"),
            out=self.folder / name,
        )

    def test_missing_parents_and_dots(self):
        self.out = self.folder / "a/b/out"
        self.partial = self.folder / "a/b/.out.partial"
        status, output, _ = self.command(
            *self.arguments(out=self.folder / "a/x/../b/out/.")
        )
        self.assertEqual((status, len(output)), (0, 1))
        self.assertLen(self.samples(), 30)
        self.assertEqual(os.listdir(self.folder / "a"), ["b"])

    def interrupt(self, **options):
        """Ctrl-C once the build has begun."""
        with mock.patch.object(compose, "_build", side_effect=KeyboardInterrupt):
            status, output, errors = self.command(*self.arguments(**options))
        self.assertEqual((status, output, errors), (130, [], ["", "stopped"]))
        self.assertFalse(self.out.exists())

    @parameterized.parameters(
        {"seed": 1}, {"count": 29}, {"layout": "original"}, {"lossless": True}
    )
    def test_other_options_for_an_unfinished_build(self, **options):
        self.interrupt()
        self.assert_refused(
            *(f"--out: {self.partial} is an unfinished data set of other options",),
            *("expected the same ones", "or remove it"),
            **options,
        )
        self.compose()

    def test_other_pictures_for_an_unfinished_build(self):
        self.interrupt()
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

    def test_killed_before_the_last_step(self):
        with mock.patch.object(compose, "remove_partial", side_effect=KeyboardInterrupt):
            self.assertEqual(self.command(*self.arguments())[0], 130)
        self.assertTrue(self.partial.exists())
        before = state(self.out)
        self.assertEqual(self.command(*self.arguments())[0], 0)
        self.assertFalse(self.partial.exists())
        self.assertEqual(state(self.out), before)

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

    @parameterized.product(layout=["records", "original"], limit=[0, 100, 1500])
    def test_full_disk(self, layout, limit):
        before = state(self.folder)
        with full_disk(limit):
            status, output, errors = self.command(*self.arguments(layout=layout))
        self.assertEqual((status, output), (2, []), errors)
        (line,) = errors
        self.assertStartsWith(line, f"error: --out: {self.out} cannot be written (")
        for part in ("File too large", "free some space", "resumes where it stopped."):
            self.assertIn(part, line)
        self.assertFalse(self.out.exists())
        self.assertTrue(self.partial.exists())
        self.compose(layout=layout)
        self.assertLessEqual(before.items(), state(self.folder).items())


class ProcessTest(CommandTestCase):
    def start(self, *arguments, longest_file=resource.RLIM_INFINITY):
        def prepare():
            # In the background of a script it is ignored, and so it would stay.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (longest_file, longest_file))

        return subprocess.Popen(
            [sys.executable, depthseg.__file__, *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(depthseg.__file__).parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )

    def test_full_disk_and_ctrl_c(self):
        (self.bg / "bad.jpg").touch()
        # Each spends seconds on importing TensorFlow, so side by side.
        full = self.start(*self.arguments(out=self.folder / "full"), longest_file=9000)
        long = {"count": 5000, "placements": 1000}
        stopped = self.start(*self.arguments(**long))
        while not (made := list(self.partial.rglob("*.tfrecord*.json"))):
            self.assertIsNone(stopped.poll())
            time.sleep(0.01)
        stopped.send_signal(signal.SIGINT)

        output, errors = stopped.communicate()
        self.assertEqual((stopped.returncode, output), (130, ""), errors)
        picture, *rest = errors.splitlines()
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

        output, errors = full.communicate()
        self.assertEqual((full.returncode, output), (2, ""), errors)
        picture, line = errors.splitlines()
        self.assertStartsWith(picture, "left out: ")
        self.assertStartsWith(line, f"error: --out: {self.folder}/full cannot be written")
        self.assertFalse((self.folder / "full").exists())
        self.out = self.folder / "full"
        self.compose()


class HelpTest(CommandTestCase):
    def help(self, command):
        with mock.patch.dict(os.environ, COLUMNS="80"):
            status, lines, errors = self.command(*command.split(), "--help")
        self.assertEqual((status, errors), (0, []))
        return lines

    @parameterized.parameters(*COMMANDS)
    def test_lines_and_examples(self, command):
        lines = self.help(command)
        self.assertLessEqual(max(map(len, lines)), 80)
        example = lines[lines.index("example:") + 1 :]
        self.assertStartsWith(example[0], f"  depthseg data {command[5:]}")

    @parameterized.parameters(*COMMANDS)
    def test_examples_are_accepted(self, command):
        lines = self.help(command)
        example = "\n".join(lines[lines.index("example:") + 1 :])
        for line in example.replace("\\\n", "").splitlines():
            words = line.split()
            if words[0] == "depthseg" and "--help" not in words:
                args = main.parse_args(words[1:])
                self.assertTrue(callable(args.run))

    def test_words_stay_whole(self):
        text = "\n".join(self.help("data compose"))
        for word in ('"--runner=DirectRunner', "--direct_running_mode=multi_processing"):
            self.assertIn(word, text)
        for line in text.splitlines():
            self.assertNotRegex(line, r"\w-$|\s-+$")

    def test_defaults_are_the_options(self):
        args = main.parse_args(self.arguments(size=None, count=None))
        expected = compose.ComposeOptions(bg=str(self.bg), fg=self.fg)
        for name, value in vars(expected).items():
            self.assertEqual(getattr(args, name), value, name)

    @parameterized.parameters(*itertools.product(COMMANDS, ("--colour", "--x\ny")))
    def test_unknown_option(self, command, option):
        status, output, errors = self.command(*command.split(), option)
        self.assertEqual((status, output), (2, []))
        (line,) = errors
        self.assertRegex(line, r"^error: .+; see depthseg.* --help$")

    def test_no_command(self):
        for arguments in ((), ("data",)):
            status, _, errors = self.command(*arguments)
            self.assertEqual(status, 2)
            self.assertRegex(
                "\n".join(errors), r"^error: .*COMMAND; see depthseg.*--help$"
            )


class RunTest(CommandTestCase):
    @parameterized.parameters(
        (lambda: None, None), (lambda: 0, 0), (lambda: 1, 1), (lambda: sys.exit(3), 3)
    )
    def test_status(self, main, expected):
        with self.assertRaises(SystemExit) as caught:
            parsing.run(main)
        self.assertEqual(caught.exception.code, expected)

    def test_a_mistake_is_one_line(self):
        errors = io.StringIO()
        with (
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            parsing.run(mock.Mock(side_effect=UserError("a\nb: wrong")))
        self.assertEqual(
            (caught.exception.code, errors.getvalue()), (2, "error: a\\nb: wrong\n")
        )

    def test_a_bug_shows(self):
        with self.assertRaises(ZeroDivisionError):
            parsing.run(lambda: 1 // 0)


if __name__ == "__main__":
    tf.test.main()
