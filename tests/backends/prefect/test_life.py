"""The life of a local API: it comes once, survives what can be survived, and leaves nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from towpath.backends.prefect import server
from towpath.backends.prefect.server import (
    api_home,
    chosen_api,
    server_state,
    start_api,
    worker,
)
from towpath.errors import EngineError

ENSURE = "import sys; from pathlib import Path; from towpath.backends.prefect import server; "
ENSURE += "print(server.ensure_api(Path(sys.argv[1])).url)"

HOLD = """\
import sys, time
from pathlib import Path
from towpath.backends.prefect.server import api_home
with api_home.hold_lease(api_home.home_of_project(Path(sys.argv[1])), "killed"):
    print("held", flush=True)
    time.sleep(60)
"""


PAGE = Path(__file__).parents[3] / "docs" / "prefect.md"
Processes = Callable[[], list[psutil.Process]]


def gone(processes: Processes, seconds: float = 30.0) -> bool:
    """Whether nothing of the API is left, now or soon."""
    deadline = time.monotonic() + seconds
    while processes() and time.monotonic() < deadline:
        time.sleep(0.3)  # to read how each process was called is work
    return not processes()


def test_from_the_first_start_to_the_end(
    project: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one home: each start of a server takes four seconds."""
    two_at_once_start_one(project, processes)
    home = server.begin_api(project).home
    a_server_that_was_killed_is_started_anew(project)
    # So that the next keeper looks at the leases each second.
    monkeypatch.setenv("TOWPATH_REST", "1s")
    kill_keeper(home)
    api = server.begin_api(project)
    assert not api.warm
    with server.run_in_progress(api, "lives"):
        server.await_api(api)
        what_was_prepared_is_whole(api)
        a_killed_run_is_called_crashed_by_the_next_and_a_live_one_keeps_it_from_rest(api, project)
    assert gone(processes)
    assert server_state.read_api_state(home) is None
    assert not start_api.stop_local_api(home)


def two_at_once_start_one(project: Path, processes: Processes) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", ENSURE, project], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    one, other = (each.communicate()[0].decode().strip() for each in both)
    assert one == other
    assert one.startswith("http://127.0.0.1:")
    assert len(processes()) == 2  # a keeper and a server

    first = server.ensure_api(project)
    assert (first.warm, first.url) == (True, one)
    assert first.started_by_us
    version = worker.ask_local_api(first.proven_endpoint, "GET", "/admin/version")
    assert version == server_state.installed_prefect()
    # So that the next project's first start needs no migrations.
    assert start_api.blank_path().is_file()


def a_server_that_was_killed_is_started_anew(project: Path) -> None:
    first = server.ensure_api(project)
    os.kill(int(first.home.ready_file.read_text()), signal.SIGKILL)
    assert server.ensure_api(project).url == first.url  # the keeper held the address
    assert "the server ended with -9, and is started anew" in first.home.log.read_text()


def kill_keeper(home: api_home.ApiHome) -> None:
    """End the keeper of an API so that it cannot say so."""
    found = server_state.running_api_state(home)
    assert found
    keeper = psutil.Process(found.pid)
    keeper.kill()
    keeper.wait()


def what_was_prepared_is_whole(api: server.PrefectApi) -> None:
    """It was started on what the first server had prepared."""
    with urlopen(f"{api.url}/health") as answer:
        assert answer.read() == b"true"
    started = psutil.Process(int(api.home.ready_file.read_text())).environ()
    assert set(start_api.PREPARED.items()) <= set(started.items())
    kinds = worker.ask_local_api(api.proven_endpoint, "POST", "/block_types/filter", {})
    assert "secret" in {kind["slug"] for kind in kinds}


