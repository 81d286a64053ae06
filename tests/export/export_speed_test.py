"""The benchmark of exported files measures every form, and tells its size."""

import json
import tempfile
import unittest
from pathlib import Path

import pytest

from benchmarks import export_speed


class ExportSpeedTest(unittest.TestCase):
    @pytest.mark.long
    def test_every_form_of_a_format(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        arguments = "--networks ds_resnet --formats openvino --resolutions 32"
        arguments += f" --rounds 1 --repeats 1 --json {folder / 'speed.json'}"
        self.assertEqual(export_speed.main(arguments.split()), 0)
        report = json.loads((folder / "speed.json").read_text())
        sides = report["cases"]["ds_resnet, 32 px"]["sides"]
        names, sizes = zip(*(name.split(", ") for name in [*sides][:-1]), strict=True)
        expected = ("keras", *(f"openvino {it}" for it in ("float32", "float16", "int8")))
        self.assertEqual(names, expected)
        self.assertEqual([*sides][-1], "torch")
        # 2.6 million parameters.
        megabytes = [float(size.removesuffix(" MB")) for size in sizes]
        for found, size in zip(megabytes, (10.5, 10.5, 5.3, 4.1), strict=True):
            self.assertAlmostEqual(found, size, delta=0.5)


if __name__ == "__main__":
    unittest.main()
