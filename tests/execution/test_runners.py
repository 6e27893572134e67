"""The same pipeline on processes and on a Dask cluster, as ``towpath.yaml`` says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import FOLDER, Project, end

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


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a Dask scheduler whose worker is a process of its own."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout
        yield started.stdout.readline().strip()
        started.communicate()


def runs_on(project: Project, runner: str) -> None:
    """One run in which steps end well, fail, are skipped, and register."""
    project.write("towpath.yaml", f"name: small\nrunner: {runner}\n")
    broken = "  broken: {run: broken, inputs: [raw], outputs: [never.json]}\n"
    # A secret of the run's environment, which a cluster's worker does not have.
    project.edit(f"{FOLDER}/pipeline.yaml", "run: score", "run: score\n    secrets: {KEY: TOKEN}")
    project.edit(f"{FOLDER}/pipeline.yaml", "steps:\n", f"steps:\n{broken}")
    project.code(
        "\n\ndef fit(", "\n\ndef broken(raw: list) -> dict:\n    return 1 / 0\n\n\ndef fit("
    )
    project.code(
        '    return {"error"', "    print(__import__('os').environ['KEY'])\n    return {\"error\""
    )
    project.commit()
    # In a Python of its own: what a pool's processes import depends on how they were started.
    ended = end(project.start("run", TOKEN="hush-very-9"))
    assert ended.code == 1, ended.err
    assert "4 run, 1 skipped, 1 failed" in ended.err
    assert "ZeroDivisionError" in ended.err
    assert project.tags() == ["mean@v1.0.0"]
    log = next(project.workspace.runs.glob("*/score/log.txt")).read_text()
    assert log.splitlines() == ["***"]
    project.assert_whole()


def test_steps_run_in_a_pool_of_processes(project: Project) -> None:
    runs_on(project, "{kind: processes, workers: 2}")


def test_steps_run_on_a_dask_cluster(project: Project, cluster: str) -> None:
    runs_on(project, f'{{kind: dask, address: "{cluster}"}}')


def test_a_cluster_that_does_not_answer_is_named(project: Project) -> None:
    runner = '{kind: dask, address: "tcp://127.0.0.1:9"}'
    project.write("towpath.yaml", f"name: small\nrunner: {runner}\n")
    said = project.towpath("run")
    assert said.code == 1
    assert "the Dask scheduler tcp://127.0.0.1:9 does not answer" in said.err
    assert "towpath.yaml" in said.err
