"""README and docs: their code runs, their commands are accepted, their links resolve."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
import shlex
import warnings
from pathlib import Path
from urllib.parse import unquote

import keras
import tensorflow as tf
from absl.testing import parameterized

import keras_depthseg
from keras_depthseg import losses, metrics
from keras_depthseg.commands.main import parse_args
from keras_depthseg.model import DSResNet
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.schedule import parse_schedule
from tests.support import tiny_data
from tests.support.eager import run_eagerly

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "benchmarks/README.md",
    ROOT / "fuzzing/README.md",
    ROOT / "pretraining/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "keras_depthseg").rglob("README.md")),
]
# The API of these pages comes from docstrings; the others hold code of their own.
TUTORIALS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Code is run as it is written, but for what makes it slow.
FASTER = {
    "96:3,160:5,224:3": "32:1",
    "DSResNet(width=16)": "DSResNet(width=1)",
    "DSResNet(width=8)": "DSResNet(width=1)",
    # Without the conversion for OpenVINO.
    "Predictor()": 'Predictor(engine="keras")',
    "resolution=224": "resolution=32",
    "resolution=96": "resolution=32",
}

# `<!-- test: setup CODE -->` runs unseen; `<!-- test: skip: REASON -->` leaves the next
# block out.
_BLOCK = re.compile(
    r"<!-- test: setup\n(?P<setup>.*?)-->"
    r"|<!-- test: skip: (?P<reason>[^\n]+?) -->"
    r"|^```python\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"^(?:\w+=\S+ )?(depthseg|python train\.py)(?= |$)(.*)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

# Docstring examples that need what a test has not.
_NO_DOCTEST = {
    "keras_depthseg.networks.original_weights": "an original checkpoint",
    "keras_depthseg.training.input_clock": "a wall clock",
}


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def with_pages(pages):
    return parameterized.named_parameters(
        (re.sub(r"\W", "_", page_name(page)), page) for page in pages
    )


def code_blocks(text: str) -> list[str]:
    """Return the Python code of a page, setup included, without skipped blocks."""
    blocks, skipped = [], False
    for match in _BLOCK.finditer(text):
        if match["reason"]:
            skipped = True
        elif match["setup"]:
            blocks.append(match["setup"])
        else:
            if not skipped:
                blocks.append(match["code"])
            skipped = False
    return blocks


def commands(text: str) -> list[list[str]]:
    """Return the arguments of `depthseg` in the commands of a page, tables included."""
    text = re.sub(r"\\\n\s*", " ", text)
    in_lines = [line.strip() for line in text.splitlines() if "…" not in line]
    in_backquotes = re.findall(r"`([^`\n]+)`", text)
    found = []
    for candidate in [*in_lines, *in_backquotes]:
        if match := _COMMAND.match(candidate):
            start = ["train"] if match[1] == "python train.py" else []
            found.append([*start, *shlex.split(match[2], comments=True)])
    return found


def faster(code: str) -> str:
    for slow, fast in FASTER.items():
        code = code.replace(slow, fast)
    return code


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as Python-Markdown makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
        for heading in headings
    }


class StandIns(tiny_data.TinyDataTestCase, parameterized.TestCase):
    """A folder with a data set, a model and two photographs, as the pages name them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.shared / "my_data").symlink_to(cls.records)
        run = cls.shared / "runs/NAME"
        run.mkdir(parents=True)
        DSResNet(width=1).save(run / "model.keras")
        for name in ("bg.jpg", "fg_bg.jpg", "plate.jpg", "photo.jpg"):
            photograph = tiny_data.encoded(tiny_data.colour(0, (48, 64)))
            (cls.shared / name).write_bytes(photograph)

    def setUp(self):
        super().setUp()
        self.enter_context(contextlib.chdir(self.shared))
        # Progress bars are no results.
        keras.config.disable_interactive_logging()
        self.addCleanup(keras.config.enable_interactive_logging)
        run_eagerly(self)
        # An example may do without validation data. `run_eagerly` restores the filters.
        warnings.filterwarnings("ignore", "Learning rate reduction is cond", UserWarning)

    def stand_ins(self) -> dict:
        """Return the names that pages and docstrings take as given."""
        image = tiny_data.colour(1, (32, 32))[None]
        return {"bg": image, "fg_bg": image, "data": "my_data"}


class CodeTest(StandIns):
    @with_pages(page for page in TUTORIALS if "```python" in page.read_text("utf-8"))
    def test_code_of_a_page_runs(self, page):
        blocks = code_blocks(page.read_text(encoding="utf-8"))
        namespace = self.stand_ins()
        with contextlib.redirect_stdout(io.StringIO()):
            for block in blocks:
                code = compile(faster(block), page_name(page), "exec")
                exec(code, namespace)


def modules_with_examples() -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "keras_depthseg").rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


class DocstringTest(StandIns):
    @parameterized.parameters(
        name for name in modules_with_examples() if name not in _NO_DOCTEST
    )
    def test_examples_run(self, name):
        model = DSResNet(width=1)
        model.compile("sgd", **losses.combination("rmse_bce_dice"))
        given = {
            **self.stand_ins(),
            "keras": keras,
            "keras_depthseg": keras_depthseg,
            "losses": losses,
            "make_pipeline": make_pipeline,
            "metrics": metrics,
            "model": model,
            "parse_schedule": parse_schedule,
        }
        module = importlib.import_module(name)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
        report = io.StringIO()
        tests = doctest.DocTestFinder(exclude_empty=True).find(module)
        for test in tests:
            test.globs = {**vars(module), **given}
            for example in test.examples:
                example.source = faster(example.source)
                # The stand-ins are smaller.
                example.want = example.want.replace("224, 224", "32, 32")
            runner.run(test, out=report.write)
        self.assertEqual(runner.summarize(verbose=False).failed, 0, report.getvalue())


class CommandTest(parameterized.TestCase):
    @with_pages(page for page in PAGES if commands(page.read_text("utf-8")))
    def test_commands_of_a_page_are_accepted(self, page):
        for arguments in commands(page.read_text(encoding="utf-8")):
            if not any(argument.startswith("-") for argument in arguments):
                # Mostly a mention, `depthseg data compose`, without what it requires.
                arguments = [*arguments, "--help"]
            output = io.StringIO()
            try:
                with (
                    contextlib.redirect_stdout(output),
                    contextlib.redirect_stderr(output),
                ):
                    parse_args(arguments)
            except SystemExit as end:
                message = f"{page_name(page)}: {arguments}: {output.getvalue()}"
                self.assertEqual(end.code, 0, message)


class LinkTest(parameterized.TestCase):
    @with_pages(PAGES)
    def test_relative_links_resolve(self, page):
        for link in _LINK.findall(page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = unquote(link).partition("#")
            path = page.parent / target if target else page
            self.assertTrue(path.exists(), f"{page_name(page)}: {link}")
            # The options' page is filled when the site is built, but has its headings.
            if anchor:
                self.assertIn(anchor, anchors(path), f"{page_name(page)}: {link}")

    def test_every_page_is_in_the_navigation(self):
        navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
        for page in sorted((ROOT / "docs").rglob("*.md")):
            name = page.relative_to(ROOT / "docs").as_posix()
            self.assertIn(f"- {name}\n", navigation + "\n")


class CitationTest(tf.test.TestCase):
    def test_states_the_version_of_the_package(self):
        citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        version = keras_depthseg.__version__
        self.assertIn(f"\nversion: {version}\n", citation)
        released = re.search(r"(?m)^date-released: (\S+)$", citation)[1]
        self.assertIn(f"\n## [{version}] - {released}\n", changelog)
