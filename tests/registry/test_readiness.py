"""Whether a run may register, asked before its first step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath import registry
from towpath.backends.git import Repository
from towpath.registry import ReadyToRegister, RegistrationSkipped

Git = Callable[..., str]
Clone = Callable[..., Repository]


def test_a_clean_repository_is_ready(repository: Repository, git: Git) -> None:
    ready = registry.judge_readiness(repository)
    assert isinstance(ready, ReadyToRegister)
    assert (ready.commit, ready.branch) == (repository.head(), "main")
    git(repository.root, "checkout", "-q", "--detach")
    detached = registry.judge_readiness(repository)
    assert isinstance(detached, ReadyToRegister) and detached.branch is None


def test_what_a_run_writes_is_not_counted(repository: Repository) -> None:
    for name in ("dvc.lock", "äpfel.py", "two.py", "three.py"):
        (repository.root / name).write_text("new\n")
    skipped = registry.judge_readiness(repository, written=lambda path: path == "dvc.lock")
    assert isinstance(skipped, RegistrationSkipped)
    assert str(skipped) == "skipped: 3 files not committed"
    assert skipped.faults[0].hint == "three.py, two.py, äpfel.py"
    for name in ("two.py", "three.py"):
        (repository.root / name).unlink()
    assert str(registry.judge_readiness(repository, written="dvc.lock".__eq__)) == (
        "skipped: 1 file not committed"
    )


def test_a_name_that_is_no_text_is_shown(repository: Repository) -> None:
    odd = os.fsencode(repository.root) + b"/caf\xe9.py"
    try:
        os.close(os.open(odd, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes no such name")
    skipped = registry.judge_readiness(repository)
    assert isinstance(skipped, RegistrationSkipped)
    assert skipped.faults[0].hint == "caf\\udce9.py"


def test_all_that_lacks_is_said_at_once(
    repository: Repository, clone: Clone, git: Git, home: Path
) -> None:
    git(repository.root, "commit", "-q", "--allow-empty", "-m", "second")
    git(repository.root, "push", "-q", str(repository.root.parent / "origin.git"), "main")
    shallow = clone("shallow", "--depth", "1")
    (shallow.root / "steps.py").write_text("changed\n")
    (home / ".gitconfig").write_text("")
    skipped = registry.judge_readiness(shallow)
    assert isinstance(skipped, RegistrationSkipped)
    assert str(skipped) == (
        "skipped: 1 file not committed; a shallow clone lacks the versions before; "
        "Git does not know who you are"
    )
    said = [str(fault) for fault in skipped.faults]
    assert said[0] == "1 file not committed (steps.py)"
    assert "git fetch --unshallow --tags" in said[1]
    assert "git config --global user.email" in said[2]


def test_before_there_is_anything_to_stand_on(tmp_path: Path, git: Git) -> None:
    assert str(registry.judge_readiness(None)) == "skipped: no Git repository"
    git(tmp_path, "init", "-q", "new")
    fresh = Repository.open(tmp_path / "new")
    assert str(registry.judge_readiness(fresh)) == "skipped: nothing is committed yet"
