"""Small projects of code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from code_project import STEPS, Make, Project


@pytest.fixture
def project(tmp_path: Path) -> Make:
    """Makes a project of ``steps.py`` beside the pipeline, and of files named from the root."""

    def make(steps: str, files: Mapping[str, str] | None = None) -> Project:
        made = Project(tmp_path / "project")
        made.write({STEPS: steps, **(files or {})})
        return made

    return make
