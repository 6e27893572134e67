"""Who may ask Studio: each attempt of somebody else is refused."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from running import Project
from towpath.errors import UsageError
from towpath.studio.access_guard import COOKIE, POLICY
from towpath.studio.action_commands import read_action

TOKEN = "a-token-of-this-test"
OURS = "http://this-server"  # stands for its own address


def test_only_the_first_address_opens_it(stranger: httpx.Client) -> None:
    for path in ("/", "/runs/", "/assets/studio.css", "/nope", "/?token=", "/?token=wrong"):
        assert stranger.get(path).status_code == 401, path
    ours = {"origin": str(stranger.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    assert stranger.post("/actions/run", headers=ours).status_code == 401
    opened = stranger.get(f"/runs/?token={TOKEN}&state=failed")
    assert opened.status_code == 303
    # The token does not stay in the address, where a history or a screen share shows it.
    assert opened.headers["location"] == "/runs/?state=failed"
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert stranger.get("/runs/").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "[::2]"]
)
def test_a_name_that_is_not_ours_is_refused(stranger: httpx.Client, host: str) -> None:
    """A page of evil.example whose name has come to mean 127.0.0.1: DNS rebinding."""
    stranger.cookies.set(COOKIE, TOKEN)
    assert stranger.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": OURS, "sec-fetch-site": "cross-site"},
        {"origin": OURS, "sec-fetch-site": "same-site"},
    ],
)
def test_another_site_changes_nothing(stranger: httpx.Client, headers: dict[str, str]) -> None:
    stranger.cookies.set(COOKIE, TOKEN)
    home = str(stranger.base_url).rstrip("/")
    headers = {name: home if value == OURS else value for name, value in headers.items()}
    answer = stranger.post("/actions/run", data={"pipeline": "training"}, headers=headers)
    assert answer.status_code == 403
    mode = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert stranger.get("/", headers=mode).status_code == 403


def test_a_form_needs_the_word_that_our_pages_hold(stranger: httpx.Client) -> None:
    stranger.cookies.set(COOKIE, TOKEN)
    ours = {"origin": str(stranger.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    for form in ({}, {"form_token": "guessed"}, {"form_token": TOKEN}):
        answer = stranger.post("/actions/register", data=form, headers=ours)
        assert answer.status_code == 403


def test_every_answer_forbids_what_a_page_does_not_need(stranger: httpx.Client) -> None:
    for answer in (stranger.get("/"), stranger.get(f"/?token={TOKEN}"), stranger.get("/runs/")):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY
    assert "script-src 'self'" in POLICY


@pytest.mark.parametrize(
    "path",
    ["/assets/../studio_app.py", "/assets/%2e%2e/studio_app.py", "/assets//etc/passwd",
     "/runs/..%2f..%2f..%2ftowpath.yaml/", "/runs/%2e%2e/%2e%2e/log.txt", "/runs/../events",
     "/runs/{run}/..%2f..%2f/log.txt", "/runs/{run}/../log.txt"],
)  # fmt: skip
def test_no_path_leads_out(stranger: httpx.Client, shown: Project, path: str) -> None:
    stranger.cookies.set(COOKIE, TOKEN)
    answer = stranger.get(path.replace("{run}", shown.runs()[0]))
    assert answer.status_code in (307, 404)
    assert answer.status_code == 404 or answer.headers["location"].startswith("/")
    assert not answer.headers.get("location", "").startswith("//")


def test_a_log_that_is_a_link_is_not_followed(stranger: httpx.Client, shown: Project) -> None:
    stranger.cookies.set(COOKIE, TOKEN)
    run = shown.runs()[0]
    log: Path = shown.workspace.runs / run / "good" / "log.txt"
    log.parent.mkdir(exist_ok=True)
    log.symlink_to("/etc/passwd")
    try:
        assert stranger.get(f"/runs/{run}/good/log.txt").status_code == 404
        assert "root:" not in stranger.get(f"/runs/{run}/good/").text
    finally:
        log.unlink()


@pytest.mark.parametrize(
    ("name", "form", "what"),
    [
        ("nope", {}, "no action"),
        ("run", {}, "`pipeline` is missing"),
        ("run", {"pipeline": "--stop=x"}, "begins with a dash"),
        ("approve", {"promotion": ""}, "`promotion` is missing"),
        ("reject", {"promotion": "x", "reason": " "}, "`reason` is missing"),
        ("promote", {"version": "-h", "stage": "dev"}, "begins with a dash"),
        ("register", {"run": "a\nb"}, "not one line"),
        ("register", {"run": "\x1b[2J"}, "not one line"),
        ("register", {"run": "x" * 5000}, "not one line"),
    ],
)
def test_a_form_that_says_something_else_is_refused(
    name: str, form: dict[str, str], what: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(what)):
        read_action(name, form)


def test_a_form_becomes_the_command_that_would_do_the_same() -> None:
    form = {"pipeline": "training", "param.factor": "3", "was.param.factor": "2",
            "param.limit": "100", "was.param.limit": "100", "input.raw": "a b.json",
            "was.input.raw": "data/raw.json", "for": "uat"}  # fmt: skip
    words = "towpath run training --param factor=3 --input 'raw=a b.json' --for uat"
    assert read_action("run", form).words == words
    promote = {"version": "mean@v1.0.0", "stage": "dev", "why": "--push"}
    expected = "towpath promote mean@v1.0.0 --to dev --description=--push"
    assert read_action("promote", promote).words == expected
    reject = {"promotion": "mean-v1.0.0-dev", "reason": "too old"}
    expected = "towpath reject promote/mean-v1.0.0-dev '--reason=too old'"
    assert read_action("reject", reject).words == expected


def test_odd_cookies_of_other_servers_lock_nobody_out(stranger: httpx.Client) -> None:
    cookie = f'other={{"a": 1}}; a[b]=1; {COOKIE}={TOKEN}'
    assert stranger.get("/", headers={"cookie": cookie}).status_code == 200
    away = stranger.get(f"//evil.example/?token={TOKEN}")
    assert not away.headers.get("location", "").startswith("//")


def test_odd_words_to_a_stream_and_a_form(stranger: httpx.Client, shown: Project) -> None:
    stranger.cookies.set(COOKIE, TOKEN)
    for last in ("9" * 30, "-1", "x"):
        asked = {"last-event-id": last}
        assert stranger.get(f"/runs/{shown.runs()[0]}/events", headers=asked).status_code == 200
    ours = {"origin": str(stranger.base_url).rstrip("/")}
    form = {"form_token": "é"}
    assert stranger.post("/actions/run", data=form, headers=ours).status_code == 403
    with pytest.raises(UsageError, match="not one line"):
        read_action("run", {"pipeline": "training", "param.a\0b": "1"})
