"""How the main pages look, beside pictures that are kept, and faults that need none.

`TOWPATH_PICTURES=1 pytest tests/studio/test_page_looks.py` keeps new ones: look at what changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from benchmarks.registry import make
from chromium import needs_chromium
from page_pictures import (
    FAULTS,
    HEIGHT,
    SETTLE,
    compare_pictures,
    frame_blocks,
    keep_picture,
    pin_fonts,
    take_picture,
)
from playwright.sync_api import Browser, Page

from running import Project

pytestmark = needs_chromium
TOKEN = "a-token-of-this-test"
PICTURES = Path(__file__).parent / "pictures"
JUDGED = """\
name: many
stages: {dev: {gates: {good: {kind: no_worse, metric: mse, better: lower}}}}
"""
KEEPS = bool(os.environ.get("TOWPATH_PICTURES"))
VIEWS = {"light": ("light", 1440), "dark": ("dark", 1440), "narrow": ("light", 390)}


@contextmanager
def open_page(browser: Browser, spoil: Callable[[str], str] = str) -> Iterator[Page]:
    context = browser.new_context(bypass_csp=True, locale="en-GB", timezone_id="UTC")
    pin_fonts(context, spoil)
    yield context.new_page()
    context.close()


def list_pages(shown: Project) -> dict[str, str]:
    """The main pages, by the names of their pictures."""
    first, trial, failed = shown.runs()[:3]
    return {
        "home": "", "pipeline": "pipelines/training/", "run": f"runs/{first}/fit/",
        "failed": f"runs/{failed}/", "runs": "runs/",
        "compare-runs": f"compare/runs/?run={first}&run={trial}", "models": "models/",
        "version": "models/mean/v1.0.0/", "stage": "stages/dev/",
        "promotion": "promotions/mean-v1.0.0-uat/", "data": "data/", "find": "search/?q=mean",
    }  # fmt: skip


def look_at(
    page: Page, folder: Path, name: str, address: str, keeps: bool = False,
    views: Iterable[str] = VIEWS,
) -> list[str]:  # fmt: skip
    """What is wrong with a page in its views; ``keeps`` keeps how it looks first."""
    page.set_viewport_size({"width": 1440, "height": HEIGHT})
    page.goto(address)
    page.evaluate(SETTLE)
    wrong = []
    for view in views:
        scheme, width = VIEWS[view]
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.evaluate("document.fonts.ready")
        # In the dark all stands where it stood.
        faults = page.evaluate(FAULTS) if scheme == "light" else []
        wrong += [f"{name}, {view}: {fault}" for fault in faults]
        seen, kept = take_picture(page), PICTURES / f"{name}-{view}.png"
        if keeps:
            keep_picture(seen, kept)
        others = compare_pictures(seen, kept)
        if others.any():
            shown = folder / f"{name}-{view}.png"
            frame_blocks(seen, kept, others, shown)
            rows, columns = others.any(axis=1).nonzero()[0], others.any(axis=0).nonzero()[0]
            where = f"rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}"
            wrong.append(f"{name}, {view}: {others.sum()} blocks differ ({where}): {shown}")
    return wrong


def test_the_main_pages_look_as_they_did(
    browser: Browser, address: str, shown: Project, tmp_path: Path
) -> None:
    wrong = []
    with open_page(browser) as page:
        page.goto(f"{address}/?token={TOKEN}")
        for name, path in list_pages(shown).items():
            wrong += look_at(page, tmp_path, name, f"{address}/{path}", KEEPS)
    assert wrong == [], "\n".join(["", *wrong])


def test_versions_side_by_side_look_as_they_did(
    browser: Browser, serve_at: Callable[[Path], AbstractContextManager[str]], tmp_path: Path
) -> None:
    with serve_at(make(tmp_path / "many", 1, 10, JUDGED)) as address, open_page(browser) as page:
        page.goto(f"{address}/?token={TOKEN}")
        path = "compare/versions/?" + "&".join(f"version=model-0@v1.{n}.0" for n in range(2, 8))
        wrong = look_at(page, tmp_path, "compare-versions", f"{address}/{path}", KEEPS)
    assert wrong == [], "\n".join(["", *wrong])


# Each in the view that tells it.
SPOILT: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "the sheet is lost": ("narrow", lambda _: ""),
    "the board is no grid": (
        "light", lambda sheet: sheet + ".board { display: block !important; }",
    ),
    "the dark is light": (
        "dark", lambda sheet: sheet.replace("prefers-color-scheme: dark", "monochrome"),
    ),
    "texts are small": ("light", lambda sheet: sheet.replace("font: 15px/1.5", "font: 7px/1.5")),
}  # fmt: skip


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_spoilt_is_told(
    browser: Browser, address: str, tmp_path: Path, spoilt: str
) -> None:
    view, spoil = SPOILT[spoilt]
    with open_page(browser, spoil) as page:
        page.goto(f"{address}/?token={TOKEN}")
        assert look_at(page, tmp_path, "home", address, views=[view]) != []
