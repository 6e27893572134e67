"""More pages of a run that goes on than a browser gives connections to a host: six."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from chromium import needs_chromium
from playwright.sync_api import Browser, expect

from running import Project
from towpath.execution.run_record import EVENTS, Recorder, new_folder

TOKEN = "a-token-of-this-test"


# A browser without a window hides no tab by itself.
HIDES = """(() => {
  let hidden = false;
  Object.defineProperty(Document.prototype, "hidden", { get: () => hidden });
  window.hide = (word) => { hidden = word; document.dispatchEvent(new Event("visibilitychange")); };
})()"""


@contextmanager
def going_on(project: Project) -> Iterator[Recorder]:
    """A run that goes on: its record is held, as by a run that is carried out."""
    folder = new_folder(project.workspace.runs)
    record = Recorder(folder)
    record("started", run=folder.name, pipeline="p", asked={}, params={}, inputs={}, sources={},
           tried=[], origin={}, steps={"a": "processing"})  # fmt: skip
    yield record
    record.close()
    shutil.rmtree(folder)


@needs_chromium
def test_the_eighth_tab_opens_at_once_and_follows_too(
    browser: Browser, address: str, shown: Project
) -> None:
    with going_on(shown) as record, browser.new_context() as context:
        name = record.folder.name
        context.new_page().goto(f"{address}/runs/{name}/?token={TOKEN}")
        for _ in range(7):
            context.new_page().goto(f"{address}/runs/{name}/", timeout=10_000)
        record("step", step="a", state="running")
        for page in context.pages:  # three by a stream, the others by looking again
            expect(page.locator(".steps .state-running").first).to_be_attached(timeout=10_000)


@needs_chromium
def test_a_hidden_tab_has_no_stream_until_it_is_seen_again(
    browser: Browser, address: str, shown: Project
) -> None:
    with going_on(shown) as record, browser.new_context() as context:
        context.add_init_script(HIDES)
        page = context.new_page()
        opened: list[str] = []
        page.on("request", lambda r: opened.append(r.url) if "/events" in r.url else None)
        # Its stream begins at what the page has told: it is not loaded once more.
        again: list[str] = []
        own = f"{address}/runs/{record.folder.name}/"
        page.on("request", lambda r: again.append(r.url) if r.resource_type == "fetch" else None)
        with page.expect_request("**/events?*"):
            page.goto(f"{own}?token={TOKEN}")
        page.wait_for_timeout(700)  # a first event would come at once
        size = (record.folder / EVENTS).stat().st_size
        assert opened[0].endswith(f"?from={size}") and own not in again
        with page.expect_event("requestfailed", lambda r: "/events" in r.url):
            page.evaluate("hide(true)")
        assert len(opened) == 1
        record("step", step="a", state="running")
        page.wait_for_timeout(1_000)
        assert page.locator(".steps .state-running").count() == 0  # nobody looks
        page.evaluate("hide(false)")
        expect(page.locator(".steps .state-running").first).to_be_attached(timeout=10_000)
        assert opened[1].endswith(f"?from={size}")