def a_killed_run_is_called_crashed_by_the_next_and_a_live_one_keeps_it_from_rest(
    api: server.PrefectApi, project: Path
) -> None:
    """While the run ``lives`` is in progress."""

    def ask(method: str, path: str, body: object = None) -> Any:
        return worker.ask_local_api(api.proven_endpoint, method, path, body)

    flow = ask("POST", "/flows/", {"name": "training"})["id"]
    body = {"flow_id": flow, "state": {"type": "RUNNING"}}
    made = [
        ask("POST", "/flow_runs/", {**body, "name": name})["id"] for name in ("killed", "lives")
    ]
    holder = subprocess.Popen([sys.executable, "-c", HOLD, project], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    assert api_home.find_runs(api.home) == ("killed", "lives")
    holder.kill()
    holder.communicate()
    time.sleep(2.5)
    assert api_home.find_killed_runs(api.home) == ("killed",)
    server.settle_killed_runs(api)
    states = [ask("GET", f"/flow_runs/{run}")["state_type"] for run in made]
    assert states == ["CRASHED", "RUNNING"]
    assert api_home.find_runs(api.home) == ("lives",)
    assert api_home.find_killed_runs(api.home) == ()
    assert server.ensure_api(project).warm


def test_a_database_of_another_prefect_is_brought_up_to_date(tmp_path: Path) -> None:
    home = api_home.ApiHome(tmp_path)
    installed = server_state.installed_prefect()
    assert not home.is_prepared(installed)
    home.prepared_file.write_text(installed)
    assert not home.is_prepared(installed)  # the database was taken away
    home.database_file.touch()
    assert home.is_prepared(installed)
    home.prepared_file.write_text("3.0.0")
    assert not home.is_prepared(installed)


def test_projects_do_not_meet(tmp_path: Path) -> None:
    assert (
        api_home.home_of_project(tmp_path / "a").folder
        != api_home.home_of_project(tmp_path / "b" / "a").folder
    )


def test_a_server_that_cannot_start_says_why(project: Path, processes: Processes) -> None:
    place = api_home.home_of_project(project)
    place.make()
    place.database_file.write_bytes(b"this is no database" * 100)
    with pytest.raises(EngineError, match="file is not a database") as raised:
        server.ensure_api(project)
    assert str(place.log) in str(raised.value)
    assert gone(processes)


def test_a_home_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOWPATH_HOME", str(tmp_path / "file"))
    with pytest.raises(EngineError, match=r"Not a directory.*TOWPATH_HOME"):
        server.begin_api(tmp_path)


def test_an_address_where_nobody_listens_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(EngineError) as raised:
        server.ensure_api(tmp_path)
    (fault,) = raised.value.faults
    assert url in fault.what
    assert "(environment variable PREFECT_API_URL) does not answer" in fault.what
    assert "refused" in fault.what


def test_an_address_that_never_answers_is_no_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = f"/api does not answer within {chosen_api.ANSWER_SECONDS:g} s"
    assert told in PAGE.read_text()
    monkeypatch.setattr(chosen_api, "ANSWER_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        (tmp_path / "prefect.toml").write_text(f'[api]\nurl = "{url}"\n')
        with pytest.raises(EngineError) as raised:
            server.ensure_api(tmp_path)
    (fault,) = raised.value.faults
    assert str(fault.place) == "prefect.toml:2"
    assert fault.what == f"the Prefect API {url} does not answer within 0.5 s"


def test_a_run_waits_for_a_server_that_is_busy_for_some_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/api"
        (tmp_path / "prefect.toml").write_text(f'[api]\nurl = "{url}"\n')

        def answer_late() -> None:
            line, _ = busy.accept()
            with line:
                time.sleep(3)
                line.recv(1 << 16)
                line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue")

        answering = threading.Thread(target=answer_late, daemon=True)
        answering.start()
        assert server.ensure_api(tmp_path).url == url
        answering.join()


def test_a_deleted_project_leaves_nothing(
    tmp_path: Path, project: Path, processes: Processes
) -> None:
    left = api_home.home_of_project(tmp_path / "deleted")
    left.make()
    server.begin_api(project)
    assert not left.folder.exists()
    assert api_home.home_of_project(project).folder.exists()
    # An API that answers is stopped in `test_up.py`, one that is being started here.
    assert start_api.stop_local_api(api_home.home_of_project(project))
    assert gone(processes)
    assert not start_api.stop_local_api(api_home.home_of_project(project))
