"""The command itself: help, version, mistakes, and a fast start."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from absl.testing import parameterized

import depthseg
import keras_depthseg
from keras_depthseg.commands import main, terminal

COMMANDS = (
    *("", "train", "evaluate", "predict", "export", "demo"),
    *("data", "data compose", "data card", "data validate"),
)

# Runs the command and says which heavy modules it has imported.
SCRIPT = """
import sys, depthseg
try:
    depthseg.main(sys.argv[1:])
finally:
    heavy = {"tensorflow", "keras", "tensorflow_datasets", "cv2"} & set(sys.modules)
    print(*sorted(heavy), file=sys.stderr)
"""


def fresh_process(*arguments):
    """A completed process that finds the package where this one found it."""
    root = str(Path(depthseg.__file__).parent)
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": root, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


class FastStartTest(parameterized.TestCase):
    @parameterized.parameters(
        ("--version", 0, ""),
        ("train --help", 0, ""),
        ("data compose --help", 0, ""),
        ("train --data nowhere", 2, "error: nowhere: no such folder; give a folder of"),
        ("train --clip-norm -1", 2, "error: --clip-norm must be 0 (none) or above"),
        ("train --resume --run-dir nowhere", 2, "error: nowhere: no such folder"),
        ("data card nowhere", 2, "error: nowhere: no such folder; give a folder of"),
        ("data validate nowhere", 2, "error: nowhere: no such folder; give a folder of"),
        ("data compose --bg nowhere --fg x --out y", 2, "error: nowhere: it cannot be"),
    )
    def test_without_tensorflow(self, arguments, status, start):
        process = fresh_process("-c", SCRIPT, *arguments.split())
        self.assertEqual(process.returncode, status, process.stderr)
        *lines, heavy = process.stderr.splitlines()
        self.assertEqual(heavy, "")
        self.assertLen(lines, 1 if start else 0)
        self.assertStartsWith("".join(lines), start)

    @parameterized.parameters("depthseg.py", "train.py")
    def test_doors(self, name):
        process = fresh_process(Path(depthseg.__file__).with_name(name), "--help")
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        self.assertStartsWith(
            process.stdout, f"usage: depthseg{' train' * (name[0] == 't')}"
        )


class ImportTest(parameterized.TestCase):
    def test_names_resolve_while_the_command_runs(self):
        script = (
            "import sys, depthseg; depthseg.is_running = True;"
            "import keras_depthseg as package; assert 'keras' not in sys.modules;"
            "print(len([getattr(package, name) for name in package.__all__]))"
        )
        self.assertEqual(fresh_process("-c", script).stdout, "8\n")

    @parameterized.parameters("keras, keras_depthseg", "depthseg, keras_depthseg, keras")
    def test_a_person_gets_registered_classes(self, modules):
        script = (
            f"import {modules}; from keras.saving import get_registered_object as get;"
            "names = ('DSResNet', 'SiameseNet');"
            "print([get(f'keras_depthseg>{name}').__name__ for name in names])"
        )
        process = fresh_process("-c", script)
        self.assertEqual(process.stdout, "['DSResNet', 'SiameseNet']\n", process.stderr)

    def test_public_names(self):
        from keras_depthseg import training

        for name in training.__all__:
            self.assertIsNotNone(getattr(training, name))
        for module in (keras_depthseg, training):
            with self.assertRaisesRegex(AttributeError, "has no attribute 'colour'"):
                _ = module.colour


class HelpTest(parameterized.TestCase):
    def command(self, *arguments):
        """Exit status, lines of output, lines of errors."""
        output, errors = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
            mock.patch.dict(os.environ, COLUMNS="80"),
            self.assertRaises(SystemExit) as caught,
        ):
            terminal.run(lambda: main.main(list(arguments)))
        lines = output.getvalue().splitlines(), errors.getvalue().splitlines()
        return caught.exception.code, *lines

    @parameterized.parameters(*COMMANDS)
    def test_lines_and_examples(self, command):
        status, lines, errors = self.command(*command.split(), "--help")
        self.assertEqual((status, errors), (0, []))
        self.assertLessEqual(max(map(len, lines)), 80)
        example = "\n".join(lines[lines.index("example:") + 1 :])
        self.assertStartsWith(example, f"  depthseg {command}".rstrip())
        for line in example.replace("\\\n", "").splitlines():
            args = main.parse_args(line.split()[1:])
            self.assertTrue(callable(args.run))

    def test_words_stay_whole(self):
        _, lines, _ = self.command("data", "compose", "--help")
        for word in ('"--runner=DirectRunner', "--direct_running_mode=multi_processing"):
            self.assertIn(word, "\n".join(lines))
        for line in lines:
            self.assertNotRegex(line, r"\w-$|\s-+$")

    def test_version(self):
        expected = 0, [f"depthseg {keras_depthseg.__version__}"], []
        self.assertEqual(self.command("--version"), expected)

    @parameterized.parameters(
        *((command, "--x\ny") for command in COMMANDS), ("",), ("data",)
    )
    def test_mistake(self, command, *options):
        status, output, errors = self.command(*command.split(), *options)
        self.assertEqual((status, output), (2, []))
        self.assertRegex("\n".join(errors), r"^error: .+; see depthseg.* --help$")
