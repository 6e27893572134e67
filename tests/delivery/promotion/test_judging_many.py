"""Many promotions that are judged together are judged as each alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from promotion_project import Project
from towpath.backends.git import Repository, commit_history, git_command
from towpath.delivery.promotion import main_line_approvals
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.registry import Promotion

POLICY = "name: small\nstages: {dev: {}, prod: {}}\npolicy: {self_approval: false}\n"
PLACE = "registry/stages/dev/m.yaml"


def stage_file(minor: int, over: int | None = None) -> str:
    replaced = f"replaces: v1.{over}.0\n" if over is not None else ""
    return f"model: m\nversion: v1.{minor}.0\nsha256: '{minor:064x}'\n{replaced}"


def merge(project: Project, branch: str, minor: int, *flags: str) -> str:
    message = f"Let in\n\nPromotion: m@v1.{minor}.0 -> dev\nApproval: recorded\n"
    project.be("bo").git("merge", "-q", "--no-ff", *flags, "-m", message, branch)
    return project.git("rev-parse", "HEAD")


@pytest.fixture
def ways(tmp_path: Path) -> Project:
    """A main that took promotions in every way in which one can come."""
    project = Project(tmp_path)
    project.git("init", "-q", "-b", "main")
    project.be("ada").commit({"towpath.yaml": POLICY, PLACE: stage_file(0)}, "first")
    old = project.be("ada").on_branch("plain", {PLACE: stage_file(1, 0)})
    merge(project, "plain", 1)
    project.be("bo").on_branch("two", {PLACE: stage_file(2, 1)})
    page = "registry/evidence/m/v1.2.0-dev.md"
    project.be("ada").on_branch("two", {page: "# It passed\n"})
    merge(project, "two", 2)
    project.be("ada").on_branch("late", {PLACE: stage_file(3, 2)})
    project.be("ada").commit({"notes.md": "meanwhile\n"})
    project.git("checkout", "-q", "late")
    project.git("merge", "-q", "--no-ff", "-m", "Bring up to date", "main")
    project.git("checkout", "-q", "main")
    merge(project, "late", 3)
    project.be("ada").on_branch("squashed", {PLACE: stage_file(4, 3)})
    project.be("bo").git("merge", "-q", "--squash", "squashed")
    project.git("commit", "-qm", "Squashed (#7)")
    project.git("revert", "--no-edit", "HEAD")
    # An old proposal once more, which main has already: nobody wrote anything for it.
    project.write(PLACE, stage_file(1, 0))
    project.git("add", PLACE)
    tree, main = project.git("write-tree"), project.git("rev-parse", "HEAD")
    again = "Again\n\nPromotion: m@v1.1.0 -> dev\n"
    twice = project.git("commit-tree", tree, "-p", main, "-p", old, "-m", again)
    project.git("reset", "-q", "--hard", twice)
    lower = POLICY.replace("false", "true")
    project.be("ada").commit({"towpath.yaml": lower}, "Let all approve their own")
    project.be("bo").on_branch("own", {PLACE: stage_file(5, 1)})
    merge(project, "own", 5)
    return project


def judge_alone(project: Project, promotion: Promotion) -> object:
    return ApprovalRule(project.repository, project.git("rev-parse", "main")).judge(promotion)


def test_many_are_judged_as_each_alone(ways: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = ApprovalRule(ways.repository, ways.git("rev-parse", "main"))
    alone = [judge_alone(ways, promotion) for promotion in rule.log]
    levels = [rule.judge(promotion).approval.level for promotion in rule.log]
    assert levels == [
        "none",
        "recorded",
        "none",
        "recorded",
        "none",
        "none",
        "recorded",
        "recorded",
    ]
    together = ApprovalRule(Repository.open(ways.root), rule.head)
    monkeypatch.setattr(main_line_approvals, "_MANY", 1)
    together.read_ahead(together.log)
    assert [together.judge(promotion) for promotion in together.log] == alone


def test_what_is_read_ahead_is_what_git_would_say(
    ways: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = ApprovalRule(ways.repository, ways.git("rev-parse", "main"))
    questions = [
        commit_history.WriterQuestion(p.base, p.head or p.commit, (PLACE, "registry/evidence"))
        for p in rule.log
        if p.base
    ]
    commit_history.read_writers_ahead(rule.repository, rule.line, rule.log[0].base, questions)
    plain = [
        commit_history.file_writers(Repository.open(ways.root), q.old, q.new, q.paths)
        for q in questions
    ]
    asked: list[str] = []
    attempt_git = git_command.attempt_git

    def count_calls(*words: object, **options: object) -> git_command.GitOutcome:
        asked.append(str(words))
        return attempt_git(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(git_command, "attempt_git", count_calls)
    ahead = [commit_history.file_writers(rule.repository, q.old, q.new, q.paths) for q in questions]
    assert ahead == plain
    assert [len(writers) for writers in plain] == [1, 2, 1, 1, 1, 0, 1]
    assert len(asked) == 1  # of the branch that merged main
