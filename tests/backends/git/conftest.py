"""Repositories with a remote."""

from __future__ import annotations

from pathlib import Path

import pytest

import git_fixtures
from git_fixtures import Git
from towpath.backends.git import Repository

home, git, repository = git_fixtures.home, git_fixtures.git, git_fixtures.repository


@pytest.fixture
def origin(tmp_path: Path, git: Git, repository: Repository) -> Path:
    """A bare repository that ``repository`` has as its remote ``origin``."""
    folder = tmp_path / "origin.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository.root), str(folder))
    git(repository.root, "remote", "add", "origin", str(folder))
    git(repository.root, "fetch", "-q", "origin")
    return folder
