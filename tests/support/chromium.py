"""Debian's chromium, driven by Playwright."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium")
NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")


def launched(test_class):
    """Return a browser that is closed after the tests of a class."""
    playwright = test_class.enterClassContext(sync_playwright())
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    test_class.addClassCleanup(browser.close)
    return browser


def new_page(test, address, timeout, **options):
    """Open an address in a context of its own, which is closed after the test.

    `timeout` is in milliseconds, of actions and of what is expected of the page.
    """
    context = test.browser.new_context(**options)
    test.addCleanup(context.close)
    page = context.new_page()
    page.set_default_timeout(timeout)
    expect.set_options(timeout=timeout)
    page.goto(address)
    return page
