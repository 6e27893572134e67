"""Steps of the kind `dask`: on a cluster by its address, on one of this machine, and its loss."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from running import FOLDER, Project
from towpath.planning.pipeline_check import find_pipeline_faults

CLUSTER = """\
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
STEPS = """\
import time

import dask.dataframe as dd
import pandas as pd
from distributed import Client

import helpers


def totals(trips: dd.DataFrame, names: pd.DataFrame, least: float) -> dict:
    kept = trips[trips.fare >= least].map_partitions(helpers.add_tax)
    total = kept.groupby("zone").fare.sum().reset_index().sort_values("zone")
    return {"parts": kept, "total": total, "count": kept.fare.count()}


def spread(client: Client, total: pd.DataFrame) -> dict:
    futures = client.map(helpers.work, list(total.fare))
    return {"workers": len(client.scheduler_info()["workers"]), "sum": sum(client.gather(futures))}


def lose(client: Client) -> dict:
    print("begun", flush=True)
    return client.submit(time.sleep, 60).result()


def die(client: Client) -> dict:
    return client.submit(helpers.leave).result()
"""
HELPERS = """\
import os


def add_tax(rows):
    return rows.assign(fare=rows.fare * 2)


def work(fare):
    return fare + 1


def leave():
    os._exit(1)
"""
PIPELINE = """
params: {{least: 5}}
inputs: {{trips: data/trips/, names: data/names.csv}}
steps:
  totals:
    kind: dask
    run: totals
    {cluster}
    inputs: [trips, names]
    params: [least]
    outputs: [parts/, total.parquet, count.json]
  spread:
    kind: dask
    run: spread
    {cluster}
    inputs: [totals.total]
    outputs: [spread.json]
{more}"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a Dask scheduler whose worker is a process of its own, and its process."""
    script = tmp_path / "elsewhere" / "cluster.py"
    script.parent.mkdir()
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, script],
        cwd=script.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Else a worker that dies is started, and dies, three times more.
        env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"},
    ) as started:
        assert started.stdout
        yield started.stdout.readline().strip(), started
        if started.poll() is None:
            started.communicate()
        with contextlib.suppress(ProcessLookupError):  # what outlives a scheduler that was killed
            os.killpg(started.pid, signal.SIGKILL)


def declare(project: Project, cluster: str, more: str = "") -> None:
    project.declare(PIPELINE.format(cluster=cluster, more=more), STEPS)
    project.write(f"{FOLDER}/helpers.py", HELPERS)
    trips = project.root / "data/trips"
    trips.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame({"zone": ["a", "b"], "fare": [10.0, 20.0]}).to_parquet(trips / "1.parquet")
    pandas.DataFrame({"zone": ["a", "c"], "fare": [4.0, 99.0]}).to_parquet(trips / "2.parquet")
    project.write("data/names.csv", "zone,name\na,A\n")


def test_a_function_works_on_a_cluster(
    project: Project, cluster: tuple[str, subprocess.Popen[str]]
) -> None:
    address, started = cluster
    more = f"""\
  die: {{kind: dask, run: die, address: "{address}", after: spread, outputs: [never.json]}}
"""
    declare(project, f'address: "{address}"')
    run = project.run()
    assert {n: str(s.state) for n, s in run.steps.items()} == {
        "totals": "done",
        "spread": "done",
    }, [s.error for s in run.steps.values()]
    made = run.steps["totals"].made
    total = pandas.read_parquet(project.store.path(made.outputs["total"].digest))
    assert total.to_dict("list") == {"zone": ["a", "b", "c"], "fare": [20.0, 40.0, 198.0]}
    assert made.values["count"] == 3 and made.outputs["parts"].files == 2
    assert run.steps["spread"].made.values == {"spread": {"workers": 1, "sum": 261.0}}
    # The same on another cluster, with code that the worker has imported already: nothing runs for
    # the address, and no worker goes on with the code of before. Then that worker dies.
    assert project.plan()["totals"].startswith("reuse")
    declare(project, f'address: "{address}"', more)
    project.edit(f"{FOLDER}/helpers.py", "fare + 1", "fare + 2")
    again = project.run()
    assert {n: str(s.state) for n, s in again.steps.items()} == {
        "totals": "reused", "spread": "done", "die": "failed",
    }, [s.error for s in again.steps.values()]  # fmt: skip
    assert again.steps["spread"].made.values["spread"]["sum"] == 264.0
    assert again.steps["die"].error[0].startswith(f"{FOLDER}/steps.py:27: KilledWorker: Attempted")
    # Its scheduler is lost half way.
    declare(project, f'address: "{address}"', more.replace("run: die", "run: lose"))
    threading.Thread(target=kill_when_begun, args=(project, started), daemon=True).start()
    lost = project.run().steps["die"].error
    assert lost[0].startswith(f"{FOLDER}/steps.py:21: the Dask scheduler {address} was lost: "), (
        lost
    )
    silent = project.run().steps["die"].error
    assert f"the Dask scheduler {address} does not answer" in silent[0], silent


def kill_when_begun(project: Project, started: subprocess.Popen[str]) -> None:
    while not any(
        "begun" in log.read_text() for log in project.workspace.runs.glob("*/die/log.txt")
    ):
        time.sleep(0.05)
    time.sleep(0.5)
    started.kill()


def test_a_function_works_on_a_cluster_of_this_machine(project: Project) -> None:
    declare(project, "workers: 1")
    run = project.run(only=("totals",))
    assert run.steps["totals"].state == "done", run.steps["totals"].error
    assert run.steps["totals"].made.values["count"] == 3
    kept = {path.name for path in (project.workspace.runs / run.id / "totals").iterdir()}
    assert kept == {"log.txt"}


def test_check_knows_what_a_cluster_gives(loose: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    more = """\
  plain: {run: totals, inputs: [trips, names], params: [least], outputs: [t.json]}
  lazy: {run: lazy, inputs: {table: names}, outputs: [u.json]}
"""
    declare(loose, "address: here:8786", more)
    lazy = "def lazy(table: pl.LazyFrame) -> dict:\n    return {}\n"
    loose.write(f"{FOLDER}/steps.py", f"import polars as pl\n{STEPS}\n\n{lazy}")
    monkeypatch.setattr(
        "towpath.dependencies.extras.find_spec",
        lambda name: None if name in ("polars", "distributed") else json,
    )
    said = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert f"{FOLDER}/pipeline.yaml:8: `here:8786` is no address of a scheduler" in said[0], said
    loose.edit(f"{FOLDER}/pipeline.yaml", "address: here:8786\n    inputs: [tr", "inputs: [tr")
    loose.edit(f"{FOLDER}/pipeline.yaml", "address: here:8786", "workers: 1")
    said = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert said == [
        f"{FOLDER}/pipeline.yaml:5: Dask needs packages that are not installed"
        " (`pip install 'towpath[dask]'`)",
        f"{FOLDER}/pipeline.yaml:11: Dask needs packages that are not installed"
        " (`pip install 'towpath[dask]'`)",
        f"{FOLDER}/steps.py:11: `trips` asks for a dask.dataframe.DataFrame, and `plain` has no"
        " cluster (write `kind: dask`)",
        f"{FOLDER}/pipeline.yaml:18: polars is not installed (`pip install 'towpath[polars]'`)",
    ], said
