"""More pages of a run that goes on than a browser gives connections to a host: six."""

from __future__ import annotations

import shutil
from pathlib import Path

from chromium import browser, needs_chromium
from playwright.sync_api import Browser, expect

from running import Project
from towpath.execution.run_record import Recorder, new_folder

__all__ = ["browser"]

TOKEN = "a-token-of-this-test"


@needs_chromium
def test_the_eighth_tab_opens_at_once_and_follows_too(
    browser: Browser, address: str, shown: Project
) -> None:
    folder: Path = new_folder(shown.workspace.runs)
    record = Recorder(folder)  # holds its lock, as a run does that goes on
    record("started", run=folder.name, pipeline="p", asked={}, params={}, inputs={}, sources={},
           tried=[], origin={}, steps={"a": "processing"})  # fmt: skip
    context = browser.new_context()
    context.new_page().goto(f"{address}/runs/{folder.name}/?token={TOKEN}")
    for _ in range(7):
        context.new_page().goto(f"{address}/runs/{folder.name}/", timeout=10_000)
    record("step", step="a", state="running")
    for page in context.pages:  # three by a stream, the others by looking again
        expect(page.locator("main .state-running").first).to_be_attached(timeout=10_000)
    context.close()
    record.close()
    shutil.rmtree(folder)
