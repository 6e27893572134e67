"""Runs of deployments, which a Prefect API knows: listed, shown, and no page waits for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from own_home import use_api
from towpath.backends.prefect.runs_at_api import list_runs_at_api, read_run_at_api
from towpath.backends.prefect.server import PrefectApi
from towpath.errors import EngineError
from towpath.execution.run_record import Recorder, new_folder

OpenStudio = Callable[[Path], httpx.Client]
EVIL = "<script>alert(1)</script>"


def make_runs(api: PrefectApi, tag: str) -> dict[str, Any]:
    """A run with a step and a line of log, as a worker tells of them."""
    headers = {"authorization": api_authorization(api)}
    with httpx.Client(base_url=f"{api.url}/", headers=headers, timeout=30) as client:
        flow = client.post("flows/", json={"name": "training"}).json()
        body = {"flow_id": flow["id"], "tags": [tag], "parameters": {"factor": 3},
                "state": {"type": "FAILED", "message": EVIL}}  # fmt: skip
        run: dict[str, Any] = client.post("flow_runs/", json=body).json()
        task = {"flow_run_id": run["id"], "task_key": "fit", "dynamic_key": "0", "name": "fit",
                "state": {"type": "COMPLETED"}}  # fmt: skip
        assert client.post("task_runs/", json=task).status_code < 300
        line = {"name": "x", "level": 40, "message": EVIL, "flow_run_id": run["id"],
                "timestamp": "2026-01-02T03:04:05Z"}  # fmt: skip
        assert client.post("logs/", json=[line]).status_code < 300
        return run


def write_run(root: Path, engine_run: str) -> str:
    """The record that a worker in this folder leaves of a deployed run."""
    record = Recorder(new_folder(root / ".towpath" / "runs"))
    record("started", run=record.folder.name, pipeline="training", params={}, inputs={},
           origin={"engine_run": engine_run}, steps={})  # fmt: skip
    record("finished", state="done", seconds=1.0, exit_code=0)
    record.close()
    return record.folder.name


def api_authorization(api: PrefectApi) -> str:
    from towpath.backends.prefect.server.api_guard import basic_authorization

    return basic_authorization(api.proven_endpoint.secret)


def test_a_deployed_run_is_listed_and_shown(
    tmp_path: Path, open_studio: OpenStudio, warm_api: PrefectApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_api(warm_api, monkeypatch)
    (tmp_path / "towpath.yaml").write_text("name: far-away\n")
    run = make_runs(warm_api, "towpath:far-away")
    other = make_runs(warm_api, "towpath:another")
    client = open_studio(tmp_path)
    address = f"elsewhere/{run['id']}/"
    end = time.monotonic() + 20
    while address not in (listed := client.get("/runs/").text) and time.monotonic() < end:
        time.sleep(0.1)
    assert address in listed
    assert other["id"] not in listed
    # The page waits for nobody: what is heard stands there a moment later.
    while "03:04:05" not in (page := client.get(f"/{address}").text) and time.monotonic() < end:
        assert "has not answered yet" in page
        time.sleep(0.1)
    assert "03:04:05 error    &lt;script&gt;" in page
    assert "<script>alert" not in page + listed
    assert "fit" in page and "factor" in page
    for stranger in (other["id"], "x", "0" * 8):
        assert client.get(f"/elsewhere/{stranger}/").status_code == 404
    # Carried out here, it has a record, and stands in the list once.
    moment = datetime.now(UTC).isoformat()
    began = {"type": "RUNNING", "timestamp": moment}
    headers = {"authorization": api_authorization(warm_api)}
    state = {"state": began, "force": True}
    httpx.post(f"{warm_api.url}/flow_runs/{run['id']}/set_state", json=state, headers=headers)
    here = write_run(tmp_path, run["id"])
    mark = f'href="../{address}" title="a run of a deployment'
    while mark not in (listed := client.get("/runs/").text) and time.monotonic() < end + 20:
        time.sleep(0.5)
    assert mark in listed and f'href="../runs/{here}/"' in listed
    assert listed.count(address) == 1


def test_an_api_that_is_away_leaves_a_word(
    tmp_path: Path, open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: far-away\n")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(EngineError, match="does not answer"):
        list_runs_at_api(tmp_path, "far-away")
    client = open_studio(tmp_path)
    time.sleep(0.1)
    assert "127.0.0.1:9/api does not answer" in client.get("/runs/").text
    monkeypatch.setenv("PREFECT_API_URL", "javascript:alert(1)")
    with pytest.raises(EngineError, match="not the address"):
        list_runs_at_api(tmp_path, "far-away")
    assert read_run_at_api(tmp_path, "far-away", "../x") is None


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str | None]]]:
    """The address of an API that knows nothing, and the keys that it was shown."""
    heads: list[str | None] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heads.append(self.headers["authorization"])
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/api", heads
        listening.shutdown()


def test_a_key_goes_where_its_person_says_and_nowhere_else(
    tmp_path: Path, listener: tuple[str, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, heads = listener

    def ask() -> str | None:
        with pytest.raises(EngineError, match="said 404"):
            list_runs_at_api(tmp_path / "project", "far-away")
        return heads[-1]

    (tmp_path / "project").mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_API_KEY", "of-a-variable")
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert ask() == "Bearer of-a-variable"
    # As `prefect config set` writes it.
    profile = f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{url}"\n'
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "profiles.toml").write_text(f'{profile}PREFECT_API_KEY = "of-a-profile"\n')
    assert ask() == "Bearer of-a-variable"
    monkeypatch.delenv("PREFECT_API_KEY")
    assert ask() == "Bearer of-a-profile"
    monkeypatch.delenv("PREFECT_API_URL")
    assert ask() == "Bearer of-a-profile"
    # What comes with anybody's branch: an address, or the choice of another file with one.
    (tmp_path / "elsewhere.toml").write_text(profile)
    for text in (f'[api]\nurl = "{url}"\n', f'profiles_path = "{tmp_path / "elsewhere.toml"}"\n'):
        (tmp_path / "project" / "prefect.toml").write_text(text)
        assert ask() is None
    assert len(heads) == 6
