"""What a data set cannot validate or score is said, before it is built or trained on."""

import shutil

from absl.testing import parameterized

from keras_depthseg.datasets.compose import compose
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.missing_splits import tell_missing_splits
from keras_depthseg.datasets.splits import SPLITS
from tests.support.compositions import write_pictures
from tests.support.tiny_data import RefusalTestCase

NOTHING = "nothing validates the training, and there are no scores"


class MissingSplitsTest(RefusalTestCase):
    @parameterized.parameters(
        ((20, 0, 0, 0, 0), "WARNING", NOTHING),
        (
            (20, 0, 0, 4, 0),
            "WARNING",
            "and scores are of unseen_fg; expected some in val",
        ),
        ((20, 0, 4, 4, 1), "WARNING", "and scores are of unseen_bg, unseen_fg, unseen_b"),
        ((20, 2, 0, 0, 0), "INFO", "nothing about new backgrounds and new cutouts."),
        ((20, 2, 0, 4, 0), "INFO", "nothing about new backgrounds. For such scores: add"),
        ((20, 2, 4, 0, 0), "INFO", "nothing about new cutouts. For such scores: add"),
    )
    def test_told(self, sizes, level, part):
        with self.assertLogs("keras_depthseg") as logs:
            tell_missing_splits("my_data", dict(zip(SPLITS, sizes, strict=True)))
        (record,) = logs.records
        self.assertEqual(record.levelname, level)
        message = record.getMessage()
        self.assertStartsWith(message, f"my_data: received train 20, val {sizes[1]},")
        self.assertIn(part, message)
        self.assertIn("dd backgrounds and cutouts, three of each at least", message)

    def test_complete(self):
        with self.assertNoLogs("keras_depthseg"):
            tell_missing_splits("my_data", dict.fromkeys(SPLITS, 1))

    @parameterized.named_parameters(
        ("one_of_each", 1, 1, {}, (NOTHING,)),
        ("one_and_two", 1, 2, {}, ("scores are of unseen_fg",)),
        ("two_of_each", 2, 2, {}, ("scores are of unseen_bg",)),
        ("one_background", 1, 6, {}, ("nothing about new backgrounds.",)),
        ("one_cutout", 6, 1, {}, ("nothing about new cutouts.",)),
        ("nothing_unseen", 6, 6, {"unseen_fraction": 0.0}, ("backgrounds and new",)),
        ("no_val", 6, 6, {"val_fraction": 0.0}, ("nothing validates",)),
        ("single_sample", 6, 6, {"count": 1}, ("there are no scores",)),
        ("random", 1, 1, {"split": "random"}, ("backgrounds and new cutouts",)),
        ("enough", 3, 3, {}, ()),
    )
    def test_compose(self, backgrounds, cutouts, options, parts):
        root = write_pictures(self.folder / "p", backgrounds, cutouts, size=32)
        options = ComposeOptions(
            bg=str(root / "bg"), fg=root / "fg", size=32, fg_height=12, **options
        )
        with self.assertLogs("keras_depthseg.datasets.missing_splits") as logs:
            compose(options, self.folder / "out")
            tell_missing_splits("end", {})
        lines = [record.getMessage() for record in logs.records[:-1]]
        self.assertLen(lines, len(parts))
        for line, part in zip(lines, parts, strict=True):
            self.assertStartsWith(line, f"{self.folder}/out: received train ")
            self.assertIn(part, line)

    def test_copies_count_as_one(self):
        root = write_pictures(self.folder / "p", 1, 6, size=32)
        for number in range(4):
            shutil.copy(root / "bg/00.png", root / f"bg/{number}.png")
        options = ComposeOptions(
            bg=str(root / "bg"), fg=root / "fg", size=32, fg_height=12, placements=1
        )
        with self.assertLogs("keras_depthseg.datasets.missing_splits") as logs:
            compose(options, self.folder / "out")
        self.assertRegex(logs.output[0], "new backgrounds.*near-duplicates count as one")
