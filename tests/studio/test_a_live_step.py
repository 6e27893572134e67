"""A step that is looked at while it runs, in a real browser: its log, its curve, its question."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from chromium import needs_chromium, violations
from made_outputs import write_made_run
from playwright.sync_api import Browser, expect

from towpath.config.parameter_declaration import Param
from towpath.execution.run_record import Recorder, new_folder
from towpath.steps import callback_questions
from towpath.steps.callback_questions import Question

TOKEN = "a-token-of-this-test"
OpenStudio = Callable[[Path], httpx.Client]
pytestmark = needs_chromium


def begin_run(root: Path, kind: str = "training") -> Recorder:
    """The record of a run that goes on in this process, with a step that runs."""
    (root / "towpath.yaml").write_text("name: live\n")
    record = Recorder(new_folder(root / ".towpath" / "runs"))
    origin = {"pid": os.getpid(), "host": os.uname().nodename}
    record("started", run=record.folder.name, pipeline="gone", asked={}, params={}, inputs={},
           sources={}, tried=[], origin=origin, steps={"fit": kind})  # fmt: skip
    record("step", step="fit", state="running", attempt=1)
    (record.folder / "fit").mkdir()
    return record


def test_a_log_and_a_curve_grow_without_a_page_being_loaded(
    browser: Browser, tmp_path: Path, open_studio: OpenStudio
) -> None:
    record = begin_run(tmp_path)
    hangs_on = {"input rows": "a", "code fit": "b"}
    record("step", step="fit", state="running", ingredients=hangs_on)
    folder = record.folder / "fit"
    address = str(open_studio(tmp_path).base_url).rstrip("/")
    with (
        (folder / "log.txt").open("w") as log,
        (folder / "metrics.jsonl").open("w") as metrics,
    ):
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/runs/{record.folder.name}/fit/?token={TOKEN}")
        page.wait_for_url("**/fit/")
        page.evaluate("window.isTheSame = true")
        log.write("".join(f"line {number}\n" for number in range(200)) + "hal")
        log.flush()
        expect(page.locator(".log .partial")).to_have_text("201hal", timeout=3000)
        log.write("f done <b>\n")
        log.flush()
        begin = time.monotonic()
        expect(page.locator("#L201")).to_contain_text("half done <b>", timeout=3000)
        assert time.monotonic() - begin < 1.5
        assert page.locator("#L201").count() == 1
        lines = page.locator(".log.lines")
        below = "e => e.scrollHeight - e.scrollTop - e.clientHeight < 40"
        assert lines.evaluate(below)  # it is followed
        page.get_by_role("button", name="Follow").click()
        lines.evaluate("e => { e.scrollTop = 0 }")
        log.write("one more\n")
        metrics.write(json.dumps({"name": "loss", "value": 0.5, "step": 1}) + "\n")
        metrics.write(json.dumps({"name": "loss", "value": 0.25, "step": 2}) + "\n")
        log.flush(), metrics.flush()
        expect(page.locator("#L202")).to_have_count(1, timeout=3000)
        assert not lines.evaluate(below)
        expect(page.locator(".legend")).to_contain_text("loss 0.25", timeout=3000)
        hangs_on["parameter rate"] = "c"
        record("step", step="fit", state="done", seconds=1.0, ingredients=hangs_on)
        record("finished", state="done", seconds=1.0, exit_code=0)
        expect(page.locator("h2#step")).to_contain_text("done", timeout=5000)
        expect(page).to_have_title("gone done · live")
        # A fold is known by its title: another one before it opens and closes none.
        folds = page.locator(".pane details[open] summary")
        assert folds.all_inner_texts() == ["parameter 1", "input 1"]
        expect(page.locator("button.follow")).to_be_hidden(timeout=3000)
        assert page.locator(".log .line").count() == 202
        assert page.evaluate("window.isTheSame")
        for path in ("fit/", "fit/?find=line+7", "fit/?level=error"):
            page.goto(f"{address}/runs/{record.folder.name}/{path}")
            assert violations(page) == [], path
        page.close()
        assert complaints == []
    record.close()


def test_a_question_is_answered_on_the_page(
    browser: Browser, tmp_path: Path, open_studio: OpenStudio
) -> None:
    record = begin_run(tmp_path, "callback")
    fields = {
        "approved": Param(type="boolean", description="whether it may go on"),
        "note": Param(default=None, type="string"),
    }
    token = callback_questions.new_token()
    question = Question(token, record.folder.name, "gone", "fit", "May it <b>go</b> on?",
                        "2026-11-26T10:00:00Z", "", fields)  # fmt: skip
    assert question.command == f"towpath answer {token} approved=true"
    callback_questions.ask_question(tmp_path, question)
    address = str(open_studio(tmp_path).base_url).rstrip("/")
    page = browser.new_page()
    page.goto(f"{address}/?token={TOKEN}")  # Home says first that somebody is waited for
    page.get_by_role("link", name="fit waits for an answer: May it <b>go</b> on?").click()
    expect(page.locator(".question")).to_contain_text("May it <b>go</b> on?")
    assert violations(page) == []
    page.get_by_label("approved").select_option("true")
    assert page.get_by_label("note").input_value() == ""
    page.get_by_label("note").fill("two\nlines")
    page.get_by_role("button", name="Answer").click()
    expect(page.locator(".question")).to_have_count(0, timeout=30_000)
    assert page.url.endswith(f"/runs/{record.folder.name}/fit/")  # and the run is looked at again
    page.close()
    answer = callback_questions.find_answer(tmp_path, token)
    assert answer == {"approved": True, "note": "two\nlines"}
    record.close()


def test_what_a_step_made_can_do_nothing(
    browser: Browser, tmp_path: Path, open_studio: OpenStudio
) -> None:
    reach = "fetch('/?reached');document.title='done';parent.isReached=top.isReached=true"
    page_bytes = (
        f'<title>calm</title><script>{reach}</script><img src=/?reached onerror="{reach}">'
        f"<link rel=stylesheet href=/?reached><form action=/actions/run method=post><button>go"
        "</button></form><meta http-equiv=refresh content='0;url=/?reached'><p>what it says</p>"
    ).encode()
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="{reach}">'
        f"<script>{reach}</script><image href='/?reached'/></svg>"
    ).encode()
    run = write_made_run(tmp_path, {"report.html": page_bytes, "chart.svg": drawing})
    address = str(open_studio(tmp_path).base_url).rstrip("/")
    page = browser.new_page()
    reached: list[str] = []
    # What the policy blocks is told as a request, and gets no answer.
    page.on("response", lambda answer: reached.append(answer.url))
    page.goto(f"{address}/?token={TOKEN}")
    for path in ("report/", "report/shown", "chart/", "chart/shown", ""):
        page.goto(f"{address}/runs/{run}/draw/{path}")
        page.wait_for_timeout(100)
        assert page.evaluate("window.isReached === undefined"), path
        assert page.title() != "done"
    page.goto(f"{address}/runs/{run}/draw/report/")
    inner = page.frame_locator("iframe")
    expect(inner.locator("p")).to_have_text("what it says")
    inner.get_by_role("button").click()  # a form of a sandbox is not sent
    page.wait_for_timeout(300)
    assert page.url.endswith("/draw/report/")
    assert inner.locator("p").text_content() == "what it says"
    assert not [rule for rule, _ in violations(page) if rule != "frame-tested"]
    page.close()
    assert not [address for address in reached if "reached" in address]
