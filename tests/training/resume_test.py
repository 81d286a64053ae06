"""python train.py --resume: after Ctrl-C, after a kill, and what it refuses."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import train
from keras_depthseg.commands import main
from keras_depthseg.training.checkpoints import latest
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

        # A field of the recipe, and one of the run.
        for option, name in (("--width", "width"), ("--seed", "seed")):
            self.assert_main_refused(
                *(self.run_dir, "another configuration", f"received {name} 9"),
                arguments=(option, "9"),
            )

        # The last position is damaged: the one before it is taken.
        before, last = self.positions()
        at = latest(self.run_dir)
        last.write_bytes(last.read_bytes()[:-1000])
        earlier = latest(self.run_dir)
        self.assertLess((earlier.epoch, earlier.step), (at.epoch, at.step))
        before.write_bytes(b"")
        self.assert_main_refused(self.run_dir / "resume", "no position can be read")

    def test_no_run_to_resume(self):
        self.run_dir.mkdir()
        self.assert_main_refused(self.run_dir, "not a run folder, it has no config.json")
        self.assertEmpty(list(self.run_dir.iterdir()))
        config = self.run_dir / "config.json"
        for content, part in (("{}", "cannot be read (TypeError"), ("{", "is damaged")):
            config.write_text(content)
            self.assert_main_refused(config, part)


@pytest.mark.long
class KilledTest(ResumeTestCase):
    """Kills the process at random moments and compares with a run left alone."""

    KILLS = 7

    def test_same_weights_and_one_history(self):
        rng = random.Random(0)
        arguments = self.new("--deterministic", schedule="32:3:8,64:3:8,32:2:4")
        alone = self.folder / "alone"
        process = self.start(*arguments, run_dir=alone)
        self.assertEqual(process.wait(600), 0, self.output.read_text())

        for kill in range(self.KILLS):
            process = self.start(*((*arguments,) if kill == 0 else ("--resume",)))
            before = latest(self.run_dir) if kill else None
            seen = {path.name for path in self.positions()}
            news = rng.randint(1, 5)

            def reached(seen=seen, news=news):
                seen.update(path.name for path in self.positions())
                return len(seen) >= news + 2

            self.wait_for(reached, process)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            process.wait()
            now = latest(self.run_dir)
            if before is not None:
                self.assertGreaterEqual(
                    (now.epoch, now.step), (before.epoch, before.step)
                )
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
        scores = [(d / "scores.json").read_text() for d in (alone, self.run_dir)]
        self.assertEqual(*scores)
        self.assertLen(list(self.run_dir.glob("checkpoints/*")), 8)
