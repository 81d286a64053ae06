"""Real commands on read-only and full disks, without a home, stopped at any moment."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import pytest
from absl.testing import parameterized

from fuzzing import drawings, soak
from keras_depthseg.datasets.compose import compose
from tests.support.tiny_data import RefusalTestCase

ROOT = Path(__file__).parent.parent
SCHEDULE = ("--width", 1, "--resolution-schedule", "32:1:8")

# As `sitecustomize.py`, which Python imports first: an hour back at every fifth look.
CLOCK = """
import itertools, pathlib, time
pathlib.Path(__file__).with_name("imported").touch()
looks = itertools.count()
real, real_ns = time.time, time.time_ns
time.time = lambda: real() - 3600 * (next(looks) // 5)
time.time_ns = lambda: real_ns() - 3600 * 10**9 * (next(looks) // 5)
"""


def _can_mount():
    tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    return tried.returncode == 0


needs_mount = pytest.mark.skipif(
    not shutil.which("unshare") or not _can_mount(),
    reason="user namespaces are not allowed here, so nothing can be mounted",
)


def depthseg(*arguments):
    return [sys.executable, str(ROOT / "depthseg.py"), *map(str, arguments)]


@pytest.mark.long
class FaultsTest(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        soak.write_sources(cls.shared)
        cls.data = cls.shared / "data"
        compose(drawings.compose_options(cls.shared, size=64, count=32, seed=0), cls.data)
        cls.run_dir = cls.shared / "run"
        trained = cls.call(
            "train", "--data", cls.data, "--run-dir", cls.run_dir, *SCHEDULE
        )
        assert trained.returncode == 0, trained.stderr

    @classmethod
    def commands(cls, out):
        """What every command is called with to write into a folder."""
        bg, model = cls.shared / "bg", cls.shared / "model.keras"
        predict = ("predict", "--model", model, "--bg", bg / "0.png", "--out", out)
        return {
            "compose": ("data", "compose", "--bg", bg, "--fg", cls.shared / "fg")
            + ("--count", 64, "--size", 64, "--out", out / "composed"),
            "validate": ("data", "validate", cls.data),
            "card": ("data", "card", cls.data, "--out", out / "card.html"),
            "train": ("train", "--data", cls.data, "--run-dir", out / "run", *SCHEDULE),
            "evaluate": ("evaluate", cls.run_dir, "--data", cls.data, "--samples", 4)
            + ("--no-baselines", "--out", out / "evaluation"),
            "photographs": (*predict, "--image", bg),
            "video": (*predict, "--image", cls.shared / "a.mp4"),
            "export": (
                "export",
                model,
                "--format",
                "openvino",
                "--out",
                out / "exported",
            ),
        }

    @classmethod
    def environment(cls, **changes):
        cache = {"KERAS_DEPTHSEG_CACHE": str(cls.shared / "cache")}
        found = {**os.environ, **cache, "TF_CPP_MIN_LOG_LEVEL": "3", **changes}
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def call(cls, *arguments, mounts=None, user=None, **environment):
        """Calls `depthseg` to its end, after shell commands in a mount namespace."""
        command = depthseg(*arguments)
        if mounts is not None:
            script = f'{mounts} && exec "$@"'
            command = ["unshare", "-rm", "sh", "-ec", script, "sh", *command]
        if user is not None:
            command = ["unshare", "--user", f"--map-user={user}", *command]
        return subprocess.run(
            command,
            env=cls.environment(**environment),
            cwd=cls.shared,
            capture_output=True,
            text=True,
            check=False,
        )

    def assert_one_line(self, process, text):
        self.assertEqual(process.returncode, 2, process.stderr)
        self.assertNotIn("Traceback", process.stderr)
        (line,) = [line for line in process.stderr.splitlines() if "error: " in line]
        self.assertRegex(line, text)

    def assert_done(self, process):
        self.assertEqual(process.returncode, 0, process.stderr)

    def assert_done_or_one_line(self, process, text):
        if process.returncode == 2:
            self.assert_one_line(process, text)
        else:
            self.assert_done(process)

    @needs_mount
    @parameterized.parameters(
        *("compose", "card", "train", "evaluate", "photographs", "video", "export")
    )
    def test_results_on_a_read_only_disk(self, name):
        out = self.folder / "out"
        out.mkdir()
        mounts = f"mount -t tmpfs -o ro none '{out}'"
        process = self.call(*self.commands(out)[name], mounts=mounts)
        self.assert_one_line(process, "(?i)read-only|writ")
        self.assertEqual(os.listdir(out), [])

    @needs_mount
    def test_data_and_models_on_a_read_only_disk(self):
        mounts = (
            f"mount --bind '{self.data}' '{self.data}' && "
            f"mount -o remount,bind,ro '{self.data}' && "
            f"mount --bind '{self.run_dir}' '{self.run_dir}' && "
            f"mount -o remount,bind,ro '{self.run_dir}'"
        )
        for name in ("validate", "card", "train", "evaluate"):
            with self.subTest(name):
                out = self.folder / name
                out.mkdir()
                process = self.call(*self.commands(out)[name], mounts=mounts)
                self.assert_done(process)

    @needs_mount
    @parameterized.parameters("compose", "train", "evaluate", "photographs", "export")
    def test_a_disk_of_40_kilobytes(self, name):
        out = self.folder / "out"
        out.mkdir()
        mounts = f"mount -t tmpfs -o size=40k none '{out}'"
        process = self.call(*self.commands(out)[name], mounts=mounts)
        self.assert_one_line(process, "(?i)space")

    @needs_mount
    def test_a_cache_of_40_kilobytes(self):
        out, cache = self.folder / "out", self.folder / "cache"
        out.mkdir()
        cache.mkdir()
        process = self.call(
            *self.commands(out)["photographs"],
            mounts=f"mount -t tmpfs -o size=40k none '{cache}'",
            KERAS_DEPTHSEG_CACHE=str(cache),
        )
        self.assert_one_line(process, "cannot be kept there .No space left")

    @needs_mount
    @pytest.mark.skipif(
        any(path.is_relative_to("/tmp") for path in (ROOT, Path(sys.executable))),
        reason="what is below /tmp, as the checkout is here, is hidden in this test",
    )
    @parameterized.parameters("compose", "validate", "card", "train", "photographs")
    def test_no_temporary_folder(self, name):
        # The folders of the test are below /tmp themselves.
        work, out = Path("/mnt"), Path("/mnt/out")
        (self.folder / "out").mkdir()
        mounts = " && ".join(
            [
                f"mount --rbind '{self.folder}' /mnt",
                "mkdir -p /mnt/shared",
                f"mount --rbind '{self.shared}' /mnt/shared",
                *(f"mount -t tmpfs -o ro none {each}" for each in ("/tmp", "/var/tmp")),
                "cd /sys",  # Read-only, too.
            ]
        )
        arguments = [
            str(each).replace(str(self.shared), str(work / "shared"))
            for each in self.commands(out)[name]
        ]
        process = self.call(
            *arguments, mounts=mounts, TMPDIR=None, KERAS_DEPTHSEG_CACHE="/mnt/cache"
        )
        self.assert_done_or_one_line(process, "(?i)temporary")

    @needs_mount
    @parameterized.parameters("compose", "validate", "card", "train", "photographs")
    def test_a_user_without_name_and_home(self, name):
        out = self.folder / "out"
        out.mkdir()
        process = self.call(
            *self.commands(out)[name], user=12345, HOME=None, KERAS_DEPTHSEG_CACHE=None
        )
        self.assert_done_or_one_line(process, "(?i)home|KERAS_DEPTHSEG_CACHE")

    def test_a_clock_that_was_set_back(self):
        # All that a stopped run has written is of tomorrow.
        run = self.folder / "run"
        schedule = ("--width", 1, "--resolution-schedule", "32:3:8", "--deterministic")
        train = ("train", "--data", self.data, *schedule, "--run-dir")
        undisturbed = self.call(*train, self.folder / "undisturbed")
        self.assert_done(undisturbed)
        process = subprocess.Popen(
            depthseg(*train, run),
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        resume = run / "resume"
        while process.poll() is None and not (resume.is_dir() and os.listdir(resume)):
            time.sleep(0.05)
        self.assertIsNone(process.poll(), "it ended before it was killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.assertFalse((run / "report.html").exists())
        tomorrow = time.time() + 86_400
        for path in [self.data, *self.data.rglob("*"), run, *run.rglob("*")]:
            os.utime(path, (tomorrow, tomorrow))
        resumed = self.call("train", "--resume", "--run-dir", run)
        self.assert_done(resumed)
        first, second = (
            keras.models.load_model(path / "model.keras").get_weights()
            for path in (run, self.folder / "undisturbed")
        )
        for one, other in zip(first, second, strict=True):
            self.assertAllEqual(one, other)

    @parameterized.parameters(
        "compose",
        "validate",
        "card",
        "train",
        "evaluate",
        "photographs",
        "video",
        "export",
    )
    def test_a_clock_that_is_set_back_meanwhile(self, name):
        (self.folder / "sitecustomize.py").write_text(CLOCK)
        outs, said = [self.folder / "undisturbed", self.folder / "set back"], []
        for out in outs:
            out.mkdir()
            command = self.commands(out)[name]
            if name == "train":
                command = (*command, "--deterministic")
            path = str(self.folder) if out == outs[1] else None
            process = self.call(*command, PYTHONPATH=path)
            self.assert_done(process)
            said.append(process.stdout.replace(str(out), "OUT"))
        self.assertTrue((self.folder / "imported").exists())
        written = [
            {
                str(file.relative_to(out)): file.read_bytes()
                for file in out.rglob("*")
                if file.is_file() and "tfevents" not in file.name
            }
            for out in outs
        ]
        self.assertEqual(*map(sorted, written))
        if name in ("compose", "photographs", "video"):
            self.assertEqual(*written)
        elif name in ("train", "evaluate"):
            folder = {"train": "run", "evaluate": "evaluation"}[name]
            scores = [json.loads(each[f"{folder}/scores.json"]) for each in written]
            self.assertEqual(*(each["scores"] for each in scores))
        elif name == "validate":
            self.assertEqual(*said)

    def test_two_runs_in_one_cache(self):
        layout, cache = self.folder / "layout", self.folder / "cache"
        made = self.call(
            *("data", "compose", "--layout", "original", "--count", 24, "--size", 64),
            *("--bg", self.shared / "bg", "--fg", self.shared / "fg", "--out", layout),
            *("--depth", f"{self.shared / 'depth'},step=0.001"),
        )
        self.assert_done(made)
        train = ("train", "--data", layout, *SCHEDULE, "--run-dir")
        processes = [
            subprocess.Popen(
                depthseg(*train, self.folder / name),
                env=self.environment(KERAS_DEPTHSEG_CACHE=str(cache)),
                # No pipe: one that is full would stop the other, too.
                stdout=self.enter_context((self.folder / f"{name}.txt").open("w")),
                stderr=subprocess.STDOUT,
            )
            for name in ("one", "two")
        ]
        for process, name in zip(processes, ("one", "two"), strict=True):
            status = process.wait()
            self.assertEqual(status, 0, (self.folder / f"{name}.txt").read_text())
        self.assertLen(list(cache.rglob("dataset_info.json")), 1)
        parts = [path for path in cache.rglob(".*") if path.is_dir()]
        self.assertEqual(parts, [])
        scores = [
            (self.folder / name / "scores.json").read_text() for name in ("one", "two")
        ]
        for each in scores:
            self.assertIn("hard_iou", each)

    @parameterized.product(
        sent=(signal.SIGTERM, signal.SIGINT),
        name=("compose", "validate", "card", "train", "evaluate", "photographs", "video")
        + ("export",),
    )
    def test_stopped_at_any_moment(self, sent, name):
        out, temporary = self.folder / "out", self.folder / "temporary"
        out.mkdir()
        temporary.mkdir()
        command = depthseg(*self.commands(out)[name])
        draws = random.Random(f"{sent} {name}")
        for delay in (draws.uniform(0, 2), draws.uniform(0, 8)):
            process = subprocess.Popen(
                command,
                env=self.environment(TMPDIR=str(temporary)),
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # A shell may have told its children to ignore it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            time.sleep(delay)
            process.send_signal(sent)
            _, errors = process.communicate(timeout=100)
            # Python says so where a signal comes while it begins.
            if "init_import_site" in errors:
                continue
            with self.subTest(delay=delay):
                # Before Python has begun, the signal itself ends it.
                self.assertIn(process.returncode, (0, 128 + sent, -sent), errors)
                self.assertNotIn("Traceback", errors)
                self.assertNotIn("terminate called", errors)
                self.assertEqual(os.listdir(temporary), [])
