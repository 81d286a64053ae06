"""The readers of a run folder's files: values, gaps, damage."""

import math
import tempfile
from pathlib import Path

import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.training.history import phases_of
from keras_depthseg.training.run_files import (
    read_config,
    read_history,
    read_scores,
    write_history,
)
from keras_depthseg.training.run_folder import RunFolder
from tests.support.tiny_data import RefusalTestCase

READERS = {
    "config.json": read_config,
    "scores.json": read_scores,
    "history.csv": read_history,
}


class RunFilesTest(RefusalTestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = RunFolder(self.enter_context(tempfile.TemporaryDirectory()))

    def test_history_is_read_back(self):
        rows = [{"epoch": 0, "loss": 0.1}, {"epoch": 1, "loss": math.inf, "val": 2.0}]
        write_history(self.folder.history, rows)
        self.assertEqual(
            read_history(self.folder),
            {"epoch": [0.0, 1.0], "loss": [0.1, math.inf], "val": [None, 2.0]},
        )

    def test_nothing_there(self):
        self.assertEqual(read_history(self.folder), {})
        self.assertIsNone(read_scores(self.folder))
        for path, problem in (
            (self.folder, "not a run folder"),
            (__file__, "not a run folder"),
            (Path(self.folder) / "nowhere", "no such folder"),
        ):
            self.assert_refused(
                lambda path=path: read_config(RunFolder(path)), path, problem, "`run_dir`"
            )

    def test_values_that_are_missing(self):
        self.folder.config.write_text('{"data": null}')
        config = read_config(self.folder)
        self.assertEqual(
            (config["data"], config["phases"], config["depth"]), ([], [], {})
        )

    @parameterized.parameters(
        ("config.json", b'{"data": "/da', "not JSON", "restore it"),
        (
            "config.json",
            b'{"phases": 3}',
            "'phases': a value of type list",
        ),
        ("config.json", b"\xff{}", "not UTF-8"),
        ("config.json", b"[" * 200000, "not JSON"),
        ("scores.json", b'{"scores": {"val"', "not JSON", "remove it"),
        ("scores.json", b'{"scores": {"val": 3}}', "an object is expected, received 3"),
        ("history.csv", b"epoch,loss\n0,1.5\n1,1.2", "the last line is cut off"),
        ("history.csv", b"epoch,loss\n0,1.5\n1\n", "row 2 has 1 of 2 values"),
        ("history.csv", b"epoch,loss\n0,x\n\n", "row 1, 'loss'", "received 'x'"),
        ("history.csv", b"loss,loss\n0,1\n", "a column appears twice"),
        ("history.csv", b'epoch,loss\n0,"1\n', "not CSV"),
        ("history.csv", b"\x89PNG\xff\n", "not UTF-8", "remove it"),
    )
    def test_damaged(self, name, content, *parts):
        path = Path(self.folder) / name
        path.write_bytes(content)
        self.assert_refused(lambda: READERS[name](self.folder), path, *parts)


class PhasesTest(tf.test.TestCase):
    def test_equal_resolutions_are_told_apart(self):
        history = {"phase": [0, 1, 1], "resolution": [96, 96, 96]}
        self.assertEqual(phases_of(history), [(range(1), 96), (range(1, 3), 96)])

    def test_a_run_that_was_begun_without_phase_numbers(self):
        history = {"phase": [None, None, 1], "resolution": [64, 64, 96]}
        self.assertEqual(phases_of(history), [(range(2), 64), (range(2, 3), 96)])
        self.assertEqual(phases_of({"loss": [1.0]}), [(range(1), None)])
        self.assertEqual(phases_of({}), [])
