"""Small projects whose runs are real, as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from own_home import CopyWorld
from running import Project, make

#: A folder whose name has a blank and an accent.
NAME = "mein Projékt"


@pytest.fixture
def loose(tmp_path: Path) -> Project:
    """A project in no Git repository."""
    return make(tmp_path / NAME)


@pytest.fixture
def project(tmp_path: Path, copy_world: CopyWorld) -> Project:
    """The same in a Git repository, all of it committed."""
    copy_world(commit_small_project, tmp_path / NAME)
    return Project(tmp_path / NAME)


def commit_small_project(folder: Path) -> None:
    """A world to copy."""
    project = make(folder)
    project.git("init", "-q", "-b", "main")
    project.commit()
