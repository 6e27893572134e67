"""DESIGN's story by clicks: from a project that never ran to prod, and back again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from chromium import listen_to, needs_chromium
from playwright.sync_api import Browser, Page, expect

from own_home import use_api
from running import make
from towpath.backends.prefect.server import PrefectApi

pytestmark = needs_chromium
TOKEN = "a-token-of-this-test"
POLICY = """\
name: small
stages: {dev: {}, prod: {gates: {near: {kind: metric, metric: error, at_most: 1000}}}}
policy: {approval: recorded, self_approval: true}
"""


def begin_run(page: Page, **params: str) -> None:
    page.get_by_role("link", name="Pipelines", exact=True).click()
    page.get_by_role("link", name="training", exact=True).click()
    for name, value in params.items():
        page.locator(f'[name="param.{name}"]').fill(value)
    if params:
        page.get_by_label("register a trial too").check()
        words = " ".join(f"--param {name}={value}" for name, value in params.items())
        expect(page.locator("code").first).to_have_text(f"towpath run training {words} --register")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/2*/", timeout=60_000)
    expect(page.locator("h1 .state-done")).to_be_visible(timeout=60_000)


def propose(page: Page, version: str, stage: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(f"mean@{version}")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=f"mean@{version}").first.click()
    page.get_by_label("to", exact=True).select_option(stage)
    page.get_by_label("Why").fill(f"the story's {version}")
    words = f"towpath promote mean@{version} --to {stage} --description "
    words += f"'the story'\"'\"'s {version}'"  # as a shell reads it
    expect(page.locator("code", has_text="towpath promote")).to_have_text(words)
    page.get_by_role("button", name="Propose").click()


def approve_and_deploy(page: Page, stage: str) -> None:
    page.get_by_role("link", name="On to the promotion").click()
    page.get_by_role("button", name="Approve and merge").click()
    expect(page.locator("h1")).to_have_text("done")
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name=f"Deploy to {stage}").click()
    expect(page.locator("h1")).to_have_text("done")


def test_from_an_empty_project_to_prod_and_back(
    browser: Browser,
    tmp_path: Path,
    open_studio: Callable[[Path], httpx.Client],
    warm_api: PrefectApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_api(warm_api, monkeypatch)  # the pages' runs hear of it, and start none of their own
    project = make(tmp_path / "story", {"towpath.yaml": POLICY})
    project.git("init", "-q", "-b", "main")
    project.commit()
    address = str(open_studio(project.root).base_url)
    page = browser.new_page()
    complaints = listen_to(page)
    page.goto(f"{address}/?token={TOKEN}")
    expect(page.locator(".is-next")).to_contain_text("towpath run")
    page.locator(".is-next").get_by_role("link", name="Run it").click()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    page.get_by_role("link", name="Home", exact=True).click()
    begin_run(page)
    expect(page.get_by_role("link", name="mean@v1.0.0")).to_be_visible()
    page.get_by_role("link", name="Home", exact=True).click()
    expect(page.locator(".is-next")).to_contain_text("towpath promote mean@v1.0.0 --to dev")
    propose(page, "v1.0.0", "prod")  # over the ladder: refused in the words of the command
    expect(page.locator("h1")).to_have_text("not done")
    expect(page.locator("pre")).to_contain_text("has not been in dev: prod is entered from dev")
    for stage in ("dev", "prod"):
        propose(page, "v1.0.0", stage)
        expect(page.locator("h1")).to_have_text("done")
        approve_and_deploy(page, stage)
    begin_run(page, factor="3")
    for stage in ("dev", "prod"):
        propose(page, "v1.1.0", stage)
        approve_and_deploy(page, stage)
    assert seen_in_prod(page) == "mean@v1.1.0"
    page.locator("nav").get_by_role("link", name="prod").click()
    page.get_by_role("button", name="Propose v1.0.0 again").click()
    expect(page.locator("h1")).to_have_text("done")
    approve_and_deploy(page, "prod")
    assert seen_in_prod(page) == "mean@v1.0.0"
    assert drift_in_prod(page) == "as main says"
    # Who let it in, from the first page: one click to the evidence.
    page.locator(".column", has_text="prod").get_by_role("link", name="Ada Tester").click()
    expect(page.locator("main")).to_contain_text("approved by")
    # Back from where one went back to there is nothing; forth is another promotion.
    page.locator("nav").get_by_role("link", name="prod").click()
    page.get_by_role("button", name="Propose v1.1.0 again").click()
    expect(page.locator("h1")).to_have_text("done")
    expected = "Roll back mean to v1.0.0 in prod"
    assert expected in project.git("log", "--format=%s", "main")
    # A browser says of each page that is refused (409) that it was.
    assert [c for c in complaints if "409" not in c] == []


def drift_in_prod(page: Page) -> str:
    """How prod stands to main, which is looked at beside the page."""
    sign = page.locator(".column", has_text="prod").locator(".card-name .state")
    for _ in range(100):
        if sign.count():
            return sign.inner_text()
        page.wait_for_timeout(200)
        page.reload()
    return "not looked at"


def seen_in_prod(page: Page) -> str:
    page.get_by_role("link", name="Home", exact=True).click()
    return page.locator(".column", has_text="prod").locator(".card-name .version").inner_text()
