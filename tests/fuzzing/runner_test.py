"""The harness finds every planted fault, goes on behind it, and keeps its files."""

import json
import tempfile
from pathlib import Path

from absl.testing import absltest

from fuzzing import runner


def planted(name):
    return f"tests.fuzzing.planted.{name}"


class RunnerTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.out = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.lines = []

    def run_kinds(self, *names, count=3, **options):
        kinds = {planted(name): count for name in names}
        results = runner.run(self.out, kinds, tell=self.lines.append, **options)
        return {name.rpartition(".")[2]: counts for name, counts in results.items()}

    def titles(self):
        lines = (self.out / "faults.jsonl").read_text().splitlines()
        return {
            (json.loads(line)["kind"].rpartition(".")[2], json.loads(line)["title"])
            for line in lines
        }

    def test_faults_of_every_kind(self):
        names = ("Sound", "Traceback", "SeveralLines", "Content", "Exits")
        counts = self.run_kinds(*names)
        sound = counts.pop("Sound")
        self.assertEqual(sound.next, 3)
        self.assertEqual(sound.accepted + sound.refused, 15)
        self.assertEqual(sound.faults, 0)
        for name, found in counts.items():
            self.assertEqual((found.next, found.faults), (3, 3), name)
        titles = dict(self.titles())
        self.assertIn("LookupError", titles["Traceback"])
        self.assertIn("several lines", titles["SeveralLines"])
        self.assertIn("other pixels", titles["Content"])
        self.assertIn("SystemExit", titles["Exits"])
        kept = list((self.out / "faults" / planted("Traceback")).rglob("damaged.txt"))
        self.assertLen(kept, 3)
        texts = {path.read_text() for path in kept}
        self.assertLen(texts, 3)
        fault = kept[0].parent.parent / "fault.txt"
        self.assertIn("nobody has thought of it", fault.read_text())
        self.assertIn("--seed 0 --from ", fault.read_text())

    def test_a_crash_and_a_hang_cost_a_case_each(self):
        names = "Crash", "Hang", "Sound"
        counts = self.run_kinds(*names, count=2, hang_seconds=0.3)
        self.assertEqual(counts["Crash"].faults, 2)
        self.assertEqual(counts["Hang"].faults, 2)
        self.assertEqual(counts["Sound"].faults, 0)
        titles = dict(self.titles())
        self.assertIn("the interpreter ended with -6", titles["Crash"])
        self.assertIn("no answer in", titles["Hang"])
        fault, _ = (self.out / "faults" / planted("Hang")).rglob("fault.txt")
        self.assertIn("planted.py", fault.read_text())

    def test_it_goes_on_and_repeats(self):
        first = self.run_kinds("Sound", count=2)["Sound"]
        whole = self.run_kinds("Sound", count=4)["Sound"]
        self.assertEqual((first.next, whole.next), (2, 4))
        damaged = (self.out / "case/damaged.txt").read_text()
        self.run_kinds("Sound", count=1, first=3)
        self.assertEqual((self.out / "case/damaged.txt").read_text(), damaged)
        self.run_kinds("Sound", count=1, first=2)
        self.assertNotEqual((self.out / "case/damaged.txt").read_text(), damaged)


if __name__ == "__main__":
    absltest.main()
