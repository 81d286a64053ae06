"""The killer finds what a kill leaves, and jobs that do not mind pass."""

import os
import tempfile
import time
from pathlib import Path

from absl.testing import absltest

from fuzzing import kills


def slow_and_atomic(out):
    """Write a file beside its place, then rename it."""
    part = out / ".part"
    for _ in range(20):
        with part.open("a") as file:
            file.write("x")
        time.sleep(0.02)
    part.write_text("whole")
    os.replace(part, out / "a.txt")


def appends(out):
    """Add to a file that may be there."""
    for _ in range(20):
        with (out / "a.txt").open("a") as file:
            file.write("x")
        time.sleep(0.02)


def keeps_a_part(out):
    """Write to a new name every time, and rename it."""
    part = out / f".part-{time.monotonic_ns()}"
    part.write_text("half")
    time.sleep(0.3)
    os.replace(part, out / "a.txt")


def fails(out):
    """Be refused."""
    raise AssertionError("refused")


class KillsTest(absltest.TestCase):
    def kill(self, function, count=3):
        work = Path(self.enterContext(tempfile.TemporaryDirectory()))
        job = kills.Job(
            function.__name__,
            lambda out: [f"{__name__}:{function.__name__}", out],
            kills.files,
        )
        self.lines = []
        return kills.kill_all([job], work, count, 0, self.lines.append, preload=())

    def test_what_a_kill_leaves(self):
        self.assertEqual(self.kill(slow_and_atomic), [])
        self.assertIn("same", self.lines[-1])
        self.assertIn("a.txt: differs", self.kill(appends)[0])
        self.assertIn(": left", self.kill(keeps_a_part)[0])

    def test_a_command_that_fails(self):
        with self.assertRaisesRegex(RuntimeError, "status 1(.|\n)*refused"):
            self.kill(fails)

    def test_differences(self):
        found = kills.differences({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 4, "d": 5})
        self.assertEqual(found, ["a: missing", "d: left", "c: differs"])


if __name__ == "__main__":
    absltest.main()
