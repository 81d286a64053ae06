"""The wheel holds all of the package, and the command works from it alone."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from absl.testing import absltest

import keras_depthseg
from keras_depthseg.pretrained import WEIGHTS
from tests.support.tiny_data import colour, encoded, mask

ROOT = Path(__file__).parent.parent
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "depthseg.py")


def run(*command, **options):
    """The output of a command that must succeed."""
    process = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    if process.returncode:
        raise AssertionError(f"{command}: {process.stdout}{process.stderr}")
    return process.stdout


class WheelTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        # A copy: setuptools puts into the wheel what an earlier build has left.
        checkout = cls.shared / "checkout"
        shutil.copytree(
            ROOT / "keras_depthseg",
            checkout / "keras_depthseg",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for name in SOURCES:
            shutil.copy(ROOT / name, checkout)
        run(
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", cls.shared, checkout),
        )
        (cls.wheel,) = cls.shared.glob("*.whl")

    def test_every_file_of_the_package(self):
        expected = {"depthseg.py"} | {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "keras_depthseg").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        with zipfile.ZipFile(self.wheel) as wheel:
            names = {name for name in wheel.namelist() if ".dist-info/" not in name}
            weights = wheel.read("keras_depthseg/networks/weights/small.keras")
        self.assertEqual(hashlib.sha256(weights).hexdigest(), WEIGHTS["small"])
        self.assertLess(len(weights), 8e6)
        self.assertEqual(names, expected)
        for suffix in (".jinja", ".tsv", ".bib", ".md", ".typed"):
            self.assertNotEmpty([name for name in names if name.endswith(suffix)], suffix)

    @pytest.mark.long
    def test_the_command_in_a_new_environment(self):
        environment, folder = self.shared / "venv", self.shared / "folder"
        folder.mkdir()
        venv.create(environment, with_pip=False, symlinks=True)
        paths = {"base": str(environment), "platbase": str(environment)}
        packages = Path(sysconfig.get_path("purelib", "venv", paths))
        run(
            *(sys.executable, "-m", "pip", "--python", environment / "bin/python"),
            *("install", "--quiet", "--no-deps", "--no-index", self.wheel),
        )
        # The packages that ours needs come from this environment: on the path after the
        # wheel's, and without its .pth files, which would lead to the checkout.
        shared = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
        (packages / "shared.pth").write_text("\n".join(shared))
        variables = {
            **{name: os.environ[name] for name in os.environ if name != "PYTHONPATH"},
            "KERAS_DEPTHSEG_CACHE": str(folder / "cache"),
        }

        def depthseg(*arguments):
            command = environment / "bin/depthseg"
            return run(command, *arguments, cwd=folder, env=variables)

        where = run(
            *(environment / "bin/python", "-c"),
            "import keras_depthseg.errors as module; print(module.__file__)",
            cwd=folder,
            env=variables,
        )
        self.assertTrue(Path(where.strip()).is_relative_to(environment), where)
        version = keras_depthseg.__version__
        self.assertEqual(depthseg("--version"), f"depthseg {version}\n")
        depthseg(
            *("train", "--data", "rooms:60", "--resolution-schedule", "32:1"),
            *("--width", "1", "--run-dir", "run"),
        )
        self.assertTrue((folder / "run/report.html").is_file())
        for kind in ("bg", "fg"):
            (folder / kind).mkdir()
        for i in range(3):
            bg, fg = colour(i), np.dstack([colour(10 + i), mask()])
            (folder / f"bg/{i}.png").write_bytes(encoded(bg, "png"))
            (folder / f"fg/{i}.png").write_bytes(encoded(fg, "png"))
        depthseg(
            # The weights are the wheel's.
            *("predict", "--bg", "bg/0.png", "--image", "bg", "--out", "results"),
        )
        self.assertLen(list((folder / "results").glob("*_cutout.png")), 3)
        depthseg(
            *("data", "compose", "--bg", "bg", "--fg", "fg", "--out", "data"),
            *("--size", "32", "--count", "30"),
        )
        depthseg("data", "card", "data")
        self.assertTrue((folder / "data/card.html").is_file())
        depthseg("data", "validate", "data")


if __name__ == "__main__":
    absltest.main()
