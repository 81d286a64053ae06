"""Composites without end: by number, from the identities of their split only."""

import pickle
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import parameterized

from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.inspection import card
from keras_depthseg.datasets.inspection.validate import validate
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from tests.support.compositions import SIZE, CompositesTestCase, build, samples

RICH = {"variety": "rich", "fg_height": None}


class Recorded:
    """Backgrounds or cutouts that note which of them are read."""

    def __init__(self, sources):
        self.read = set()
        self.sources = [_Recorded(self, index, one) for index, one in enumerate(sources)]


class _Recorded:
    def __init__(self, record, index, source):
        self.record, self.index, self.source = record, index, source
        self.group = source.group

    def read(self, *size):
        self.record.read.add(self.index)
        return self.source.read(*size)


class EndlessTest(CompositesTestCase):
    def endless(self, **options):
        return EndlessComposites.of(self.config(**RICH, count=1, **options))

    def test_by_number_only(self):
        one = self.endless(depth=self.depth)
        other = pickle.loads(pickle.dumps(one))
        numbers = [5, 10**12, 0, 77]
        for number in numbers:
            one.sample("train", number)
        for number in reversed(numbers):
            first, second = one.sample("train", number), other.sample("train", number)
            for name in ("bg", "fg_bg", "mask", "depth", "box"):
                expected, found = getattr(first, name), getattr(second, name)
                self.assertEqual(expected.tobytes(), found.tobytes())
            self.assertEqual(first.sample_id, second.sample_id)
            self.assertEqual(first.mask.shape, (SIZE, SIZE))
            self.assertEqual(first.depth.dtype, np.float32)
        different = one.sample("val", 5)
        self.assertNotAllEqual(different.fg_bg, one.sample("train", 5).fg_bg)

    def test_another_size(self):
        smaller = self.endless().with_size(32)
        sample = smaller.sample("train", 1)
        self.assertEqual(sample.bg.shape, (32, 32, 3))
        self.assertIsNone(sample.depth)
        self.assertEqual(smaller.splits, SPLITS)

    def test_held_out_ones_are_those_of_the_composed_data_set(self):
        composed = samples(build(self.config(), self.folder))
        ids = {
            split: tuple(
                {s[kind].decode() for s in composed if s["split"] == split}
                for kind in ("bg_id", "fg_id")
            )
            for split in SPLITS
        }
        for split in SPLITS:
            config = self.config(**RICH, count=1)
            backgrounds, cutouts = Recorded(config.backgrounds), Recorded(config.cutouts)
            config.backgrounds, config.cutouts = backgrounds.sources, cutouts.sources
            endless = EndlessComposites.of(config)
            seen = [endless.sample(split, number) for number in range(120)]
            if split in ("train", "val"):
                expected = tuple(ids["train"][k] | ids["val"][k] for k in range(2))
            else:
                expected = ids[split]
            plan = config.plan
            self.assertEqual({plan.bg_id(i) for i in backgrounds.read}, expected[0])
            self.assertEqual({plan.fg_id(i) for i in cutouts.read}, expected[1])
            self.assertEqual({sample.bg_id for sample in seen}, expected[0])
            self.assertEqual({sample.fg_id for sample in seen}, expected[1])

    def test_rooms_are_not_those_of_the_data_set_rooms(self):
        config = self.config(**RICH, bg="rooms:3", count=1)
        plain = self.config(bg="rooms:3")
        rooms, of_data_set = (
            {(room.seed, room.index) for room in each.backgrounds}
            for each in (config, plain)
        )
        self.assertEqual(of_data_set, {(0, 0), (0, 1), (0, 2)})
        self.assertEmpty(rooms & of_data_set)

    def test_empty_splits_and_refusals(self):
        self.assertEqual(
            self.endless(unseen_fraction=0.0, val_fraction=0.0).splits, ("train",)
        )
        self.assertEqual(self.endless(split="random").splits, ("train", "val"))


class RichRecordsTest(CompositesTestCase):
    def test_composed(self):
        config = self.config(**RICH, depth=self.depth, placements=8, shadow=0.3)
        path = build(config, self.folder)
        report = validate(path)
        self.assertEqual(report.errors, [])
        card.write_card(path, Path(self.folder) / "card.html")
        unseen = config.held_out()[1]
        empty = 0
        for sample in samples(path):
            empty += not sample["mask"].any()
            self.assertEqual(bool(sample["mask"].any()), bool(sample["box"].any()))
            fg = int(sample["fg_id"][2:]) - 1
            self.assertEqual(unseen[fg], sample["split"] in ("unseen_fg", "unseen_both"))
        self.assertBetween(empty, 2, 30)
        stored = tfds.builder_from_directory(path).info.metadata["composed"]
        self.assertEqual(stored["variety"], "rich")

    def test_jpeg(self):
        path = build(self.config(**RICH, lossless=False), self.folder)
        for sample in samples(path):
            # Rows of blocks above and below the mask are the same.
            rows = sample["mask"][..., 0].any(axis=1).reshape(-1, 8).any(axis=1)
            changed = (
                np.maximum.accumulate(rows) & np.maximum.accumulate(rows[::-1])[::-1]
            )
            clear = np.repeat(~changed, 8)
            self.assertAllEqual(sample["bg"][clear], sample["fg_bg"][clear])

    @parameterized.parameters(
        {"flip": True},
        {"fg_height": 9},
        {"placement": "standing"},
        {"layout": "original"},
    )
    def test_refused_options(self, **option):
        with self.assertRaisesRegex(UserError, f"`{next(iter(option))}`: received"):
            ComposeOptions(bg="bg", fg=Path("fg"), variety="rich", **option)

    def test_paths_are_texts(self):
        fg = Path("fg")
        self.assertEqual(ComposeOptions(Path("bg"), fg), ComposeOptions("bg", fg))
        # A path is never the name of rendered rooms.
        self.assertEqual(ComposeOptions(Path("rooms"), fg), ComposeOptions("./rooms", fg))
        with self.assertRaises(TypeError):
            ComposeOptions(1, fg)
