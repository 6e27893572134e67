"""Studio's pages in every state, as everybody reads them: empty, refused, without a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from chromium import needs_chromium, violations_day_and_night
from playwright.sync_api import Browser, Page, expect

from running import Project

pytestmark = needs_chromium
TOKEN = "a-token-of-this-test"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_what_is_empty_or_broken_is_read_by_everybody(
    page: Page, tmp_path: Path, open_studio: Callable[[Path], httpx.Client]
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: bare\nstages: {dev: {}}\n")
    folder = tmp_path / "flows" / "training"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text("steps: {a: {run: b, inputs: [nope]}, c: {rnu: x}}\n")
    address = str(open_studio(tmp_path).base_url)
    page.goto(f"{address}/?token={TOKEN}")
    expect(page.locator(".is-next")).to_contain_text("git init")
    for path in ("", "pipelines/training/", "runs/", "models/", "stages/dev/", "nope/"):
        page.goto(f"{address}/{path}")
        assert violations_day_and_night(page) == [], path
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}/pipelines/training/")
    expect(page.locator(".blocked")).to_contain_text("did you mean `run`?")


def test_what_failed_or_was_refused_is_read_by_everybody(
    page: Page, address: str, shown: Project
) -> None:
    page.goto(f"{address}/?token={TOKEN}")
    # Ten seconds from the first page: what runs, who let it in, why the last run failed.
    card = page.locator(".column", has_text="dev").locator(".card")
    expect(card).to_contain_text("mean@v1.0.0")
    expect(card).to_contain_text("let in by Ada Tester")
    expect(page.locator(".todo")).to_contain_text("the last run of training failed: reject: error")
    failed = shown.runs()[2]
    for path in ("", f"runs/{failed}/", "promotions/mean-v1.0.0-uat/", "promotions/",
                 "promotions/mean-v1.0.0-dev/", "models/mean/v1.0.0/"):  # fmt: skip
        page.goto(f"{address}/{path}")
        assert violations_day_and_night(page) == [], path
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("to", exact=True).select_option("prod")
    page.get_by_role("button", name="Propose").click()
    expect(page.locator("pre")).to_contain_text("has not been in uat: prod is entered from uat")
    assert violations_day_and_night(page) == []


def test_everything_is_read_without_a_script(
    browser: Browser, address: str, shown: Project
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    expect(page.locator("main")).to_contain_text("let in by Ada Tester")
    page.get_by_role("link", name="Promote mean@v1.0.0 to uat").click()
    expect(page.locator(".gates")).to_contain_text("error at most 1000")
    expect(page.locator("svg.bound")).to_be_visible()
    page.goto(f"{address}/runs/{shown.runs()[0]}/fit/")
    expect(page.locator("main")).to_contain_text("alert(1)")  # the log
    page.goto(f"{address}/pipelines/training/")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    assert page.locator("button.copy:visible").count() == 0  # it would do nothing
    context.close()


def test_on_paper_there_is_nothing_to_press(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.emulate_media(media="print", color_scheme="dark")
    for path in ("", "promotions/mean-v1.0.0-uat/", "pipelines/training/", "models/mean/v1.0.0/"):
        page.goto(f"{address}/{path}")
        assert page.locator("button:visible, input:visible, nav:visible").count() == 0, path
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour == "rgb(255, 255, 255)", path
    page.close()


def test_a_button_says_that_it_is_at_work_and_nothing_moves_while_a_page_comes(
    browser: Browser, address: str, shown: Project
) -> None:
    page = browser.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.goto(f"{address}/promotions/mean-v1.0.0-uat/")
    page.evaluate("document.addEventListener('submit', event => event.preventDefault())")
    page.get_by_label("Reason").fill("why not")
    page.get_by_role("button", name="Reject").click()
    busy = page.get_by_role("button", name="Rejecting…")
    expect(busy).to_be_disabled()
    assert busy.get_attribute("aria-busy") == "true"
    for path in ("", "promotions/", "pipelines/training/", f"runs/{shown.runs()[0]}/"):
        page.goto(f"{address}/{path}")
        shift = page.evaluate(
            """() => new Promise((done) => {
              let sum = 0;
              const add = (list) => { for (const entry of list.getEntries()) sum += entry.value; };
              new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
              setTimeout(() => done(sum), 200);
            })"""
        )
        assert shift < 0.01, (path, shift)
    page.close()
