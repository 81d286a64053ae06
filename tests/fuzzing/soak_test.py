"""The soak sees what grows, and what does not; one round of it goes through."""

import tempfile
from pathlib import Path

import pytest
from absl.testing import absltest

from fuzzing import soak

FLAT = {"round": 0, "seconds": 1.0, "memory_mb": 900.0, "open_files": 20, "threads": 8}


class SoakTest(absltest.TestCase):
    def test_growth(self):
        rows = [{**FLAT, "round": n, "memory_mb": 900 + 9 * (n % 2)} for n in range(30)]
        self.assertEqual(soak.growth(rows), [])
        # What grows in the first rounds is loaded, not lost.
        rows[0] = {**rows[0], "memory_mb": 100.0, "open_files": 3}
        self.assertEqual(soak.growth(rows), [])
        for name, step in (("memory_mb", 12), ("open_files", 1), ("threads", 0.5)):
            grown = [{**row, name: row[name] + step * n} for n, row in enumerate(rows)]
            (line,) = soak.growth(grown)
            self.assertStartsWith(line, f"{name} grew from ")

    def test_curves(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        soak.draw(folder / "soak.png", [FLAT, FLAT])
        self.assertGreater((folder / "soak.png").stat().st_size, 5000)

    @pytest.mark.long
    def test_a_round(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (row,) = soak.soak(folder, minutes=0.001)
        self.assertEqual((row["temporary_files"], row["left_files"]), (0, 0))
        self.assertTrue((folder / "soak.csv").exists())


if __name__ == "__main__":
    absltest.main()
