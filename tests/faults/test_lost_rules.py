"""The declaration of a project taken from main, broken there, or joined by a second one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit_project import Project, begin
from command_line import call_towpath
from own_home import MAIN, CopyWorld, move_in

RULES = "towpath.yaml"


def build(folder: Path) -> None:
    made = begin(folder / "abalone", "name: abalone\nstages: [dev]\n")
    made.register(b"one")
    made.register(b"two")
    made.promote("abalone@v1.0.0", "dev")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy_world: CopyWorld) -> Project:
    """A project with a version in dev, and another that could follow."""
    move_in(tmp_path / "own home", MAIN, monkeypatch)
    copy_world(build, tmp_path)
    return Project(tmp_path / "abalone")


def command(project: Project, *words: str) -> tuple[int, str]:
    """A command's exit code, and all that it says."""
    done = call_towpath(project.root, *words)
    return done.returncode, done.stdout + done.stderr


def follow(project: Project, said: str) -> None:
    """Do as the hint says."""
    hint = re.search(r"(git checkout \S+) -- ':/(\S+)'", said)
    assert hint, said
    project.git(*hint[1].split()[1:], "--", f":/{hint[2]}")
    project.commit("As it was")


def test_taken_away(project: Project) -> None:
    before = project.read(RULES)
    project.git("rm", "-q", RULES)
    commit = project.commit("Gone")[:7]
    for words in (["models"], ["verify"], ["reconcile", "dev"], ["approve", "--rules"]):
        code, said = command(project, *words)
        assert code == 2
        assert f"taken away in {commit} by Ada Lovelace" in said
        assert "the rules before it hold, nothing is promoted or deployed" in said
    project.write(RULES, before)
    code, said = command(project, "verify", "--offline")
    assert code == 3
    assert "holds no towpath.yaml, so nothing says what may enter a stage: Ada Lovelace " in said
    code, said = command(project, "promote", "abalone@v1.0.1", "--to", "dev")
    assert (code, f"took it away in {commit}" in said) == (1, True), said
    follow(project, said)
    assert project.found(offline=True) == []


def test_taken_from_the_work_tree(project: Project) -> None:
    (project.root / RULES).unlink()
    code, said = command(project, "models")
    assert code == 2
    follow_here = "git checkout HEAD -- ':/towpath.yaml' brings it back"
    assert follow_here in said


def test_broken_on_main(project: Project) -> None:
    before = project.read(RULES)
    project.write(RULES, "name: [\n")
    commit = project.commit("Broken")[:7]
    project.write(RULES, before)  # the work tree's own is sound
    code, said = command(project, "verify", "--offline")
    assert code == 3
    assert f"towpath.yaml at {commit}:2" in said
    assert "1 finding in 1 promotion" in said  # the rest is judged by the last that was sound
    code, said = command(project, "reconcile", "dev")
    assert (code, f"towpath.yaml at {commit}:2: this is not YAML" in said) == (2, True), said
    follow(project, said)
    assert project.found(offline=True) == []
    assert command(project, "reconcile", "dev")[0] == 0


def test_a_second_one_that_came_later(project: Project) -> None:
    project.write(f"sub/{RULES}", "name: sub\nstages: [dev]\n")
    commit = project.commit("A second")[:7]
    code, said = command(project, "reconcile", "dev")
    assert code != 0 or "blocked" in said
    assert "it was that of the project in `.`, the only one until `sub/towpath.yaml`" in said
    assert f"({commit} by Ada Lovelace" in said
    assert "take it away by a commit on main; else towpath claim abalone" in said
    inside = call_towpath(project.root / "sub", "verify", "--offline")
    assert "towpath claim abalone" in inside.stdout
    project.git("rm", "-q", f"sub/{RULES}")
    project.commit("It was no project")
    assert project.found(offline=True) == []


def test_a_second_one_that_stays(project: Project) -> None:
    project.write(f"sub/{RULES}", "name: sub\nstages: [dev]\n")
    project.commit("A second")
    assert command(project, "claim", "abalone")[0] == 0
    project.commit("Whose it is")
    assert project.found(offline=True) == []
