"""The repositories below examples/, each adopted as a person would adopt it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from running import Project
from towpath import projects
from towpath.backends import dvc

EXAMPLES = Path(__file__).parents[2] / "examples"
Adopt = Callable[[str], Project]


@pytest.fixture
def adopt(tmp_path: Path) -> Adopt:
    """Makes a copy of an example a project, by what `towpath init` does, and commits it."""

    def adopt_example(name: str) -> Project:
        project = Project(tmp_path / name)
        ignored = shutil.ignore_patterns("__pycache__", "build")
        shutil.copytree(EXAMPLES / name, project.root, ignore=ignored)
        project.git("init", "-q", "-b", "main")
        missing = dvc.missing_store_files(project.root)
        projects.apply_additions(project.root, projects.plan_additions(project.root, missing))
        project.commit("Begin")
        return project

    return adopt_example
