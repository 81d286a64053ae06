"""Evaluation of a data set and of pairs: every number against plain NumPy."""

import contextlib
import csv
import dataclasses
import hashlib
import json
import os
import re
import shutil
from unittest import mock

import numpy as np
import pytest
from absl.testing import parameterized
from scipy import ndimage

from keras_depthseg import pretrained
from keras_depthseg.augment.capture import EFFECTS, Capture
from keras_depthseg.augment.changes import CaptureChange
from keras_depthseg.commands import main
from keras_depthseg.datasets.opening import open_records
from keras_depthseg.evaluation.results import SCORES
from keras_depthseg.model import DSResNet
from keras_depthseg.pipeline import make_pipeline
from tests.support.eager import run_eagerly
from tests.support.html_pages import Page
from tests.support.numpy_scores import depth_scores, hard_iou, mask_scores
from tests.support.picture_files import saved
from tests.support.tiny_data import TinyDataTestCase, colour, mask, remove_field

RESAMPLES = 1000


def evaluate(*arguments):
    return main.main(["evaluate", *map(str, arguments)])


def results(out):
    """The content of scores.json, the rows of samples.csv, and the page."""
    with (out / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    page = Page((out / "report.html").read_text())
    return json.loads((out / "scores.json").read_text()), rows, page


def otsu(levels):
    """The mask above the threshold with the largest variance between two classes."""
    best, chosen = -1, None
    for threshold in range(256):
        above = levels > threshold
        if above.any() and not above.all():
            share = above.mean()
            apart = levels[above].mean() - levels[~above].mean()
            if share * (1 - share) * apart**2 > best:
                best, chosen = share * (1 - share) * apart**2, above
    return np.zeros(levels.shape) if chosen is None else chosen


def bootstrap(values, groupings, seed):
    """Percentiles of the means when each grouping is drawn with replacement."""
    rng = np.random.default_rng(seed)
    names = [sorted(set(ids)) for ids in groupings]
    means, left = [], RESAMPLES
    while left:
        # SciPy draws batches, in each all of the first grouping, then of the second.
        count = min(left, 50)
        left -= count
        draws = [rng.integers(0, len(n), (count, len(n))) for n in names]
        for row in range(count):
            weights = np.ones(len(values))
            for drawn, ids, known in zip(draws, groupings, names, strict=True):
                times = [(drawn[row] == known.index(each)).sum() for each in ids]
                weights *= times
            with np.errstate(invalid="ignore"):
                means.append(np.divide((weights * values).sum(), weights.sum()))
    return np.nanpercentile(means, (2.5, 97.5))


class StoredPredictionsTest(TinyDataTestCase):
    """Maps of another program on a data set, without the package's own scores."""

    def setUp(self):
        super().setUp()
        self.maps = self.folder / "other"
        self.out = self.folder / "out"
        (self.maps / "depth").mkdir(parents=True)
        rng = np.random.default_rng(0)
        self.truth = {}
        records = open_records(self.records)
        for split in ("val", "unseen_bg", "unseen_both"):
            batches = make_pipeline(records, split, resolution=64, whole_samples=True)
            for sample in batches.unbatch().as_numpy_iterator():
                name = sample["sample_id"].decode()
                labels = [sample[field][..., 0] for field in ("mask", "depth")]
                self.truth[name] = (split, sample["bg_id"].decode(), *labels)
                wrong = rng.normal(0, 0.2, (2, 64, 64))
                # A ratio of 1 / 0.8 would be on the limit of delta1, to rounding.
                predicted = np.clip(labels + wrong, 0, 0.99).astype(np.float32)
                np.save(self.maps / f"{name}.npy", predicted[0])
                np.save(self.maps / f"depth/{name}.npy", predicted[1])

    def test_stopped_while_it_writes(self):
        arguments = ("--predictions", self.maps, "--data", self.records)
        arguments += ("--resolution", 64, "--out", self.out, "--no-baselines")
        arguments += ("--split", "val,unseen_bg,unseen_both")
        for written in ("write_scores", "write_samples"):
            module = "keras_depthseg.evaluation.files"
            with (
                mock.patch(f"{module}.{written}", side_effect=KeyboardInterrupt),
                self.assertRaises(KeyboardInterrupt),
            ):
                evaluate(*arguments)
            self.assertFalse(self.out.exists())
        # The same command again; an empty folder, as one makes it, is taken.
        self.out.mkdir()
        evaluate(*arguments)
        names = ["report.html", "samples.csv", "scores.json"]
        self.assertEqual(sorted(os.listdir(self.out)), names)
        self.assertEqual(list(self.folder.glob(".*")), [])

    def test_every_number(self):
        evaluate(
            *("--predictions", self.maps, "--data", self.records, "--resolution", 64),
            *("--split", "val,unseen_bg,unseen_both", "--out", self.out, "--seed", 3),
        )
        scores, rows, page = results(self.out)
        rows = [row for row in rows if row["program"] == "other"]
        self.assertEqual({row["sample_id"] for row in rows}, set(self.truth))
        expected = {}
        for row in rows:
            name = row["sample_id"]
            split, bg_id, y_true, depth = self.truth[name]
            self.assertEqual((row["group"], row["bg_id"]), (split, bg_id))
            expected[name] = mask_scores(y_true, np.load(self.maps / f"{name}.npy"))
            expected[name] |= depth_scores(
                depth, np.load(self.maps / f"depth/{name}.npy")
            )
            self.assertEqual(set(expected[name]), set(SCORES))
            for score, value in expected[name].items():
                scale = max(1, abs(value))
                self.assertNear(float(row[score]), value, 2e-6 * scale, score)
        groups = scores["scores"]["clean"]
        self.assertEqual(list(groups), ["val", "unseen_bg", "unseen_both"])
        for split, group in groups.items():
            names = [row["sample_id"] for row in rows if row["group"] == split]
            self.assertEqual(group["samples"], len(names))
            for score, numbers in group["programs"]["other"].items():
                values = np.array([expected[name][score] for name in names])
                scale = max(1, np.abs(values).max())
                self.assertNear(numbers["value"], values.mean(), 1e-6 * scale, score)
                self.assertEqual(numbers["samples"], len(names))
                ids = [name.split("_")[:2] for name in names]
                low, high = bootstrap(values, list(zip(*ids, strict=True)), seed=3)
                self.assertNear(numbers["low"], low, 1e-6 * scale, score)
                self.assertNear(numbers["high"], high, 1e-6 * scale, score)
        # The page shows the same.
        hard = groups["val"]["programs"]["other"]["mask_hard_iou"]
        shown = next(row for row in page.rows if row[0] == "other")
        self.assertEqual(
            shown[1],
            f"{hard['value']:.3f}{hard['low']:.3f}–{hard['high']:.3f}",
        )

    def test_simple_programs(self):
        evaluate(
            *("--predictions", self.maps, "--data", self.records, "--resolution", 64),
            *("--split", "val,unseen_both", "--out", self.out),
        )
        _, rows, _ = results(self.out)
        images, depths = {}, []
        for split in ("val", "unseen_both"):
            batches = make_pipeline(self.records, split, resolution=64)
            names = [name for name, truth in self.truth.items() if truth[0] == split]
            unbatched = batches.unbatch().as_numpy_iterator()
            for name, (inputs, labels) in zip(names, unbatched, strict=True):
                bg, fg_bg = (np.int32(inputs[field]) for field in ("bg", "fg_bg"))
                least = np.full((64, 64), 255)
                around = np.pad(bg, ((2, 2), (2, 2), (0, 0)), mode="edge")
                for y in range(5):
                    for x in range(5):
                        moved = around[y : y + 64, x : x + 64]
                        least = np.minimum(least, abs(moved - fg_bg).max(2))
                measures = {
                    "difference": abs(bg - fg_bg).max(2),
                    "difference, local search": least,
                }
                images[name] = (split, labels["mask"][..., 0], measures)
                if split == "val":
                    depths.append(labels["depth"][..., 0].astype(np.float64))

        def filtered(levels, size):
            return ndimage.median_filter(levels, size, mode="nearest")

        val = [each for each in images.values() if each[0] == "val"]
        expected = {}
        for measure in ("difference", "difference, local search"):
            best, chosen = -1, None
            for size in (1, 3, 5, 7, 9):
                levels = [filtered(each[2][measure], size) for each in val]
                for threshold in range(256):
                    scores = [
                        hard_iou(truth, x > threshold)
                        for (_, truth, _), x in zip(val, levels, strict=True)
                    ]
                    if np.mean(scores) > best + 1e-12:
                        best, chosen = np.mean(scores), (size, threshold)
            expected[f"{measure} (tuned on val)"] = {
                name: hard_iou(truth, filtered(levels[measure], chosen[0]) > chosen[1])
                for name, (_, truth, levels) in images.items()
            }
        mean = np.mean([truth for _, truth, _ in val], axis=0)
        expected["constant (mean mask of val)"] = {
            name: hard_iou(truth, mean) for name, (_, truth, _) in images.items()
        }
        expected["difference, Otsu"] = {
            name: hard_iou(truth, otsu(filtered(levels["difference"], 5)))
            for name, (_, truth, levels) in images.items()
        }
        for program, values in expected.items():
            found = {
                row["sample_id"]: float(row["mask_hard_iou"])
                for row in rows
                if row["program"] == program
            }
            self.assertEqual(set(found), set(images), program)
            for name, value in values.items():
                self.assertNear(found[name], value, 1e-6, f"{program} {name}")
        known = np.array(depths) > 1e-4
        rmse = {
            "mean map of val": (known * depths).sum(0) / known.sum(0),
            "image row of val": np.repeat(
                (known * depths).sum((0, 2))[:, None] / known.sum((0, 2))[:, None], 64, 1
            ),
        }
        for program, predicted in rmse.items():
            for row in rows:
                if row["program"] == program:
                    depth = self.truth[row["sample_id"]][3]
                    value = depth_scores(depth, predicted)["depth_rmse"]
                    self.assertNear(float(row["depth_rmse"]), value, 1e-6, program)

    def test_masks_only(self):
        records = self.folder / "masks_only"
        shutil.copytree(self.records, records)
        remove_field(records, "depth")
        evaluate(
            *("--predictions", self.maps, "--data", records, "--resolution", 64),
            *("--split", "val", "--out", self.out),
        )
        _, rows, page = results(self.out)
        self.assertEqual({row["depth_rmse"] for row in rows}, {""})
        self.assertNotIn("mean map of val", {row["program"] for row in rows})
        self.assertNotIn("RMSE", " ".join(map(" ".join, page.rows)))

    def test_refused_without_depth(self):
        records = self.folder / "masks_only"
        shutil.copytree(self.records, records)
        remove_field(records, "depth")
        arguments = ("--data", records, "--split", "val", "--out", self.out)
        model = self.folder / "small.keras"
        DSResNet(width=1).save(model)
        self.assert_refused(
            lambda: evaluate(model, *arguments, "--capture", "shift=1,parallax=2"),
            *("parallax", records),
        )
        for name in self.truth:
            (self.maps / f"{name}.npy").unlink()
        self.assert_refused(
            lambda: evaluate("--predictions", self.maps, *arguments),
            *(self.maps, "depth"),
        )
        self.assertFalse(self.out.exists())

    def test_a_folder_with_the_name_of_a_baseline(self):
        maps = self.maps.rename(self.folder / "GrabCut")
        evaluate(
            *("--predictions", maps, "--data", self.records, "--resolution", 64),
            *("--split", "val", "--out", self.out),
        )
        _, rows, _ = results(self.out)
        masks = {}
        for row in rows:
            if row["mask_hard_iou"]:
                masks.setdefault(row["program"], []).append(float(row["mask_hard_iou"]))
        expected = [
            hard_iou(self.truth[row["sample_id"]][2], np.load(maps / f"{name}.npy"))
            for row in rows
            if row["program"] == "GrabCut (maps)"
            for name in [row["sample_id"]]
        ]
        self.assertAllClose(masks["GrabCut (maps)"], expected, rtol=0, atol=1e-6)
        self.assertNotAllClose(masks["GrabCut"], expected)

    def test_a_place_that_cannot_be_written(self):
        file = self.folder / "file"
        file.touch()
        self.assert_refused(
            lambda: evaluate(
                *("--predictions", self.maps, "--data", self.records),
                *("--out", file / "out"),
            ),
            file / "out",
        )

    def test_worst_masks(self):
        name = next(name for name, truth in self.truth.items() if truth[0] == "val")
        np.save(self.maps / f"{name}.npy", np.zeros((64, 64), np.float32))
        evaluate(
            *("--predictions", self.maps, "--data", self.records, "--resolution", 64),
            *("--split", "val", "--out", self.out, "--no-baselines"),
        )
        _, rows, page = results(self.out)
        self.assertLen(rows, sum(truth[0] == "val" for truth in self.truth.values()))
        self.assertLen(page.pictures, min(20, len(rows)))
        self.assertStartsWith(next(iter(page.pictures)), f"{name} (val): ")
        self.assertIn("hard IoU 0.000", next(iter(page.pictures)))

    def test_a_missing_map(self):
        name = next(name for name, truth in self.truth.items() if truth[0] == "val")
        (self.maps / f"{name}.npy").unlink()
        arguments = (
            *("--predictions", self.maps, "--data", self.records, "--resolution", 64),
            *("--split", "val", "--out", self.out / "in" / "folders"),
        )
        self.assert_refused(lambda: evaluate(*arguments), self.maps, name)
        self.assertFalse(self.out.exists())


class NetworkTest(TinyDataTestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.run = self.folder / "run"
        self.run.mkdir()
        run_eagerly(self)
        self.model = DSResNet(width=1)
        self.model.save(self.run / "model.keras")
        (self.run / "config.json").write_text('{"phases": [{"resolution": 32}]}')

    def evaluate(self, *arguments):
        evaluate(self.run, "--data", self.records, "--batch-size", 5, *arguments)
        (out,) = self.run.glob("evaluation-*")
        return results(out)

    def predicted(self, batches):
        """Hard IoU of each sample, in order of the names."""
        values = {}
        for sample in batches.as_numpy_iterator():
            inputs = {name: sample[name] for name in ("bg", "fg_bg")}
            maps = self.model.predict_on_batch(inputs)
            for name, *images in zip(
                sample["sample_id"], sample["mask"], maps["mask"], strict=True
            ):
                values[name.decode()] = mask_scores(*(x[..., 0] for x in images))[
                    "mask_hard_iou"
                ]
        return values

    def test_at_the_resolution_of_the_run_beside_baselines(self):
        scores, rows, page = self.evaluate("--samples", 8)
        self.assertEqual(scores["resolution"], 32)
        programs = list(dict.fromkeys(row["program"] for row in rows))
        self.assertEqual(programs[0], "model")
        for name in ("difference (tuned on val)", "GrabCut", "mean map of val"):
            self.assertIn(name, programs)
        groups = ["val", "unseen_bg", "unseen_fg", "unseen_both"]
        self.assertEqual(list(scores["scores"]["clean"]), groups)
        batches = make_pipeline(
            self.records, "unseen_bg", resolution=32, whole_samples=True
        )
        expected = self.predicted(batches)
        found = {
            row["sample_id"]: float(row["mask_hard_iou"])
            for row in rows
            if (row["program"], row["group"]) == ("model", "unseen_bg")
        }
        self.assertLen(found, 8)
        for name, value in found.items():
            self.assertNear(value, expected[name], 1e-6)
        self.assertEmpty(page.open)
        self.assertNotIn("script", page.tags)
        for name, value in page.attributes:
            if name in ("src", "href") and not value.startswith("#"):
                self.assertStartsWith(value, "data:")

    def test_weights_by_name_at_their_resolution(self):
        self.model.resolution = 32
        self.model.save(self.folder / "small.keras")
        digest = hashlib.sha256((self.folder / "small.keras").read_bytes()).hexdigest()
        here = self.folder / "here"
        # Nothing is written to a folder that is only called like the weights.
        (here / "small").mkdir(parents=True)
        with (
            mock.patch.object(pretrained, "FOLDER", self.folder),
            mock.patch.dict(pretrained.WEIGHTS, small=digest),
            contextlib.chdir(here),
        ):
            evaluate("small", "--data", self.records, "--samples", 2, "--no-baselines")
        self.assertEmpty(list((here / "small").iterdir()))
        (out,) = here.glob("evaluation-*")
        scores, _, _ = results(out)
        self.assertEqual(scores["resolution"], 32)

    @pytest.mark.long
    def test_captured_beside_clean(self):
        arguments = ("--capture", "exposure=40", "--split", "val", "--no-baselines")
        scores, rows, _ = self.evaluate(*arguments)
        self.assertEqual(list(scores["scores"]), ["clean", "exposure=40"])
        clean, captured = (
            [row["mask_mad"] for row in rows if row["condition"] == title]
            for title in scores["scores"]
        )
        self.assertLen(clean, len(captured))
        self.assertNotEqual(clean, captured)

    def test_sweep(self):
        effects = {"shift": (1, 4), "jpeg": (50,)}
        few = {
            name: dataclasses.replace(EFFECTS[name], strengths=strengths)
            for name, strengths in effects.items()
        }
        name = "keras_depthseg.evaluation.evaluate.EFFECTS"
        with mock.patch(name, few):
            scores, rows, page = self.evaluate(
                *("--capture", "sweep", "--split", "val", "--samples", 3)
            )
        sweep = [(each["effect"], each["strength"]) for each in scores["sweep"]]
        self.assertEqual(sweep, [("shift", 1), ("shift", 4), ("jpeg", 50)])
        for each in scores["sweep"]:
            values = {
                program: [
                    float(row["mask_hard_iou"])
                    for row in rows
                    if row["program"] == program
                    and row["condition"].startswith(
                        f"{each['effect']} {each['strength']} "
                    )
                ]
                for program in each["scores"]
            }
            self.assertEqual(
                [re.sub(r" \(.*", "", program) for program in values],
                ["model", "difference", "difference, local search"],
            )
            for program, numbers in values.items():
                self.assertLen(numbers, 3)
                self.assertNear(
                    each["scores"][program]["mask_hard_iou"], np.mean(numbers), 1e-9
                )
            captured = make_pipeline(
                self.records,
                "val",
                resolution=32,
                batch_size=5,
                augment=CaptureChange(
                    Capture.fixed({each["effect"]: each["strength"]}), 32 / 224
                ),
                epoch=0,
                whole_samples=True,
            )
            expected = list(self.predicted(captured).values())[:3]
            np.testing.assert_allclose(values["model"], expected, rtol=0, atol=1e-6)
        plots = [value for name, value in page.attributes if name == "aria-label"]
        self.assertLen(plots, 4)
        self.assertIn("mask hard IoU by strength of shift", plots)


class PairsTest(TinyDataTestCase):
    def test_scenes_unknown_pixels_and_sizes(self):
        pairs, out = self.folder / "pairs", self.folder / "out"
        model = DSResNet(width=1)
        model.save(self.folder / "small.keras")
        sizes = {"yard/a": (48, 70), "yard/b": (40, 64), "road/c": (64, 64)}
        known, truth = {}, {}
        for seed, (name, size) in enumerate(sizes.items()):
            (pairs / name).mkdir(parents=True)
            levels = mask(size)
            levels[:10] = 128
            known[name], truth[name] = levels != 128, (levels == 255).astype(float)
            for role, pixels in (
                ("bg", colour(seed, size) // 4),
                ("fg_bg", colour(seed, size) // 4 + levels[..., None] // 2),
                ("mask", levels),
            ):
                (pairs / name / f"{role}.png").write_bytes(saved(pixels))
        maps = self.folder / "tool"
        for name, size in sizes.items():
            predicted = np.random.default_rng(9).random(size).astype(np.float32)
            (maps / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(maps / f"{name}.npy", predicted)
        evaluate("--predictions", maps, "--pairs", pairs, "--out", out)
        scores, rows, page = results(out)
        expected = {
            name: mask_scores(truth[name], np.load(maps / f"{name}.npy"), known[name])
            for name in sizes
        }
        for row in rows:
            if row["program"] == "tool":
                for score, value in expected[row["sample_id"]].items():
                    self.assertNear(float(row[score]), value, 2e-6 * max(1, value), score)
        everything = scores["scores"]["clean"]["all scenes"]["programs"]
        for score, numbers in everything["tool"].items():
            a, b, c = (expected[name][score] for name in sizes)
            means = [c, (a + b) / 2]
            self.assertNear(numbers["value"], np.mean(means), 1e-6 * max(1, *means))
            low, high = bootstrap(np.array(means), [("road", "yard")], seed=0)
            self.assertNear(numbers["low"], low, 1e-6 * max(1, *means))
            self.assertNear(numbers["high"], high, 1e-6 * max(1, *means))
        self.assertIn("difference (fixed: 40 of 255)", everything)
        self.assertIn("road (1)", [row[0] for row in page.rows])

        # A network sees multiples of 32, its maps are scored at the pair's own size.
        second = self.folder / "second"
        arguments = ("--pairs", pairs, "--no-baselines", "--out", second)
        evaluate(self.folder / "small.keras", *arguments)
        _, rows, _ = results(second)
        self.assertEqual({row["sample_id"] for row in rows}, set(sizes))
        for row in rows:
            self.assertEqual(row["depth_rmse"], "")
            self.assertBetween(float(row["mask_hard_iou"]), 0, 1)
