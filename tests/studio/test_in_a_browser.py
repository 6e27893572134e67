"""Studio in a real browser: a run begun by a form and watched, on every kind of screen."""

from __future__ import annotations

import pytest
from chromium import listen_to, needs_chromium, violations
from playwright.sync_api import Browser, expect

from own_home import use_api
from running import Project
from towpath.backends.prefect.server import PrefectApi

TOKEN = "a-token-of-this-test"
WIDTHS = (390, 1024, 1440)
pytestmark = needs_chromium


def test_a_run_is_begun_by_a_form_and_watched_to_its_end(
    browser: Browser,
    address: str,
    shown: Project,
    warm_api: PrefectApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_api(warm_api, monkeypatch)  # the page's run hears of it, and starts none of its own
    before = shown.runs()
    page = browser.new_page()
    complaints = listen_to(page)
    page.goto(f"{address}/?token={TOKEN}")
    page.get_by_role("link", name="Pipelines", exact=True).click()
    page.get_by_role("link", name="training", exact=True).click()
    page.locator('[name="param.factor"]').fill("5")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/2*/", timeout=60_000)
    # Nobody loads the page again: its stream says that something came.
    expect(page.locator("h1 .state-done")).to_be_visible(timeout=60_000)
    expect(page.locator(".graph .state-done")).not_to_have_count(0)
    expect(page.locator("[data-stream]")).to_have_count(1)
    (run,) = set(shown.runs()) - set(before)
    assert run in page.url
    assert page.get_by_text("tried").count() == 1
    page.keyboard.press("/")
    page.keyboard.type("score")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="score").first.click()
    expect(page.locator("h2#step")).to_contain_text("score")
    assert complaints == []


def test_runs_are_chosen_compared_and_drawn_over_other_axes(
    browser: Browser, address: str, shown: Project
) -> None:
    first, trial, _ = shown.runs()[:3]
    page = browser.new_page()
    complaints = listen_to(page)
    page.goto(f"{address}/runs/?token={TOKEN}")
    page.get_by_label(f"compare {trial}").check()
    page.get_by_role("button", name="factor").click()  # sorted, what was marked stays marked
    assert "sort=-params.factor" in page.url
    assert "state=" not in page.url  # what is not asked for does not stand in the address
    expect(page.get_by_label(f"compare {trial}")).to_be_checked()
    page.get_by_label(f"compare {first}").check()
    page.get_by_role("button", name="Compare the chosen").click()
    expect(page.locator("h1")).to_contain_text("2 runs side by side")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="factor"))
    expect(row.get_by_role("cell")).to_have_text(["3", "2"])
    expect(page.get_by_text("limit", exact=True)).to_be_hidden()
    page.locator("summary", has_text="rows are equal").press("Enter")
    expect(page.get_by_text("limit", exact=True)).to_be_visible()
    page.get_by_label("Points: across").select_option(label="error")
    page.get_by_role("button", name="Draw").press("Enter")
    assert "x=metrics.error" in page.url
    expect(page.locator("figcaption").nth(1)).to_contain_text("over error")
    assert complaints == []


def test_a_promotion_is_rejected_by_a_page_with_the_reason(
    browser: Browser, address: str, shown: Project
) -> None:
    page = browser.new_page()
    complaints = listen_to(page)
    page.goto(f"{address}/promotions/mean-v1.0.0-uat/?token={TOKEN}")
    page.get_by_role("button", name="Reject").click()
    assert page.url.endswith("/promotions/mean-v1.0.0-uat/")  # the browser asks for the reason
    page.get_by_label("Reason").fill("too early; `rm -rf`")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("h1")).to_contain_text("done")
    expect(page.locator("main code").first).to_contain_text(
        "towpath reject promote/mean-v1.0.0-uat"
    )
    assert "promote/mean-v1.0.0-uat" not in shown.git("branch")
    assert complaints == []


def test_pages_are_read_by_everybody(browser: Browser, address: str, shown: Project) -> None:
    """By a screen reader (WCAG 2.2 AA, as far as axe finds it), on a telephone, in the dark."""
    run = shown.runs()[-1]
    first = shown.runs()[0]
    paths = ("", "pipelines/", "pipelines/training/", "runs/", f"runs/{run}/", f"runs/{first}/fit/",
             f"compare/runs/?run={run}&run={first}", "models/", "models/mean/",
             "models/mean/v1.0.0/", "stages/dev/", "data/", "promotions/", "search/?q=mean",
             "nope/")  # fmt: skip
    page = browser.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    broken = []
    for path in paths:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        page.goto(f"{address}/{path}")
        broken += [(path, *violation) for violation in violations(page)]
        for width in WIDTHS:  # a telephone that becomes a desk's screen
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (path, width, wide)
        page.emulate_media(color_scheme="dark")
        page.goto(f"{address}/{path}")
        broken += [(path, *violation) for violation in violations(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (path, "in the dark", wide)
    assert broken == []
    page.close()
