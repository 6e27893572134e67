"""Who may ask Studio: each attempt of somebody else is refused."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from running import Project
from towpath.errors import UsageError
from towpath.studio import access_guard, page_threads, studio_app, studio_server
from towpath.studio.access_guard import COOKIE, POLICY
from towpath.studio.action_commands import read_action

TOKEN = "a-token-of-this-test"
OURS = "http://this-server"  # stands for its own address


def hold_token(client: httpx.Client) -> None:
    """What a browser has after the first address, on a client that did not ask for it."""
    client.cookies.set(f"{COOKIE}_{client.base_url.port}", TOKEN)


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
    hold_token(stranger)
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
    hold_token(stranger)
    home = str(stranger.base_url).rstrip("/")
    headers = {name: home if value == OURS else value for name, value in headers.items()}
    answer = stranger.post("/actions/run", data={"pipeline": "training"}, headers=headers)
    assert answer.status_code == 403
    mode = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert stranger.get("/", headers=mode).status_code == 403


def test_a_form_needs_the_word_that_our_pages_hold(stranger: httpx.Client) -> None:
    hold_token(stranger)
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
    hold_token(stranger)
    answer = stranger.get(path.replace("{run}", shown.runs()[0]))
    assert answer.status_code in (307, 404)
    assert answer.status_code == 404 or answer.headers["location"].startswith("/")
    assert not answer.headers.get("location", "").startswith("//")


def test_a_log_that_is_a_link_is_not_followed(stranger: httpx.Client, shown: Project) -> None:
    hold_token(stranger)
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
    cookie = f'other={{"a": 1}}; a[b]=1; {COOKIE}_{stranger.base_url.port}={TOKEN}'
    assert stranger.get("/", headers={"cookie": cookie}).status_code == 200
    away = stranger.get(f"//evil.example/?token={TOKEN}")
    assert not away.headers.get("location", "").startswith("//")


def test_odd_words_to_a_stream_and_a_form(stranger: httpx.Client, shown: Project) -> None:
    hold_token(stranger)
    for last in ("9" * 30, "-1", "x"):
        asked = {"last-event-id": last}
        assert stranger.get(f"/runs/{shown.runs()[0]}/events", headers=asked).status_code == 200
    ours = {"origin": str(stranger.base_url).rstrip("/")}
    form = {"form_token": "é"}
    assert stranger.post("/actions/run", data=form, headers=ours).status_code == 403
    with pytest.raises(UsageError, match="not one line"):
        read_action("run", {"pipeline": "training", "param.a\0b": "1"})


def test_a_link_of_another_site_keeps_the_token_out_of_sight(stranger: httpx.Client) -> None:
    """A strict cookie does not come along with a redirect that another site began."""
    led = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = stranger.get(f"/runs/?token={TOKEN}", headers=led)
    assert answer.status_code == 200
    assert answer.headers["refresh"] == "0; url=/runs/"
    assert TOKEN not in answer.text
    assert stranger.get("/runs/").status_code == 200


def test_what_is_larger_than_any_of_ours_is_refused(stranger: httpx.Client) -> None:
    hold_token(stranger)
    ours = {"origin": str(stranger.base_url).rstrip("/")}
    assert stranger.get("/runs/?q=" + "x" * 40_000).status_code == 414
    assert stranger.get("/", headers={"x-long": "x" * 70_000}).status_code in (400, 431)

    def drip() -> Iterator[bytes]:  # of no length that was announced
        for _ in range(30):
            yield b"x" * 10_000

    for content in (b"x" * 300_000, drip()):
        assert stranger.post("/actions/run", content=content, headers=ours).status_code == 413
    assert stranger.get("/").status_code == 200


def test_who_does_not_come_to_an_end_is_not_waited_for(
    stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio_server, "HEAD_PATIENCE", 0.2)
    monkeypatch.setattr(access_guard, "_BODY_PATIENCE", 0.2)
    place = (stranger.base_url.host, stranger.base_url.port)
    cookie = f"{COOKIE}_{place[1]}={TOKEN}"
    host = f"{place[0]}:{place[1]}"
    with socket.create_connection(place, 10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x")
        assert slow.recv(100) == b""
    with socket.create_connection(place, 10) as slow:
        slow.sendall(
            f"POST /actions/run HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
            f"Cookie: {cookie}\r\nContent-Length: 9\r\n\r\n".encode()
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_heads_and_what_a_browser_may_keep(stranger: httpx.Client, shown: Project) -> None:
    hold_token(stranger)
    run = shown.runs()[0]
    for path in ("/", "/runs/", f"/runs/{run}/", f"/runs/{run}/events", "/assets/studio.css"):
        answer = stranger.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
        kept = "no-cache" if path.startswith("/assets/") else "no-store"
        assert answer.headers["cache-control"] == kept
    (sheet,) = re.findall(r'href="(assets/studio.css[?]v=[0-9a-f]{12})"', stranger.get("/").text)
    assert "immutable" in stranger.get(f"/{sheet}").headers["cache-control"]
    assert stranger.get(f"/{sheet}0").headers["cache-control"] == "no-cache"


def test_a_page_that_fails_leaves_the_others(
    stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_token(stranger)

    def stumble(*_: object) -> None:
        raise ValueError("<b>oh</b>")

    monkeypatch.setattr(studio_app, "render_studio_page", stumble)
    answer = stranger.get("/runs/")
    assert answer.status_code == 500
    assert "This page failed: ValueError: &lt;b&gt;oh&lt;/b&gt;" in answer.text


def test_what_does_not_come_in_time_is_said(
    stranger: httpx.Client, shown: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs, say: its thread is not waited for, neither by a page nor by a log."""
    hold_token(stranger)
    monkeypatch.setattr(studio_app, "ProjectFacts", lambda *_, **__: time.sleep(2))
    monkeypatch.setattr(page_threads.PageThreads.compute, "__defaults__", (0.1,))
    for path in ("/runs/", f"/runs/{shown.runs()[0]}/fit/log.txt", "/nope/"):
        answer = stranger.get(path)
        assert answer.status_code == 503, path
        assert "took too long" in answer.text
    time.sleep(2)
