"""The page that computes in the browser: its maps are those of Keras."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from keras_depthseg.datasets.rooms.endless import EndlessRooms
from keras_depthseg.export.export import export
from keras_depthseg.export.options import ExportOptions
from keras_depthseg.networks.loading import load_pretrained
from tests.support import chromium

NPM = shutil.which("npm")
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "browser"
# As in the docstring of make_page.py.
RUNTIME = "onnxruntime-web@1.30.0"
# As many pixels as the page computes at, so that it does not resize.
HEIGHT, WIDTH = 160, 320

pytestmark = [
    pytest.mark.long,
    chromium.NEEDED,
    pytest.mark.skipif(NPM is None, reason="needs npm, for onnxruntime-web"),
]


def fetch_runtime(folder):
    """Unpack the package from npm; return its folder."""
    command = [NPM, "pack", RUNTIME, "--silent", "--pack-destination", str(folder)]
    packed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if packed.returncode:
        raise unittest.SkipTest(f"npm pack {RUNTIME}: {packed.stderr.strip()[-300:]}")
    shutil.unpack_archive(folder / packed.stdout.split()[-1], folder, filter="data")
    return folder / "package"


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        runtime = fetch_runtime(cls.folder)
        network = cls.folder / "small.onnx"
        export(ExportOptions("small", "onnx", network, samples=2))
        cls.page = cls.folder / "page.html"
        command = [sys.executable, EXAMPLE / "make_page.py", network, runtime, cls.page]
        subprocess.run(command, check=True)
        sample = EndlessRooms(seed=1, size=WIDTH).sample("val", 0)
        rows = slice(WIDTH - HEIGHT, None)
        cls.images = {"bg": sample.bg[rows], "fg_bg": sample.fg_bg[rows]}
        cls.truth = sample.mask[rows] >= 128
        for name, image in cls.images.items():
            Image.fromarray(image).save(cls.folder / f"{name}.png")
        cls.browser = chromium.launched(cls)

    def open_page(self, **options):
        page = chromium.new_page(self, self.page.as_uri(), 60_000, **options)
        self.expect_status(page, "Choose both pictures.")
        return page

    def expect_status(self, page, text):
        expect(page.get_by_role("status")).to_contain_text(text)

    def choose(self, page, bg="bg.png", fg_bg="fg_bg.png"):
        page.get_by_label("Plate").set_input_files(self.folder / bg)
        page.get_by_label("Photograph").set_input_files(self.folder / fg_bg)

    def download(self, page, name):
        """Press a link of the page; return the path of the file."""
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Download {name}").click()
        return download.value.path()

    def test_maps_are_those_of_keras(self):
        page = self.open_page()
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        self.choose(page)
        self.expect_status(page, f"Computed at {WIDTH} x {HEIGHT} px")

        inputs = {name: image[None] for name, image in self.images.items()}
        expected = load_pretrained("small").predict_on_batch(inputs)
        for name in ("mask", "depth"):
            found = np.load(self.download(page, f"{name} as NPY"))
            self.assertEqual(found.dtype, np.float32)
            np.testing.assert_allclose(found, expected[name][0, ..., 0], atol=1e-3)
            drawn = np.asarray(Image.open(self.download(page, f"{name} as PNG")))
            np.testing.assert_allclose(drawn[..., 0] / 255, found, atol=0.51 / 255)
        # Of a real pair, not of two equal pictures.
        mask = expected["mask"][0, ..., 0] > 0.5
        self.assertGreater((mask & self.truth).sum() / (mask | self.truth).sum(), 0.8)
        cutout = np.asarray(Image.open(self.download(page, "cutout as PNG")))
        self.assertEqual(cutout.shape, (HEIGHT, WIDTH, 4))
        np.testing.assert_array_equal(cutout[..., 3] >= 128, mask)

        outside = [url for url in requests if not url.startswith(("data:", "blob:"))]
        self.assertEqual(outside, [])

    def test_other_pictures_while_it_computes(self):
        page = self.open_page()
        self.choose(page)
        self.choose(page, fg_bg="bg.png")
        # Two equal pictures, the last ones chosen, have no foreground.
        page.wait_for_function(
            """(width) => {
              const mask = document.getElementById("mask");
              const drawn = mask.getContext("2d").getImageData(0, 0, width, mask.height);
              const isDark = (value, i) => i % 4 === 3 || value < 128;
              return mask.width === width && drawn.data.every(isDark);
            }""",
            arg=WIDTH,
        )
        self.expect_status(page, "Computed")

    def test_what_is_no_picture(self):
        Path(self.folder, "notes.png").write_text("not a picture")
        page = self.open_page()
        self.choose(page, fg_bg="notes.png")
        self.expect_status(page, "no picture that this browser can read")
        self.choose(page)
        self.expect_status(page, "Computed")

    def test_narrow_screens(self):
        page = self.open_page(viewport={"width": 400, "height": 800})
        self.choose(page)
        self.expect_status(page, "Computed")
        width = page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(width, 400)


if __name__ == "__main__":
    unittest.main()
