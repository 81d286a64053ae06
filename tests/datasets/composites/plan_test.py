"""The plan: every combination once, splits without common identities, seeds."""

import dataclasses

import hypothesis
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets.composites.plan import Plan
from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.splits import SPLITS


@st.composite
def plans(draw):
    backgrounds, cutouts = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    plan = Plan(
        *(backgrounds, cutouts, draw(st.integers(1, 4)), draw(st.booleans())),
        seed=draw(st.integers(0, 5)),
    )
    count = draw(st.none() | st.integers(1, plan.total))
    return dataclasses.replace(plan, count=count)


def names(count, groups=None):
    return [f"g{index if groups is None else index % groups}" for index in range(count)]


class PlanTest(tf.test.TestCase, parameterized.TestCase):
    @hypothesis.given(plans())
    def test_each_number_is_another_combination(self, plan):
        entries = [plan.planned(number) for number in range(plan.total)]
        found = {(e.bg, e.fg, int(e.sample_id.rpartition("_")[2])) for e in entries}
        expected = {
            (bg, fg, place + 1)
            for bg in range(plan.backgrounds)
            for fg in range(plan.cutouts)
            for place in range(plan.places)
        }
        self.assertEqual(found, expected)
        self.assertLen(entries, len(expected))
        self.assertLen({entry.sample_id for entry in entries}, len(expected))
        for number, entry in enumerate(entries):
            self.assertEqual(entry.number, number)
            # Every second place, from the second on.
            place = int(entry.sample_id.rpartition("_")[2])
            self.assertEqual(entry.flip, plan.flip and place % 2 == 0)

    @parameterized.parameters(
        (100, 100, 20, True, 0, "bg001_fg001_01"),
        (100, 100, 20, True, 100 * 100 * 40 - 1, "bg100_fg100_40"),
        (1000, 12345, 60, True, 1000 * 12345 * 120 - 1, "bg1000_fg12345_120"),
    )
    def test_ids(self, backgrounds, cutouts, placements, flip, number, expected):
        entry = Plan(backgrounds, cutouts, placements, flip).planned(number)
        self.assertEqual(entry.sample_id, expected)
        sample = tables.MapRow(1, entry.bg_id, entry.sample_id, "m", "d")
        self.assertEqual((sample.bg_id, sample.fg_id), (entry.bg_id, entry.fg_id))
        self.assertEqual(expected.split("_")[:2], [entry.bg_id, entry.fg_id])

    @hypothesis.given(
        plans(),
        st.integers(1, 7),
        st.integers(1, 7),
        st.sampled_from([0, 0.1, 0.5, 0.99]),
        st.sampled_from([0, 0.1, 0.5, 0.99]),
        st.booleans(),
    )
    def test_splits(self, plan, bgs, fgs, val_fraction, unseen_fraction, by_identity):
        bg_groups, fg_groups = names(plan.backgrounds, bgs), names(plan.cutouts, fgs)
        splits = plan.splits(
            *(bg_groups, fg_groups),
            val_fraction=val_fraction,
            unseen_fraction=unseen_fraction,
            by_identity=by_identity,
        )
        # Every sample once.
        everything = np.concatenate(list(splits.values()))
        self.assertEqual(sorted(everything.tolist()), plan.numbers().tolist())
        self.assertLen(set(everything.tolist()), plan.count or plan.total)
        self.assertContainsSubset(splits, SPLITS)
        if not by_identity:
            self.assertContainsSubset(splits, ("train", "val"))
            return
        members = {
            split: [plan.planned(number) for number in numbers]
            for split, numbers in splits.items()
        }
        backgrounds = {s: {bg_groups[e.bg] for e in es} for s, es in members.items()}
        cutouts = {s: {fg_groups[e.fg] for e in es} for s, es in members.items()}
        pairs = {
            split: {(bg_groups[e.bg], fg_groups[e.fg]) for e in entries}
            for split, entries in members.items()
        }
        empty = set()
        for seen in ("train", "val"):
            for split in ("unseen_bg", "unseen_both"):
                common = backgrounds.get(seen, empty) & backgrounds.get(split, empty)
                self.assertEmpty(common)
            for split in ("unseen_fg", "unseen_both"):
                self.assertEmpty(cutouts.get(seen, empty) & cutouts.get(split, empty))
        self.assertEmpty(pairs.get("train", empty) & pairs.get("val", empty))
        if plan.count is None:
            self.assertIn("train", splits)
            both = len(set(bg_groups)) > 1 and unseen_fraction > 0
            self.assertEqual("unseen_bg" in splits, both)

    @parameterized.parameters(*range(5))
    def test_few_pictures_have_every_split(self, seed):
        plan = Plan(2, 3, 4, seed=seed)
        splits = plan.splits(names(2), names(3), val_fraction=0.1, unseen_fraction=0.1)
        # One of two backgrounds, one of three cutouts and one of two pairs are held out.
        sizes = {split: len(numbers) // plan.places for split, numbers in splits.items()}
        expected = {"train": 1, "val": 1, "unseen_bg": 2, "unseen_fg": 1}
        self.assertEqual(sizes, {**expected, "unseen_both": 1})

    @parameterized.parameters(*range(5))
    def test_a_large_group_is_not_held_out(self, seed):
        # 90 of 100 backgrounds are of one place.
        groups = ["kitchen"] * 90 + names(10)
        plan = Plan(100, 20, 2, seed=seed)
        splits = plan.splits(groups, names(20), val_fraction=0.1, unseen_fraction=0.1)
        unseen = {plan.planned(n).bg for n in splits["unseen_bg"]}
        self.assertEqual(unseen, set(range(90, 100)))

    @parameterized.parameters((100, 0.1, 10), (5, 0.1, 1), (1, 0.9, 0), (7, 0, 0))
    def test_random_split(self, count, fraction, expected):
        plan = Plan(3, 4, 10, count=count)
        splits = plan.splits(
            *(names(3), names(4)),
            val_fraction=fraction,
            unseen_fraction=0.5,
            by_identity=False,
        )
        self.assertLen(splits.get("val", ()), expected)
        self.assertLen(splits["train"], count - expected)

    def test_seeds(self):
        def splits(seed, count=300):
            return Plan(10, 10, 5, count=count, seed=seed).splits(
                names(10), names(10), val_fraction=0.2, unseen_fraction=0.2
            )

        one, again, other = splits(0), splits(0), splits(1)
        for split in SPLITS:
            self.assertEqual(one[split].tolist(), again[split].tolist())
            self.assertNotEqual(one[split].tolist(), other[split].tolist())
            # Shuffled, and not in the order of backgrounds.
            self.assertNotEqual(one[split].tolist(), sorted(one[split].tolist()))
        self.assertNotEqual(
            Plan(10, 10, 5, count=9, seed=0).numbers().tolist(),
            Plan(10, 10, 5, count=9, seed=1).numbers().tolist(),
        )
