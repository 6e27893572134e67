"""A run's record that no run wrote: the other runs are shown, and the broken one is named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typed_calls import typed

from towpath.backends.dvc import Store, initialise_store
from towpath.errors import StoreError
from towpath.execution import run_folders, run_record
from towpath.planning import step_decisions
from towpath.versions import work_tree_files
from towpath.workspace import Workspace

TIME = "2026-11-22T14:42:00Z"
GOOD, BROKEN = "20261122-144200-0001", "20261122-144300-0002"


def _events(name: str) -> list[dict[str, Any]]:
    return [
        {"event": "started", "time": TIME, "run": name, "pipeline": "training",
         "params": {"a": 1}, "steps": {"train": "training"}, "inputs": {}, "origin": {},
         "asked": {"params": {"a": 1}}},
        {"event": "step", "time": TIME, "step": "train", "state": "done", "seconds": 0.5,
         "made": {"outputs": {}, "values": {"metrics": {"mse": 4.5}}, "facts": {}}},
        {"event": "finished", "time": TIME, "state": "done", "seconds": 1.0, "exit_code": 0},
    ]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one run as it should be."""
    root = tmp_path / "home" / "project"
    root.mkdir(parents=True)
    (root / "towpath.yaml").write_text("name: shells\n")
    _write(root, GOOD, "\n".join(map(json.dumps, _events(GOOD))))
    return root


def _write(root: Path, name: str, text: str | bytes) -> Path:
    folder = root / ".towpath" / "runs" / name
    folder.mkdir(parents=True)
    content = text if isinstance(text, bytes) else text.encode()
    (folder / run_record.EVENTS).write_bytes(content)
    return folder


def _with(index: int, **fields: Any) -> str:
    events = _events(BROKEN)
    events[index] |= fields
    return "\n".join(map(json.dumps, events))


LOGS = {
    "a list": "[]",
    "a number": "3",
    "a list behind the start": json.dumps(_events(BROKEN)[0]) + "\n[]\n",
    "no start": json.dumps(_events(BROKEN)[1]),
    "an event without a name": "{}",
    "steps: 3": _with(0, steps=3),
    "params: 3": _with(0, params=3),
    "asked: 3": _with(0, asked=3),
    "asked.params: 3": _with(0, asked={"params": 3}),
    "origin: 3": _with(0, origin=3),
    "a run elsewhere": _with(0, run="../../../outside"),
    "another run": _with(0, run=GOOD),
    "a step elsewhere": _with(0, steps={"../../x": "training"}),
    "a step elsewhere, later": _with(1, step="../../x"),
    "state: x": _with(1, state="x"),
    "seconds: x": _with(1, seconds="x"),
    "seconds without end": _with(1, seconds=1e999),
    "made: 3": _with(1, made=3),
    "made.outputs: [3]": _with(1, made={"outputs": [3]}),
    "a digest that is a path": _with(
        1, made={"outputs": {"m": {"digest": "../../x", "size": 1, "name": "m"}}}
    ),
    "ingredients: 3": _with(1, ingredients=3),
    "time: 3": _with(2, time=3),
    "exit_code: x": _with(2, exit_code="x"),
    "bytes": b"\xff\xfe",
    "half a character": _with(0, pipeline="\ud800"),
}


@pytest.mark.parametrize("what", LOGS)
def test_a_broken_run_is_named_and_hides_no_other(project: Path, what: str) -> None:
    _write(project, BROKEN, LOGS[what])
    (project.parent / "outside").mkdir()

    listed = typed(project, "runs")
    assert listed.exit_code == 0
    assert GOOD in listed.output
    assert typed(project, "runs", "--json").exit_code == 0
    assert typed(project, "logs", GOOD).exit_code == 0
    for line in (f"logs {BROKEN}", "logs last", f"diff {GOOD} {BROKEN}", f"diff {GOOD}"):
        said = typed(project, *line.split())
        assert said.exit_code == 1, (line, said.output)
        assert f"{BROKEN}/events.jsonl" in said.output
        assert "hint" in said.output


def test_the_broken_run_is_in_a_warning(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(project, BROKEN, "[]")
    found = list(run_folders.recent_runs(Workspace(project).runs))
    assert [run.id for run in found] == [GOOD]
    (warning,) = caplog.messages
    assert f"{BROKEN}/events.jsonl:1: the record of run {BROKEN} cannot be read" in warning
    assert f"remove {Workspace(project).runs / BROKEN}" in warning


def test_a_torn_last_line_is_left_out_as_before(project: Path) -> None:
    folder = _write(project, BROKEN, "\n".join(map(json.dumps, _events(BROKEN)[:2])) + '\n{"ev')
    found = run_record.read_run(folder)
    assert found is not None and found.steps["train"].state is run_record.ExecutionState.DONE


@pytest.mark.parametrize("pid", [-1, 0, 2**40, 10**30])
def test_a_process_that_cannot_be(project: Path, pid: int) -> None:
    origin = {"pid": pid, "host": os.uname().nodename}
    events = _events(BROKEN)[:2]
    events[0]["origin"] = origin
    folder = _write(project, BROKEN, "\n".join(map(json.dumps, events)))
    found = run_record.read_run(folder)
    assert found is not None and found.state is run_record.ExecutionState.INTERRUPTED


@pytest.mark.parametrize("text", ["[]", "3", '{"a": 3}', '{"a": []}', "[" * 100_000, "\x00"])
def test_a_memory_that_is_none_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert step_decisions.PipelineMemory(tmp_path / "x.json").find_last("a") is None


@pytest.mark.parametrize("path", ["../outside/file", "{outside}/file", ".git/config"])
def test_a_ledger_takes_nothing_away_outside_of_the_project(project: Path, path: str) -> None:
    """It is a file like others: who can push could bring one, and a later run would obey it."""
    outside = project.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("theirs\n")
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text("theirs\n")
    initialise_store(project)
    digest = Store(project).put_bytes(b"theirs\n", "x").digest
    ledger = project / ".towpath" / "state" / "outputs" / "training.json"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    ledger.write_text(json.dumps({path.format(outside=outside): digest, "x": digest}))
    (project / "x").write_text("theirs\n")
    work_tree_files.bring_up_to_date(Workspace(project), "training", {})
    assert (outside / "file").read_text() == "theirs\n"
    assert (project / ".git" / "config").read_text() == "theirs\n"


def test_outputs_are_not_written_through_a_link_that_leads_out(project: Path) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    (project / "artifacts").symlink_to(outside)
    initialise_store(project)
    digest = Store(project).put_bytes(b"made\n", "x").digest
    with pytest.raises(StoreError, match="leads out of the project, through a link"):
        work_tree_files.bring_up_to_date(Workspace(project), "training", {"artifacts/x": digest})
    assert list(outside.iterdir()) == []
