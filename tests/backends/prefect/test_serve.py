"""The API does not send its callers away when two writes meet."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from towpath.backends.prefect import server
from towpath.backends.prefect.server.api_guard import basic_authorization

#: Seconds that Prefect lets a connection wait for its SQLite database.
PREFECTS_PATIENCE = 60


@pytest.fixture
def serve() -> Iterator[Any]:
    """The module, which rests the garbage collector where it is imported."""
    from towpath.backends.prefect.server import serve

    gc.enable()
    yield serve
    gc.enable()


def ask(api: server.PrefectApi, method: str, path: str, body: object) -> tuple[int, Any]:
    secret = basic_authorization(api.proven_endpoint.secret)
    asked = Request(f"{api.url}{path}", json.dumps(body).encode(), method=method)
    asked.add_header("Content-Type", "application/json")
    asked.add_header("Authorization", secret)
    try:
        with urlopen(asked) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except HTTPError as error:
        return error.code, None


def test_three_who_write_at_once_are_all_served(warm_api: server.PrefectApi) -> None:
    api = warm_api
    _, flow = ask(api, "POST", "/flows/", {"name": "many"})

    def write(_: int) -> list[int]:
        _, run = ask(api, "POST", "/flow_runs/", {"flow_id": flow["id"]})
        running = {"state": {"type": "RUNNING"}, "force": True}
        calls = [("PATCH", "labels", {"n": "1"}), ("POST", "set_state", running)] * 8
        return [ask(api, way, f"/flow_runs/{run['id']}/{what}", said)[0]
                for way, what, said in calls]  # fmt: skip

    with ThreadPoolExecutor(3) as pool:
        answers = Counter(code for codes in pool.map(write, range(3)) for code in codes)
    assert answers == {204: 24, 201: 24}


def test_it_answers_while_a_write_waits_for_the_database(warm_api: server.PrefectApi) -> None:
    api = warm_api
    pool = {"name": "there", "type": "process"}
    ask(api, "POST", "/work_pools/", pool)
    database = sqlite3.connect(api.home.database_file, isolation_level=None, timeout=10)
    with closing(database), ThreadPoolExecutor(20) as threads:
        # What fails leaves a cursor to the garbage collector, at each of the pool's connections.
        again = threads.map(lambda _: ask(api, "POST", "/work_pools/", pool)[0], range(20))
        assert set(again) == {409}
        database.execute("BEGIN IMMEDIATE")
        writes = [threads.submit(ask, api, "POST", "/flows/", {"name": f"f{n}"}) for n in range(8)]
        began = time.monotonic()
        # Questions, of which each makes some garbage.
        reads = [ask(api, "POST", "/flows/filter", {})[0] for _ in range(100)]
        took = time.monotonic() - began
        waiting = [write for write in writes if not write.done()]
        database.execute("ROLLBACK")
        assert {write.result()[0] for write in writes} == {201}
    assert set(reads) == {200}
    assert waiting, "the database was held as long as the questions were asked"
    assert took < PREFECTS_PATIENCE / 2


class Example:
    """An application that is busy some times, and then answers with the body in two parts."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["seen"] is False
        scope["seen"] = True  # as routers do
        asked = await receive()
        self.bodies.append(asked["body"])
        self.busy -= 1
        await send({"type": "http.response.start", "status": 503 if self.busy >= 0 else 200})
        await send({"type": "http.response.body", "body": asked["body"][:2], "more_body": True})
        await send({"type": "http.response.body", "body": asked["body"][2:]})
        if self.busy >= 0:
            raise RuntimeError("what the answer was about")


def answer(application: Any) -> tuple[int, list[bytes]]:
    parts = [
        {"type": "http.request", "body": b"bo", "more_body": True},
        {"type": "http.request", "body": b"dy", "more_body": False},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application({"type": "http", "seen": False}, receive, send))
    head, *rest = sent
    return head["status"], [each["body"] for each in rest]


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """The file whose time says when the API was last used: long ago."""
    path = tmp_path / "used"
    path.touch()
    os.utime(path, (0, 0))
    return path


def test_what_is_busy_is_asked_again_with_the_same_body(serve: Any, used: Path) -> None:
    example = Example(busy=2)
    assert answer(serve.PersistentApplication(example, used)) == (200, [b"bo", b"dy"])
    assert example.bodies == [b"body"] * 3
    assert time.time() - used.stat().st_mtime < 60, "whoever asks it uses it: it does not rest"


def test_what_stays_busy_says_so_in_the_end(
    serve: Any, used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "PAUSES", (0.0, 0.0))
    example = Example(busy=9)
    with pytest.raises(RuntimeError, match="what the answer was about"):
        answer(serve.PersistentApplication(example, used))
    assert len(example.bodies) == 3


def test_any_other_error_is_raised_at_once(serve: Any, used: Path) -> None:
    calls = []

    async def broken(*_: Any) -> None:
        calls.append(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        answer(serve.PersistentApplication(broken, used))
    assert len(calls) == 1
