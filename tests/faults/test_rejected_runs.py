"""A rejected version that runs is seen everywhere, and asks for somebody to act."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_project import Project, begin
from command_line import call_towpath
from own_home import MAIN, move_in
from towpath import registry


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in whose dev a rejected version runs, after one that stands."""
    move_in(tmp_path / "own home", MAIN, monkeypatch)
    made = begin(tmp_path / "abalone", "name: abalone\nstages: [dev]\n")
    made.promote(made.register(b"one"), "dev")
    made.promote(made.register(b"two", parameters={"learning_rate": 0.08}), "dev")
    registry.reject_version(made.repository, "abalone@v1.1.0", "leaked labels")
    return made


def _towpath(project: Project, *words: str) -> tuple[int, str]:
    done = call_towpath(project.root, *words)
    return done.returncode, done.stdout + done.stderr


def test_it_is_seen_and_the_hint_ends_it(project: Project) -> None:
    assert "dev, and rejected: leaked labels" in _towpath(project, "models")[1]
    code, said = _towpath(project, "reconcile", "--check")
    assert code == 4
    assert "abalone@v1.1.0 runs, and was rejected: leaked labels" in said
    assert "towpath rollback abalone --stage dev" in said
    [one] = project.verify().findings
    assert "which was rejected: leaked labels" in one.fault.what
    assert one.fault.hint == "towpath rollback abalone --stage dev"
    code, said = _towpath(project, "rollback", "abalone", "--stage", "dev")
    assert code == 0
    project.be("bo")
    assert _towpath(project, "approve", "promote/abalone-v1.0.0-dev")[0] == 0
    assert _towpath(project, "reconcile", "--apply")[0] == 0
    assert _towpath(project, "reconcile", "--check")[0] == 0
    assert project.verify().findings == ()
    assert "rejected: leaked labels" in _towpath(project, "models")[1]
