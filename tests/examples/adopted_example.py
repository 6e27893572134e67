"""A copy of a repository below examples/, adopted as a person would adopt it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from running import Project
from towpath import projects
from towpath.backends import dvc

EXAMPLES = Path(__file__).parents[2] / "examples"
Adopt = Callable[[str], Project]


def adopt_example(folder: Path, name: str) -> Project:
    """Make an example a project below a folder, by what `towpath init` does, and commit it."""
    project = Project(folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "build")
    shutil.copytree(EXAMPLES / name, project.root, ignore=ignored)
    project.git("init", "-q", "-b", "main")
    missing = dvc.missing_store_files(project.root)
    projects.apply_additions(project.root, projects.plan_additions(project.root, missing))
    project.commit("Begin")
    return project
