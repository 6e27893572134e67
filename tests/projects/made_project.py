"""What a person types to make a project, and what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TABULAR = REPOSITORY / "templates" / "tabular"


def run(*words: str | Path, cwd: Path, **around: str) -> subprocess.CompletedProcess[str]:
    """A command as a person types it, with its words caught."""
    environment = {**os.environ, **around}
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def run_its_tests(project: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A project's own tests as a person runs them. It asks for pytest alone: the plugins of this
    environment it does not have, and they take as long to import as pytest."""
    plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run(sys.executable, "-m", "pytest", "-q", *words, cwd=project, **plain)


def cookiecutter(
    cwd: Path, answers: Mapping[str, str], template: str = "tabular", **around: str
) -> Path:
    """What a stranger types; returns the project's folder."""
    given = [f"{key}={value}" for key, value in answers.items()]
    call = [sys.executable, "-m", "cookiecutter", str(REPOSITORY), "--no-input"]
    said = run(*call, "--directory", f"templates/{template}", *given, cwd=cwd, **around)
    assert said.returncode == 0, said.stderr
    (made,) = cwd.iterdir()
    return made


def git(project: Path, *words: str) -> str:
    """What stock Git says in a project."""
    said = run("git", *words, cwd=project)
    assert said.returncode == 0, said.stderr
    return said.stdout


def contents(project: Path) -> dict[str, bytes]:
    """Every file of a project, and its bytes, but for Git's own."""
    files = (path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(project)): path.read_bytes() for path in files}
