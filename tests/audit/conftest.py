"""One story, told once, and a copy of it for each test to tamper with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_project import Project, begin, story


@pytest.fixture(autouse=True, scope="session")
def _audit_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "GH_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The story, which nobody may change."""
    return story(tmp_path_factory.mktemp("told") / "abalone")


@pytest.fixture
def project(told: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    folder = tmp_path / "abalone"
    shutil.copytree(told.root, folder, symlinks=True)
    return Project(folder)


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A project in which nothing was registered yet."""
    return begin(tmp_path / "empty")
