"""What waits for a person: in which order, in which words, and what can be done about it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from promotion_project import Project
from towpath.audit.open_tasks import (
    LATEST_RUNS,
    OpenTask,
    list_open_tasks,
    read_project_standing,
)
from towpath.audit.stage_board import StageStanding
from towpath.delivery.promotion.decide_promotion import WaitingPromotion
from towpath.execution.run_record import ExecutionState, RecordedRun
from towpath.execution.run_summary import RunSummary, summarise_run
from towpath.steps.callback_questions import Question
from towpath.workspace import Workspace

PROD = StageStanding("prod", "mean", "v1.1.0", over="v1.0.0", running="v1.1.0")


def run_of(name: str, state: ExecutionState, *error: str, pipeline: str = "daily") -> RunSummary:
    return summarise_run(RecordedRun(name, pipeline, state, "2026-11-26T05:00:00Z", error=error))


def tell(task: OpenTask) -> tuple[str, str, str]:
    return task.kind, task.words, task.command


def test_what_waits_in_its_order() -> None:
    promotions = [WaitingPromotion("promote/mean-v1.1.0-uat", "Promote mean@v1.1.0 to uat", "Ada")]
    questions = [Question("abc", "r1", "daily", "ask", "May it?\nReally?", "", "", {})]
    standings = [PROD, replace(PROD, stage="uat", is_deployed=False, running="v1.0.0")]
    runs = [run_of("r2", ExecutionState.FAILED, "fit: no rows\nand more", "score: none")]
    tasks = list(list_open_tasks(promotions, questions, standings, runs))
    assert [tell(task) for task in tasks] == [
        ("promotion", "Promote mean@v1.1.0 to uat", "towpath approve promote/mean-v1.1.0-uat"),
        ("question", "ask waits for an answer: May it?", "towpath answer abc"),
        ("deployment", "mean@v1.1.0 was let into uat; it runs v1.0.0 still",
         "towpath reconcile uat --apply"),
        ("run", "the last run of daily failed: fit: no rows", "towpath logs r2"),
    ]  # fmt: skip
    assert (tasks[1].run, tasks[1].step, tasks[3].state) == ("r1", "ask", "failed")


def test_what_was_rejected_is_told_with_its_reason_or_without() -> None:
    standings = [replace(PROD, rejected="leaks"), replace(PROD, stage="dev", rejected="")]
    assert [tell(task) for task in list_open_tasks((), (), standings, ())] == [
        ("rejected", "prod runs mean@v1.1.0, which was rejected: leaks",
         "towpath rollback mean --stage prod"),
        ("rejected", "dev runs mean@v1.1.0, which was rejected",
         "towpath rollback mean --stage dev"),
    ]  # fmt: skip


def test_only_the_last_run_of_a_pipeline_counts_and_none_of_long_ago() -> None:
    well, failed = ExecutionState.DONE, ExecutionState.FAILED
    runs = [run_of("r4", well), run_of("r3", failed), run_of("r2", failed, pipeline="weekly")]
    (task,) = list_open_tasks((), (), (), runs)
    assert task.words == "the last run of weekly failed"
    many = [run_of(f"r{number}", well) for number in range(LATEST_RUNS)]
    assert list(list_open_tasks((), (), (), [*many, *runs])) == []


def test_offline_asks_neither_a_remote_nor_a_shared_registry(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes a connection, says nothing
        silent.settimeout(0.1)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/r.git"
        project = Project(tmp_path)
        project.git("init", "-q", "-b", "main")
        forge = "forge: {kind: github, repository: acme/small}\n"
        declared = f"name: small\nstages: {{dev: {{}}}}\n{forge}"
        project.be("ada").commit({"towpath.yaml": declared}, "first")
        project.git("remote", "add", "origin", address)
        standing = read_project_standing(Workspace(tmp_path), offline=True)
        assert (standing.unread, standing.forge_unasked) == ((), True)
        (tmp_path / "towpath.yaml").write_text(f"name: small\nregistry: {address}\n")
        assert read_project_standing(Workspace(tmp_path), offline=True).stages == ()
        with pytest.raises(TimeoutError):
            silent.accept()
