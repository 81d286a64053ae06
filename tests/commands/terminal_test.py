"""Exit status, errors in one line, and what the package logs."""

import contextlib
import io
import logging
import sys
from unittest import mock

from absl.testing import absltest, parameterized

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
        with self.assertRaises(ZeroDivisionError):
            run(lambda: 1 // 0)


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
