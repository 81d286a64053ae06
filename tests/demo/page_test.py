"""The page in a browser: Debian's chromium, driven by Playwright."""

import io
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from keras_depthseg.datasets.rooms.endless import EndlessRooms
from keras_depthseg.demo.limits import MOST_FRAMES, MOST_KEPT
from tests.support import chromium
from tests.support.demo_server import served
from tests.support.videos import write_video

pytestmark = [pytest.mark.long, chromium.NEEDED]


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        sample = EndlessRooms(seed=1, size=320).sample("val", 0)
        cls.truth = sample.mask >= 128
        for name, image in (("plate", sample.bg), ("photograph", sample.fg_bg)):
            Image.fromarray(image).save(cls.folder / f"{name}.png")
        temporary = cls.folder / "server"
        temporary.mkdir()
        cls.server = cls.enterClassContext(served(temporary))
        cls.address = cls.server.address.rstrip("/")
        cls.browser = chromium.launched(cls)

    def open_page(self, **options):
        page = chromium.new_page(self, self.address, 20_000, **options)
        expect(page.get_by_role("button", name="Find the foreground")).to_be_visible()
        return page

    def choose(self, page, plate="plate.png", photograph="photograph.png"):
        self.upload(page, page, plate, photograph)

    def upload(self, page, place, *names):
        """Give files to the first fields of a place of the page; `None` leaves one."""
        fields = place.locator("input[type=file]")
        for number, name in enumerate(names):
            if name is not None:
                with page.expect_response(lambda answer: "/upload" in answer.url):
                    fields.nth(number).set_input_files(self.folder / name)

    def video_tab(self, page):
        page.get_by_role("tab", name="Video").click()
        return page.get_by_role("tabpanel").filter(has_text="camera standing still")

    def start(self, page):
        page.get_by_role("button", name="Find the foreground").click()

    def find(self, page):
        self.choose(page)
        self.start(page)
        expect(page.locator("#found")).to_contain_text("Confidence")

    def error(self, page):
        """Return the one message that the page shows."""
        message = page.locator(".toast-body")
        expect(message).to_have_count(1)
        return message.inner_text()

    def mask(self, page):
        """Return the mask that is shown, (H, W) in 0..1."""
        source = page.get_by_alt_text("The mask: white").get_attribute("src")
        data = page.request.get(source).body()
        path = self.folder / "shown.png"
        path.write_bytes(data)
        return np.asarray(Image.open(path).convert("L")) / 255

    def wait_for(self, is_so, seconds=30):
        """Wait until it is so; return whether it is."""
        end = time.monotonic() + seconds
        while not is_so() and time.monotonic() < end:
            time.sleep(0.2)
        return is_so()

    def test_a_photograph(self):
        page = self.open_page()
        outside = []
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((self.address, "data:", "blob:"))
                else outside.append(request.url)
            ),
        )
        self.find(page)
        mask = self.mask(page)
        found = mask > 0.5
        iou = (found & self.truth).sum() / (found | self.truth).sum()
        self.assertGreater(iou, 0.85)

        # A slider.
        page.get_by_role("button", name="Settings").click()
        slider = page.get_by_role("slider", name="Feather")
        before = page.get_by_alt_text("The mask: white").get_attribute("src")
        slider.focus()
        for _ in range(8):
            slider.press("ArrowRight")
        slider.dispatch_event("pointerup")
        after = page.get_by_alt_text("The mask: white")
        expect(after).not_to_have_attribute("src", before)
        soft = self.mask(page)
        share = [((part > 0.1) & (part < 0.9)).mean() for part in (mask, soft)]
        self.assertGreater(share[1], 1.5 * share[0])

        # The download.
        button = page.get_by_role("button", name="Download all")
        expect(button).to_be_enabled()
        with page.expect_download() as download:
            button.click()
        with zipfile.ZipFile(download.value.path()) as archive:
            names = archive.namelist()
        self.assertEqual(len(names), 7)
        self.assertTrue(any(name.endswith("_points.glb") for name in names), names)
        self.assertEqual(outside, [])

    def test_what_is_no_photograph(self):
        Path(self.folder, "notes.jpg").write_text("not a picture")
        page = self.open_page()
        self.choose(page, photograph="notes.jpg")
        self.start(page)
        self.assertRegex(self.error(page), "`Photograph`: notes.jpg: .*not a picture")

    def test_one_picture_alone(self):
        page = self.open_page()
        self.start(page)
        self.assertIn("Choose a plate and a photograph.", self.error(page))

    def test_sixty_megapixels(self):
        Image.new("RGB", (10_000, 6_000), "grey").save(self.folder / "large.jpg")
        before = self.server.memory()
        page = self.open_page()
        self.choose(page, photograph="large.jpg")
        self.start(page)
        self.assertRegex(self.error(page), "large.jpg: received 60,000,000 pixels; at")
        for _ in range(9):
            page.locator(".toast-close").click()
            expect(page.locator(".toast-body")).to_have_count(0)
            self.start(page)
            self.assertRegex(self.error(page), "large.jpg: received 60,000,000 pixels")
        self.assertLess(self.server.memory(), before + 50)

    def test_a_video(self):
        rooms = EndlessRooms(seed=1, size=320).sample("val", 0)
        frames = np.stack([rooms.bg] * 4 + [rooms.fg_bg] * 4)
        write_video(self.folder / "film.mp4", frames)
        page = self.open_page()
        panel = self.video_tab(page)
        self.upload(page, panel, "plate.png", "film.mp4")
        panel.get_by_role("button", name="Find the foreground").click()
        expect(panel).to_contain_text("8 frames")
        expect(panel.get_by_role("button", name="Download all")).to_be_enabled()

    def test_a_long_video(self):
        frames = np.full((MOST_FRAMES + 1, 64, 64, 3), 90, np.uint8)
        write_video(self.folder / "long.mp4", frames)
        page = self.open_page()
        panel = self.video_tab(page)
        self.upload(page, panel, None, "long.mp4")
        panel.get_by_role("button", name="Find the foreground").click()
        self.assertRegex(self.error(page), "received 301 frames; accepted: 300")

    def test_ten_at_once_and_memory(self):
        self.find(self.open_page())
        time.sleep(3)
        before = self.server.memory()
        pages = [self.open_page() for _ in range(10)]
        for page in pages:
            self.choose(page)
        for page in pages:
            self.start(page)
        for page in pages:
            expect(page.locator("#found")).to_contain_text("Confidence")
        for page in pages:
            page.close()
        time.sleep(5)
        # Of a pair of 320 px little more is kept than of the first one.
        self.assertLess(self.server.memory(), before + 40 * MOST_KEPT)

    def test_files_go_with_the_visitor(self):
        self.assertTrue(self.wait_for(lambda: not self.server.files()))
        page = self.open_page()
        self.find(page)
        # What is computed while a visitor leaves stays until the next one leaves.
        expect(page.get_by_role("button", name="Download all")).to_be_enabled()
        names = {path.name for path in self.server.files()}
        self.assertLessEqual({"plate.png", "photograph.png", "points.glb"}, names)
        # Files of the last second may be those of the page that comes: they stay longer.
        page.wait_for_timeout(2000)
        page.reload()
        self.assertTrue(self.wait_for(lambda: not self.server.files()))
        self.find(page)
        expect(page.get_by_role("button", name="Download all")).to_be_enabled()
        page.context.close()
        self.assertTrue(self.wait_for(lambda: not self.server.files()))

    def test_files_of_those_who_stay(self):
        first, second = self.open_page(), self.open_page()
        self.find(second)
        first.context.close()
        time.sleep(3)
        shown = second.get_by_alt_text("The mask: white").get_attribute("src")
        self.assertTrue(second.request.get(shown).ok)
        self.start(second)
        second.wait_for_timeout(1000)
        expect(second.locator("#found")).to_contain_text("Confidence")
        self.assertEqual(second.locator(".toast-body").count(), 0)

    def test_examples_stay(self):
        for _ in range(2):
            page = self.open_page()
            page.locator("table tr", has=page.locator("img")).first.click()
            expect(page.get_by_role("button", name="Remove")).to_have_count(2)
            self.start(page)
            expect(page.locator("#found")).to_contain_text("Confidence")
            page.context.close()
            time.sleep(3)

    def test_a_reload_in_the_middle(self):
        page = self.open_page()
        self.choose(page)
        self.start(page)
        page.reload()
        self.find(page)
        self.assertEqual(page.locator(".toast-body").count(), 0)

    def test_narrow_screens(self):
        page = self.open_page(viewport={"width": 400, "height": 800})
        self.find(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(width, 400)
        # Names of pictures are not below the buttons.
        named = page.evaluate(
            """() => [...document.querySelectorAll("[data-testid=block-label]")]
              .filter((it) => it.offsetParent)
              .map((label) => {
                const buttons = label.parentElement.querySelector(".icon-button-wrapper");
                const right = buttons?.getBoundingClientRect().left ?? Infinity;
                const isFree = label.getBoundingClientRect().right <= right;
                return [label.innerText.trim(), isFree];
              })"""
        )
        names = [name for name, _ in named]
        self.assertIn("Foreground, tinted", names)
        self.assertEqual([name for name, is_free in named if not is_free], [])

    def test_points_are_drawn_without_a_touch(self):
        page = self.open_page(viewport={"width": 400, "height": 800})
        self.find(page)
        view = page.locator("canvas").last
        view.scroll_into_view_if_needed()

        def colours():
            with Image.open(io.BytesIO(view.screenshot())) as shown:
                return len(set(shown.convert("RGB").get_flattened_data()))

        # Empty, the view has two: the background's, and that of its name.
        end = time.monotonic() + 30
        while colours() < 200 and time.monotonic() < end:
            page.wait_for_timeout(500)
        self.assertGreater(colours(), 200)

    def test_what_screen_readers_say(self):
        page = self.open_page()
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("button, input, [role=slider]")]
              .filter((it) => it.offsetParent && !it.labels?.length && !it.ariaLabel &&
                              !it.innerText?.trim() && !it.title &&
                              !it.getAttribute("aria-labelledby"))
              .map((it) => it.outerHTML.slice(0, 200))"""
        )
        self.assertEqual(unnamed, [])
        self.find(page)
        for text in ("The mask: white", "Depth: bright is near", "The foreground alone"):
            expect(page.get_by_alt_text(text)).to_be_visible()


if __name__ == "__main__":
    unittest.main()
