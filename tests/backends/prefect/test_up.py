"""`towpath up` and stock `prefect` commands beside it."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from stock_prefect import call_prefect, run_deployment

from towpath.backends.prefect import server
from towpath.backends.prefect.server import api_home, remote_api, server_state, worker
from towpath.backends.prefect.server.project_api import (
    StartedServices,
    read_service_status,
    start_services,
    stop_services,
)
from towpath.errors import EngineError

FLOW = """\
import time
from pathlib import Path
from prefect import flow

@flow
def training(learning_rate: float = 0.1, seconds: float = 0.0) -> float:
    Path("seen.txt").write_text(f"{learning_rate} in {Path.cwd()}")
    time.sleep(seconds)
    return learning_rate
"""
DEPLOYMENTS = """\
name: example
pull:
- prefect.deployments.steps.set_working_directory:
    directory: "{{ $PWD }}"
deployments:
- name: dev
  entrypoint: flow.py:training
"""


def last_state(endpoint: server_state.LocalApiState) -> str:
    runs = worker.ask_local_api(
        endpoint, "POST", "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC"}
    )
    return str(runs[0]["state"]["type"])


def wait_for(endpoint: server_state.LocalApiState, wanted: str) -> None:
    for _ in range(75):
        if last_state(endpoint) == wanted:
            return
        time.sleep(0.8)  # each answer is work for the server
    raise AssertionError(f"{last_state(endpoint)}, not {wanted}")


def polling(endpoint: server_state.LocalApiState) -> set[str]:
    """The workers that have asked for runs of the pool that `towpath up` makes."""
    pool = worker.ask_local_api(endpoint, "GET", "/work_pools/towpath")
    assert pool["type"] == "process"
    workers = worker.ask_local_api(endpoint, "POST", "/work_pools/towpath/workers/filter", {})
    return {each["name"] for each in workers}


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it never came true")


def test_the_story(
    project: Path,
    tmp_path: Path,
    processes: Callable[[], list[psutil.Process]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On one API and its worker: to start both takes ten seconds."""
    (project / "flow.py").write_text(FLOW)
    (project / "prefect.yaml").write_text(DEPLOYMENTS)
    assert read_service_status(project).url is None

    standing = start_services(project)
    assert standing.settings == project / "prefect.toml"
    assert standing.api.url in standing.settings.read_text()
    assert stat.S_IMODE(standing.settings.stat().st_mode) == 0o600
    assert start_services(project).worker == standing.worker

    what_is_deployed_runs(project, standing)
    a_run_can_be_cancelled(project, standing)
    with monkeypatch.context() as patch:
        with_an_api_of_ones_own_only_a_worker_starts(tmp_path / "another ä", standing.api, patch)
    a_worker_that_died_is_seen_and_replaced(project, standing)
    a_run_in_progress_ends_by_force_alone(project, processes)
    a_prefect_toml_of_ones_own_stays(project)


def what_is_deployed_runs(project: Path, standing: StartedServices) -> None:
    call_prefect(project, "deploy", "--all")
    # Stock `prefect deployment run` stands in tests/faults/test_local_api.py.
    run_deployment(standing.api.proven_endpoint, "training/dev", parameters={"learning_rate": 0.05})
    wait_for(standing.api.proven_endpoint, "COMPLETED")
    seen = project / "seen.txt"
    assert seen.read_text() == f"0.05 in {project}"
    seen.unlink()


def a_run_can_be_cancelled(project: Path, standing: StartedServices) -> None:
    endpoint = standing.api.proven_endpoint
    run_deployment(endpoint, "training/dev", parameters={"seconds": 600})
    wait_for(endpoint, "RUNNING")
    wait_until((project / "seen.txt").exists)
    wanted = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    (run,) = worker.ask_local_api(endpoint, "POST", "/flow_runs/filter", wanted)
    call_prefect(project, "flow-run", "cancel", run["id"])
    wait_for(endpoint, "CANCELLED")


def with_an_api_of_ones_own_only_a_worker_starts(
    project: Path, theirs: server.PrefectApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another project, to which this API is somebody else's."""
    project.mkdir()
    before = polling(theirs.proven_endpoint)
    monkeypatch.setenv("PREFECT_API_URL", theirs.url)
    monkeypatch.setenv(remote_api.AUTH, theirs.proven_endpoint.secret)
    standing = start_services(project)
    assert (standing.api.url, standing.settings) == (theirs.url, None)
    assert not (project / "prefect.toml").exists()
    seen = read_service_status(project)
    assert (seen.url, seen.trouble, seen.local) == (theirs.url, None, None)
    assert seen.worker == standing.worker
    assert polling(theirs.proven_endpoint) - before == {project.name}
    ended = stop_services(project)
    assert (ended.api, ended.worker) == (False, True)
    assert server.ensure_api(project).url == theirs.url


def a_worker_that_died_is_seen_and_replaced(project: Path, first: StartedServices) -> None:
    dying = psutil.Process(first.worker.pid)
    dying.kill()
    dying.wait()
    assert read_service_status(project).worker is None
    second = start_services(project)
    assert second.worker.pid != first.worker.pid
    assert read_service_status(project).worker == second.worker
    assert second.api.url == first.api.url


def a_run_in_progress_ends_by_force_alone(
    project: Path, processes: Callable[[], list[psutil.Process]]
) -> None:
    standing = start_services(project)
    run_deployment(standing.api.proven_endpoint, "training/dev", parameters={"seconds": 600})
    wait_for(standing.api.proven_endpoint, "RUNNING")
    seen = read_service_status(project)
    assert (seen.url, seen.trouble) == (standing.api.url, None)
    assert seen.local
    assert seen.local.pid in {each.pid for each in processes()}
    assert seen.worker == standing.worker
    assert len(seen.runs) == 1
    with pytest.raises(EngineError, match=f"1 run in progress: {seen.runs[0]}"):
        stop_services(project)

    ended = stop_services(project, force=True)
    assert (ended.api, ended.worker) == (True, True)
    assert not processes()
    assert not standing.worker.is_alive
    assert not (project / "prefect.toml").exists()
    assert read_service_status(project).url is None


def a_prefect_toml_of_ones_own_stays(project: Path) -> None:
    """When all is started again; by then the run that was ended is called crashed."""
    mine = '[server]\nlogging_level = "INFO"\n'
    (project / "prefect.toml").write_text(mine)
    standing = start_services(project)
    assert standing.worker.is_alive
    assert standing.settings is None
    assert standing.advice
    assert f'put url = "{standing.api.url}" under [api]' in standing.advice
    assert last_state(standing.api.proven_endpoint) == "CRASHED"
    assert read_service_status(project).runs == ()
    stop_services(project)
    assert (project / "prefect.toml").read_text() == mine
    again = stop_services(project)
    assert (again.api, again.worker) == (False, False)


def test_what_a_reboot_leaves_is_cleared(project: Path) -> None:
    place = api_home.home_of_project(project)
    place.make()
    (project / "prefect.toml").write_text(f"{remote_api.OURS}\n")
    worker.write_mark(place, worker.PoolWorker(1, 0.0, "", "towpath", str(project)))
    server.begin_api(project)
    assert not place.up_file.exists()
    assert not (project / "prefect.toml").exists()
