"""Small projects whose runs are real, as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import Project, make


@pytest.fixture
def loose(tmp_path: Path) -> Project:
    """A project in no Git repository, in a folder whose name has a blank and an accent."""
    return make(tmp_path / "mein Projékt")


@pytest.fixture
def project(loose: Project) -> Project:
    """The same in a Git repository, all of it committed."""
    loose.git("init", "-q", "-b", "main")
    loose.commit()
    return loose
