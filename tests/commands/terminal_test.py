"""Exit status, errors in one line, and what the package logs."""

import contextlib
import errno
import io
import logging
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from unittest import mock

from absl.testing import absltest, parameterized

import depthseg
from keras_depthseg.commands.terminal import run, terminal_messages
from keras_depthseg.errors import UserError


class RunTest(parameterized.TestCase):
    @parameterized.parameters(
        (lambda: None, None), (lambda: 1, 1), (lambda: sys.exit(3), 3)
    )
    def test_status(self, command, expected):
        with self.assertRaises(SystemExit) as caught:
            run(command)
        self.assertEqual(caught.exception.code, expected)

    @parameterized.parameters(
        (UserError("a\nb: wrong"), 2, "error: a\\nb: wrong\n"),
        (KeyboardInterrupt(), 130, "\nstopped\n"),
    )
    def test_error(self, error, status, text):
        errors = io.StringIO()
        with (
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            run(mock.Mock(side_effect=error))
        self.assertEqual((caught.exception.code, errors.getvalue()), (status, text))

    def test_a_bug_shows(self):
        errors = io.StringIO()
        with (
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            run(lambda: 1 // 0)
        self.assertEqual(caught.exception.code, 1)
        self.assertIn("Traceback", errors.getvalue())
        self.assertIn("ZeroDivisionError", errors.getvalue())

    def test_an_error_is_gone_before_the_exit(self):
        """Or what it holds is deleted while the interpreter ends."""
        held = []

        def fail():
            read = Held()
            held.append(weakref.ref(read))
            raise UserError("a record is damaged") from ValueError()

        with (
            contextlib.redirect_stderr(io.StringIO()),
            self.assertRaises(SystemExit) as caught,
        ):
            run(fail)
        self.assertIsNone(caught.exception.__context__)
        self.assertIsNone(held[0]())

    @parameterized.parameters(
        (OSError(errno.ENOSPC, "x", "out/a.png"), "out/a.png", "Free some space"),
        (OSError(errno.EROFS, "x", "out"), "Read-only file system", "another place"),
        (PermissionError(errno.EACCES, "x", "out"), "out", "permissions"),
        (OSError(errno.EDQUOT, "x"), "a file", "Free some space"),
        (OSError(errno.EFBIG, "x"), "File too large", "Free some space"),
        (OSError(errno.EIO, "x", "a"), "a", "disk may be damaged"),
        (OSError(errno.EMFILE, "x", "a"), "a", "ulimit -n"),
        (RuntimeError("errno = 28, 'No space left on device'"), "a file", "Free"),
        (FileNotFoundError(2, "No usable temporary directory found in []"), "TMPDIR", ""),
    )
    def test_errors_of_the_machine_are_no_bugs(self, error, *parts):
        errors = io.StringIO()
        with (
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            run(mock.Mock(side_effect=error))
        self.assertEqual(caught.exception.code, 2)
        (line,) = errors.getvalue().splitlines()
        for part in ("error: ", *parts):
            self.assertIn(part, line)

    def test_other_errors_of_the_system_are_bugs(self):
        for error in (FileNotFoundError(2, "x", "a"), ValueError("I/O"), OSError("x")):
            errors = io.StringIO()
            with (
                contextlib.redirect_stderr(errors),
                self.assertRaises(SystemExit) as caught,
            ):
                run(mock.Mock(side_effect=error))
            self.assertEqual(caught.exception.code, 1)
            self.assertIn("Traceback", errors.getvalue())

    def test_sigterm_cleans_up(self):
        cleaned = []

        def command():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                cleaned.append(True)

        errors = io.StringIO()
        with (
            contextlib.redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            run(command)
        self.assertEqual((caught.exception.code, cleaned), (143, [True]))
        self.assertEqual(errors.getvalue(), "\nstopped by SIGTERM\n")
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    @parameterized.parameters(
        ("| head -n 1", 141, ""),
        ("> /dev/full", 2, "error: a file: received an error of the system (No space"),
    )
    def test_output_that_cannot_be_written(self, where, status, text):
        command = (
            "import depthseg; depthseg.is_running = True; "
            "from keras_depthseg.commands.terminal import run; "
            "run(lambda: [print('x' * 100) for _ in range(9999)] and None)"
        )
        process = subprocess.run(
            [
                *("bash", "-c"),
                f"'{sys.executable}' -c \"{command}\" {where}; "
                "echo ${PIPESTATUS[0]} >&2",
            ],
            env={**os.environ, "PYTHONPATH": str(Path(depthseg.__file__).parent)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        *errors, found = process.stderr.splitlines()
        self.assertEqual(int(found), status, process.stderr)
        self.assertEqual(len(errors), bool(text), errors)
        self.assertStartsWith("".join(errors), text)


class Held:
    """What a command holds when it fails."""


class MessagesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.output, self.errors = io.StringIO(), io.StringIO()
        self.enter_context(contextlib.redirect_stdout(self.output))
        self.enter_context(contextlib.redirect_stderr(self.errors))
        self.logger = logging.getLogger("keras_depthseg.some.module")

    def test_log(self):
        with terminal_messages({"keep": "--keep"}):
            self.logger.info("Epoch %d\nof `keep`", 3)
            print("bar")
            self.logger.info("done")
            self.logger.debug("unseen")
            self.logger.warning("`keep` is small, `other`")
        self.logger.info("unseen")
        self.assertEqual(self.output.getvalue(), "Epoch 3\nof --keep\nbar\ndone\n")
        self.assertEqual(self.errors.getvalue(), "warning: --keep is small, `other`\n")
        self.assertTrue(logging.getLogger("keras_depthseg").propagate)

    def test_what_does_not_print_is_written_out(self):
        names = "\x1b[2Ja", "b\u202egpj", "c\x07\r\x9bd", "e\u200b\u2066\udcff"
        with terminal_messages({}):
            for name in names:
                self.logger.info("%s\n\tof Stühle 🪑", name)
                self.logger.warning("%s", name)
        shown = "\\x1b[2Ja", "b\\u202egpj", "c\\x07\\r\\x9bd", "e\\u200b\\u2066\\udcff"
        expected = "".join(f"{name}\n\tof Stühle 🪑\n" for name in shown)
        self.assertEqual(self.output.getvalue(), expected)
        expected = "".join(f"warning: {name}\n" for name in shown)
        self.assertEqual(self.errors.getvalue(), expected)

    def test_error_names_options(self):
        with (
            self.assertRaisesRegex(UserError, "^--keep: received `x`$"),
            terminal_messages({"keep": "--keep"}),
        ):
            raise UserError("`keep`: received `x`")
        self.assertEmpty(logging.getLogger("keras_depthseg").handlers)
