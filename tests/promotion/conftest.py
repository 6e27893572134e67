"""Projects with versions to promote, in a home of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promotion_project import Project, begin


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".gitconfig").write_text("[init]\n\tdefaultBranch = main\n")
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_", "GITHUB_"))]:
        monkeypatch.delenv(name)
    for name in ("EMAIL", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with its policy on main, in Ada's hands, without a remote."""
    return begin(tmp_path / "abalone project")
