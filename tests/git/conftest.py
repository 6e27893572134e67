"""A person's home, and real repositories in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.git import Repository

IDENTITY = "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n"

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home whose owner Git knows; nothing of the machine's settings reaches a test."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".gitconfig").write_text(IDENTITY + "[init]\n\tdefaultBranch = main\n")
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("EMAIL", raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


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


@pytest.fixture
def origin(tmp_path: Path, git: Git, repository: Repository) -> Path:
    """A bare repository that ``repository`` has as its remote ``origin``."""
    folder = tmp_path / "origin.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository.root), str(folder))
    git(repository.root, "remote", "add", "origin", str(folder))
    git(repository.root, "fetch", "-q", "origin")
    return folder
