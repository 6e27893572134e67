"""What a step logs while it trains: live, in Prefect, in the record; from all its processes."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import pytest
from test_prefect_pages import ask, task_runs

import towpath
from running import Project
from towpath.backends.prefect.executor import PrefectExecutor
from towpath.backends.prefect.server import PrefectApi
from towpath.cli.render.run_views import LiveProgress, PlainProgress
from towpath.errors import UsageError
from towpath.execution.pipeline_run import run_pipeline
from towpath.execution.run_folders import diff_runs, run_metrics
from towpath.planning.run_request import RunRequest
from towpath.steps.metric_log import METRIC_FILE, read_metrics

TRAINS = """\
params: {rate: 0.5}
inputs: {raw: data/raw.json}
steps:
  train: {kind: training, run: train, inputs: [raw], params: [rate], outputs: [model.json]}
"""
STEPS = """\
import multiprocessing
import subprocess
import sys
import time

import towpath


def in_a_fork(number):
    for value in range(3000):
        towpath.log_metric("fork", value + 0.5, step=value)


def train(raw: list, rate: float) -> dict:
    towpath.log_metric("loss", 1.0)
    time.sleep(1.5)
    for step in range(20_000):
        towpath.log_metric("loss", rate / (step + 1))
    towpath.log_metric("worst", float("nan"), step=7)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(in_a_fork, [1])
        pool.close()
        pool.join()
    subprocess.run([sys.executable, "-c", "import towpath; towpath.log_metric('elsewhere', 4)"])
    time.sleep(1.2)
    return {"rows": len(raw)}
"""


def test_what_a_step_logs(
    project: Project, warm_api: PrefectApi, capsys: pytest.CaptureFixture[str]
) -> None:
    project.declare(TRAINS, STEPS)
    events: list[Any] = []
    request = RunRequest("training")
    with PlainProgress() as plain:
        run = run_pipeline(project.workspace, request, PrefectExecutor(), [events.append, plain])
    assert run.exit_code == 0
    # Live: looked at twice a second, however many values there are.
    live = [event for event in events if event["event"] == "metric"]
    assert {"loss", "fork", "elsewhere"} <= {name for event in live for name in event["values"]}
    assert live[0]["values"] == {"loss": 1.0}
    assert len(live) < 20
    assert "logged" in (line := capsys.readouterr().err) and "step 0: loss 1" in line
    # In the record: bounded, and the last value of each process is there.
    folder = project.workspace.runs / run.id / "train"
    values = read_metrics(folder)
    assert (values["loss"][-1].step, values["loss"][-1].value) == (20_000, 0.5 / 20_000)
    assert values["fork"][-1].value == 2999.5
    assert len((folder / METRIC_FILE).read_bytes().splitlines()) < 9_000
    events_text = (project.workspace.runs / run.id / "events.jsonl").read_text()
    assert '"event": "metric"' not in events_text
    metrics = run_metrics(run)
    assert metrics["train.elsewhere"] == 4
    assert isinstance(metrics["train.worst"], float) and math.isnan(metrics["train.worst"])
    # In Prefect: one table of the step's task, with few calls.
    task = task_runs(warm_api, run)["train"]
    filters = {"artifacts": {"task_run_id": {"any_": [task["id"]]}, "type": {"any_": ["table"]}}}
    tables = {table["key"]: table["data"] for table in ask(warm_api, "artifacts", filters)}
    rows = {row["metric"]: row for row in json.loads(tables["training-train-logged"])}
    assert rows["loss"]["last"] == "2.5e-05" and rows["worst"]["last"] == "nan"
    # Another run, reused or with another parameter, is laid beside it by what was logged.
    again = project.run()
    assert run_metrics(again).keys() == metrics.keys()
    project.code("range(20_000)", "range(10)")
    project.code("time.sleep(1.5)", "")
    project.code("time.sleep(1.2)", "")
    trial = project.run(params={"rate": 1.0})
    assert "train.loss" in {d.name for d in diff_runs(run, trial) if d.section == "metrics"}


def test_what_can_not_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", " ", "a\nb", "\x1b[2J", "x" * 201, None, 3):
        with pytest.raises(UsageError, match="metric"):
            towpath.log_metric(name, 1)  # type: ignore[arg-type]
    for value in ("0.5", None, [1, 2], 1j, 10**400):
        with pytest.raises(UsageError, match="is no number"):
            towpath.log_metric("loss", value)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no place"):
        towpath.log_metric("loss", 1, step=math.nan)
    with caplog.at_level(logging.DEBUG, "towpath.metrics"):
        for value in range(3):
            towpath.log_metric("loss", value)
    assert len(caplog.records) == 1 and caplog.records[0].levelno == logging.DEBUG


def test_the_table_shows_what_came_last() -> None:
    progress = LiveProgress()
    time = "2026-11-26T10:00:00.000Z"
    progress(
        {"event": "started", "time": time, "run": "r", "pipeline": "p", "params": {}, "inputs": {},
         "origin": {}, "steps": {"train": "training"}}
    )  # fmt: skip
    progress({"event": "step", "time": time, "step": "train", "state": "running"})
    progress(
        {"event": "metric", "time": time, "step": "train", "values": {"loss": 0.25}, "place": 3}
    )
    from towpath.cli.render.terminal import make_console

    console = make_console()
    with console.capture() as shown:
        console.print(progress)
    assert "step 3: loss 0.25" in shown.get()
