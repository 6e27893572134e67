"""Debian's Chromium for the tests of pages, what it complains about, and axe."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
WCAG = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]


@contextmanager
def start_browser() -> Iterator[Browser]:
    """While it is open this thread has Playwright's event loop, and can run no other."""
    with sync_playwright() as playwright:
        # The pages that are opened are our own: as root there is no sandbox to be had.
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def listen_to(page: Page) -> list[str]:
    """What the browser complains about: what the policy refused, errors of scripts."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """The rules of WCAG 2.2 AA that axe finds broken on the page as it stands, and where. In the
    dark only colours differ, and are all that is looked at."""
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    rules = ["color-contrast"] if is_dark else WCAG
    # What axe finds in order it need not describe, element by element.
    found = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
    return [
        (broken["id"], [node["html"][:200] for node in broken["nodes"][:3]])
        for broken in found.response["violations"]
    ]


def violations_day_and_night(page: Page) -> list[tuple[str, list[str]]]:
    """The same in the light, and then in the dark, of one page that is loaded once."""
    broken = violations(page)
    page.emulate_media(color_scheme="dark")
    broken += violations(page)
    page.emulate_media(color_scheme="light")
    return broken
