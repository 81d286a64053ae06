"""Draw docs/images/demo_*.webp: python -m docs.make_demo_images.

The page of `depthseg demo` with the result of its first pair to try, wide and narrow,
light and dark, in Debian's chromium. Needs the extras `demo` and `test`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.support.demo_server import served

ROOT = Path(__file__).parent.parent
WIDTHS = {"wide": 1200, "narrow": 400}
SCHEMES = ("light", "dark")
HEIGHT = 800  # Of the window at first; the picture is of the whole page.
QUALITY = 70  # Of WebP: text stays sharp, and a picture below 100 kB.


def picture(browser: Any, address: str, width: int, scheme: str) -> Image.Image:
    """Return the whole page with a result."""
    view = {"width": width, "height": HEIGHT}
    context = browser.new_context(viewport=view, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.locator("table tr", has=page.locator("img")).first.click()
    # Both pictures are there.
    expect(page.get_by_role("button", name="Remove")).to_have_count(2, timeout=20_000)
    page.get_by_role("button", name="Find the foreground").click()
    expect(page.locator("#found")).to_contain_text("Confidence", timeout=60_000)
    expect(page.get_by_role("button", name="Download all")).to_be_enabled()
    # A window as high as the page: outside of it the browser draws nothing in 3D.
    view["height"] = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size(view)
    page.wait_for_timeout(5000)
    drawn = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(drawn)).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the page of depthseg demo.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("needs Debian's package chromium: apt install chromium.")
    with (
        tempfile.TemporaryDirectory() as folder,
        served(folder) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for name, width in WIDTHS.items():
            for scheme in SCHEMES:
                path = args.out / f"demo_{name}_{scheme}.webp"
                picture(browser, server.address, width, scheme).save(
                    path, quality=QUALITY
                )
        browser.close()


if __name__ == "__main__":
    main()
