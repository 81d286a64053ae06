"""python train.py --resume: after Ctrl-C, after a kill, and what it refuses."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import train
from keras_depthseg.commands import main
from keras_depthseg.training.checkpoints import latest
from keras_depthseg.training.recipes import RECIPES
from tests.support.compositions import write_pictures
from tests.support.tiny_data import TinyDataTestCase

# Columns that a clock fills.
TIMES = ("step_seconds", "images_per_second", "input_wait")
STARTED = 180


class ResumeTestCase(TinyDataTestCase):
    def setUp(self):
        super().setUp()
        self.run_dir = self.folder / "run"

    def start(self, *arguments, run_dir=None):
        """A process of train.py; its output is in a file beside the run folder."""
        run_dir = run_dir or self.run_dir
        self.output = self.folder / "output.txt"
        with self.output.open("a") as file:
            process = subprocess.Popen(
                [sys.executable, train.__file__, "--run-dir", str(run_dir), *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(Path(train.__file__).parent)},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def new(self, *arguments, schedule="32:2:8,64:1:8"):
        return (
            *("--data", str(self.records), "--resolution-schedule", schedule),
            *("--width", "1", "--precision", "float32", "--optimizer", "sgd"),
            *("--learning-rate-schedule", "plateau", "--average", "0.9"),
            *("--checkpoint-minutes", "0", *arguments),
        )

    def positions(self, run_dir=None):
        return sorted((run_dir or self.run_dir).glob("resume/position-*.npz"))

    def wait_for(self, condition, process):
        deadline = time.monotonic() + STARTED
        while not condition():
            self.assertIsNone(process.poll(), self.output.read_text())
            self.assertLess(time.monotonic(), deadline, self.output.read_text())
            time.sleep(0.01)

    def assert_main_refused(self, *parts, arguments=()):
        self.assert_refused(
            lambda: main.main(
                ["train", "--resume", "--run-dir", str(self.run_dir), *arguments]
            ),
            *parts,
        )


class InterruptedTest(ResumeTestCase):
    def test_ctrl_c_and_what_may_follow(self):
        process = self.start(*self.new(schedule="32:99:8"))
        self.wait_for(lambda: len(self.positions()) == 2, process)
        self.assert_main_refused(self.run_dir, "another run is using this folder")

        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 130)
        output = self.output.read_text()
        self.assertIn(f"depthseg train --resume --run-dir {self.run_dir}", output)
        self.assertNotIn("Traceback", output)

        # A run of another configuration, whatever differs.
        for arguments, parts in (
            (
                ("--learning-rate", "0.5"),
                (
                    "received learning_rate 0.5",
                    f"it has {RECIPES['quick'].learning_rate}",
                ),
            ),
            (("--width", "2"), ("received width 2", "it has 1")),
            (("--seed", "9"), ("received seed 9", "it has 0")),
            (("--recipe", "ssim_dice"), ("received name ssim_dice", "it has quick")),
            (("--deterministic",), ("received deterministic True", "it has False")),
        ):
            self.assert_main_refused(
                *(self.run_dir, "this run has another configuration", *parts),
                arguments=arguments,
            )
        self.assert_refused(
            lambda: main.main(["train", "--run-dir", str(self.run_dir)]),
            "not empty",
            "--resume",
        )

        # The last position is damaged: the one before it is taken.
        before, last = self.positions()
        at = latest(self.run_dir)
        last.write_bytes(last.read_bytes()[:-1000])
        earlier = latest(self.run_dir)
        self.assertLess((earlier.epoch, earlier.step), (at.epoch, at.step))
        before.write_bytes(b"")
        self.assert_main_refused(self.run_dir / "resume", "no position can be read")

        config = json.loads((self.run_dir / "config.json").read_text())
        config["samples"]["train"] += 1
        (self.run_dir / "config.json").write_text(json.dumps(config))
        self.assert_main_refused("this data set has changed since the run began")
        (self.run_dir / "config.json").write_text("{")
        self.assert_main_refused("config.json: the file is damaged", "start a new run")

    def test_no_run_to_resume(self):
        self.assert_main_refused(self.run_dir, "no such folder")
        self.run_dir.mkdir()
        self.assert_main_refused(self.run_dir, "not a run folder, it has no config.json")
        self.assertEmpty(list(self.run_dir.iterdir()))
        self.assert_refused(lambda: main.main(["train", "--resume"]), "no --run-dir")
        (self.run_dir / "config.json").write_text("{}")
        self.assert_main_refused(self.run_dir, "config.json: cannot be read (TypeError")
        self.assert_main_refused(
            *("received with --resume", "leave one of them out"),
            arguments=["--lr-range-test", "1e-5:1:10"],
        )


@pytest.mark.long
class KilledTest(ResumeTestCase):
    """Kills the process at random moments and compares with a run left alone."""

    def test_records(self):
        self.check_killed(
            self.new("--deterministic", schedule="32:3:8,64:3:8,32:2:4"), kills=10
        )

    def test_mixture_with_composites_made_while_training(self):
        pictures = write_pictures(self.folder / "pictures")
        arguments = self.new("--deterministic", schedule="32:3:8,64:3:8,32:2:4")
        sources = ("--bg", f"{pictures}/bg", "--fg", f"{pictures}/fg", "--samples", "48")
        self.check_killed((*arguments, *sources), kills=4)

    def check_killed(self, arguments, kills):
        """The killed and resumed run has the same weights, and one history."""
        rng = random.Random(0)
        alone = self.folder / "alone"
        process = self.start(*arguments, run_dir=alone)
        self.assertEqual(process.wait(600), 0, self.output.read_text())

        moments = []
        for kill in range(kills):
            process = self.start(*((*arguments,) if kill == 0 else ("--resume",)))
            before = latest(self.run_dir) if kill else None
            # Phases begin with epochs 3 and 6: the kills come there.
            boundary = {2: 3, 6: 6}.get(kill)
            seen = {path.name for path in self.positions()}
            news = rng.randint(1, 5)

            def reached(seen=seen, news=news, boundary=boundary):
                if boundary:
                    return (
                        self.run_dir / f"checkpoints/epoch-{boundary:03d}.weights.h5"
                    ).exists()
                seen.update(path.name for path in self.positions())
                return len(seen) >= news + 2

            self.wait_for(reached, process)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            process.wait()
            now = latest(self.run_dir)
            moments.append((now.epoch, now.step))
            if before is not None:
                self.assertGreaterEqual(
                    (now.epoch, now.step), (before.epoch, before.step)
                )
        print("killed at", moments)
        process = self.start("--resume")
        self.assertEqual(process.wait(600), 0, self.output.read_text())

        a, b = latest(alone), latest(self.run_dir)
        self.assertEqual((b.epoch, b.step), (8, 0))
        self.assertEqual(list(b.arrays), list(a.arrays))
        for name, array in a.arrays.items():
            np.testing.assert_array_equal(b.arrays[name], array, err_msg=name)
        for rows in (a.rows, b.rows):
            self.assertEqual([row["epoch"] for row in rows], list(range(8)))
        untimed = [
            [{k: v for k, v in row.items() if k not in TIMES} for row in p.rows]
            for p in (a, b)
        ]
        self.assertEqual(*untimed)
        with (self.run_dir / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(
            [row["loss"] for row in rows], [str(row["loss"]) for row in a.rows]
        )
        scores = [
            json.loads((d / "scores.json").read_text()) for d in (alone, self.run_dir)
        ]
        self.assertEqual(*scores)
        names = [
            sorted(p.name for p in d.glob("checkpoints/*")) for d in (alone, self.run_dir)
        ]
        self.assertEqual(*names)
        self.assertLen(names[0], 8)
        shutil.rmtree(alone)


if __name__ == "__main__":
    tf.test.main()
