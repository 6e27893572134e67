"""`towpath runs --metrics`: the table of trials."""

from __future__ import annotations

import time

import pytest

from running import Project, make
from towpath.config.artifact import Json, Made
from towpath.errors import UsageError
from towpath.execution import run_folders as recorded
from towpath.execution.run_record import ExecutionState, RecordedRun, Recorder, StepRun
from towpath.execution.runs_table import TableRequest, tabulate_runs


def run_of(name: str, metrics: Json, kind: str = "evaluation", **params: Json) -> RecordedRun:
    """A run that measured something."""
    steps = {
        "score": StepRun("score", kind, ExecutionState.DONE, made=Made(values={"metrics": metrics}))
    }
    return RecordedRun(
        name, "training", ExecutionState.DONE, "2026-11-26T05:00:00Z", params=params, steps=steps
    )


RUNS = [
    run_of("c", {"f1": 0.9, "mse": 2.0}, depth=3, rate=0.1),
    run_of("b", {"f1": float("nan"), "mse": 1.0}, depth=5, rate=0.1),
    run_of("a", {"mse": 3.0, "note": "x", "ok": True}, depth=7, rate=0.1),
]


def order(sort: str, runs: list[RecordedRun] = RUNS) -> str:
    return "".join(row.run for row in tabulate_runs(runs, TableRequest(sort=sort)).rows)


def test_what_differs_and_what_was_measured() -> None:
    found = tabulate_runs(RUNS, TableRequest())
    assert (found.params, found.metrics) == (("depth",), ("f1", "mse"))
    assert [row.run for row in found.rows] == ["c", "b", "a"]
    assert found.rows[2].metrics == {"mse": 3.0}


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("mse", "bca"), ("-mse", "acb"),
        ("f1", "cba"), ("-f1", "cba"),  # NaN and none come last either way
        ("depth", "cba"), ("-depth", "abc"), ("metrics.mse", "bca"), ("score.metrics.mse", "bca"),
    ],
)  # fmt: skip
def test_the_order(sort: str, expected: str) -> None:
    assert order(sort) == expected


def test_names_are_as_long_as_they_must_be() -> None:
    runs = [run_of("a", {"train": {"mse": 1.0}, "holdout": {"mse": 2.0}, "rows": 3})]
    assert tabulate_runs(runs, TableRequest()).metrics == ("train.mse", "holdout.mse", "rows")
    with pytest.raises(UsageError, match=r"names 2 metrics.*train\.mse or holdout"):
        order("mse", runs)
    assert order("holdout.mse", runs) == "a"


def test_columns_and_rows_that_are_asked_for() -> None:
    found = tabulate_runs(RUNS, TableRequest(params=("rate", "depth=5.0")))
    assert (found.params, [row.run for row in found.rows]) == (("rate", "depth"), ["b"])
    assert len(tabulate_runs(RUNS, TableRequest(sort="mse", count=1)).rows) == 1
    with pytest.raises(UsageError, match=r"no run has a parameter `dept`.*did you mean `depth`"):
        tabulate_runs(RUNS, TableRequest(params=("dept",)))
    with pytest.raises(UsageError, match=r"metric or a parameter `mes`.*did you mean `mse`"):
        order("mes")
    assert tabulate_runs([], TableRequest(sort="f1")).rows == ()


def write(project: Project, run: RecordedRun) -> None:
    folder = project.workspace.runs / run.id
    folder.mkdir(parents=True)
    recorder = Recorder(folder)
    recorder(
        "started", run=run.id, pipeline="training", params=dict(run.params), inputs={}, origin={},
        steps={"score": "evaluation"}, tried=["depth"],
    )  # fmt: skip
    made = {"outputs": {}, "values": dict(run.steps["score"].made.values), "facts": {}}
    recorder("step", step="score", state="done", made=made, seconds=0.1)
    recorder("finished", state="done", seconds=1.0, exit_code=0)
    recorder.close()


@pytest.fixture
def tried(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make(tmp_path_factory.mktemp("tried") / "project")
    for run in reversed(RUNS):
        write(made, run)
    return made


def test_the_table_as_text_as_a_page_and_as_a_document(tried: Project) -> None:
    said = tried.towpath("runs", "--metrics", "--sort=-f1")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["run", "depth", "f1", "mse", "state", "version"]
    assert lines[2] == ["c", "3", "0.9", "2", "✓", "done"]
    assert lines[3][:4] == ["b", "5", "nan", "1"]
    assert lines[4][:4] == ["a", "7", "—", "3"]
    page = tried.towpath("runs", "--metrics", "--format", "md", "-n", "1").out
    assert page.splitlines()[-1].startswith("| c | 3 | 0.9 | 2 | done |")
    rows = tried.towpath("runs", "--metrics", "--json").json["trials"]["rows"]
    assert [row["metrics"].get("f1") for row in rows] == [0.9, None, None]
    assert all(row["trial"] for row in rows)
    wrong = tried.towpath("runs", "--metrics", "--sort", "mes")
    assert (wrong.code, "did you mean `mse`?" in wrong.err) == (2, True)
    assert tried.towpath("runs", "--sort", "f1").code == 2


def test_five_hundred_runs_quickly(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = make(tmp_path_factory.mktemp("many") / "project")
    for number in range(500):
        write(made, run_of(f"r{number:03}", {"mse": number / 7}, depth=number))
    begun = time.process_time()
    found = tabulate_runs(
        recorded.recent_runs(made.workspace.runs), TableRequest(sort="-mse", count=3)
    )
    assert [row.run for row in found.rows] == ["r499", "r498", "r497"]
    assert time.process_time() - begun < 2.0
