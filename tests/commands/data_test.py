"""`depthseg data card` and `validate` take what `depthseg train` takes."""

import contextlib
import io
import shutil
from unittest import mock

import numpy as np
from absl.testing import parameterized

from keras_depthseg.commands import main
from tests.support.html_pages import Page
from tests.support.tiny_data import RefusalTestCase, encoded, write_source

COMMANDS = ("card", "validate")


class OriginalLayoutTest(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self.source = write_source(self.folder / "above/source")
        self.cache = self.folder / "cache"

    def run_command(self, command, data, *options):
        """Status, and what is printed."""
        arguments = ["data", command, str(data), "--cache-dir", str(self.cache)]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = main.main([*arguments, *options])
        return status, printed.getvalue()

    def test_one_conversion_for_both(self):
        status, printed = self.run_command("validate", self.source)
        self.assertEqual(status, 0)
        self.assertIn("16 samples", printed)
        made = sorted(self.cache.rglob("*.tfrecord*"))
        self.assertNotEmpty(made)
        _, printed = self.run_command("card", self.source)
        page = self.source / "card.html"
        self.assertIn(f"wrote {page}", printed)
        sizes = ["picture sizes", "32 x 24 px: 16"]
        self.assertIn(sizes, Page(page.read_text()).rows)
        self.assertEqual(sorted(self.cache.rglob("*.tfrecord*")), made)
        # The page is no part of the source.
        self.run_command("validate", self.source)
        self.assertEqual(sorted(self.cache.rglob("*.tfrecord*")), made)

    def test_depth_of_another_direction(self):
        _, printed = self.run_command("validate", f"{self.source},larger=nearer")
        self.assertIn("16 samples", printed)
        out = self.folder / "card.html"
        data = f"{self.source},larger=nearer"
        self.run_command("card", data, "--out", str(out))
        self.assertTrue(out.is_file())

    @parameterized.parameters(*COMMANDS)
    def test_a_folder_one_level_too_high(self, command):
        above = self.source.parent
        run = lambda: self.run_command(command, above)  # noqa: E731
        self.assert_refused(
            run, f"{above}: neither", f"give what it holds: {self.source}."
        )
        self.run_command("validate", self.source)
        (records,) = self.cache.rglob("dataset_info.json")
        records = records.parent
        run = lambda: self.run_command(command, records.parent)  # noqa: E731
        self.assert_refused(run, f"what it holds: {records}.")

    @parameterized.parameters(*COMMANDS)
    def test_mistakes_are_those_of_the_conversion(self, command):
        path = self.source / "fg_bg_mask/bg001_fg001_01_mask.png"
        path.write_bytes(encoded(np.full((24, 32), 3, np.uint8), "png"))
        run = lambda: self.run_command(command, self.source)  # noqa: E731
        self.assert_refused(run, path, "or leave it out by --skip-damaged.")
        status, printed = self.run_command(command, self.source, "--skip-damaged")
        self.assertFalse(status)
        if command == "validate":
            self.assertIn("15 samples", printed)
        shutil.rmtree(self.source / "bg")
        self.assert_refused(run, "has no folder bg/")

    @parameterized.parameters(*COMMANDS)
    def test_a_mistake_without_tensorflow(self, command):
        with mock.patch(
            "keras_depthseg.commands.data.import_tensorflow_quietly"
        ) as imported:
            self.assert_refused(
                lambda: self.run_command(command, self.folder / "above"), "what it holds"
            )
        imported.assert_not_called()
