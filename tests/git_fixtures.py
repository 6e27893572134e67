"""A person's home with a Git that knows them, and a real repository in it, as fixtures."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from own_home import IDENTITY, MAIN, move_in
from towpath.backends.git import Repository

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home whose owner Git knows; nothing of the machine's settings reaches a test."""
    return move_in(tmp_path / "home", IDENTITY + MAIN, monkeypatch)


@pytest.fixture
def git() -> Git:
    """Stock Git, as a person types it in a folder; its answer."""

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def repository(tmp_path: Path, git: Git) -> Repository:
    """A repository with one commit, in a folder whose name has blanks and an umlaut."""
    folder = tmp_path / "päth with blanks"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "steps.py").write_text("first = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return Repository.open(folder)
