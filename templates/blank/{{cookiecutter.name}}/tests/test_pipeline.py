"""The declarations, in a copy of this project, as a person would check them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
LEFT_BEHIND = shutil.ignore_patterns(".venv", ".towpath", "artifacts", "cache", "tmp", "build")


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This project as it stands, uncommitted changes and all, with a store and runs of its own."""
    folder = tmp_path_factory.mktemp("copy") / PROJECT.name
    shutil.copytree(PROJECT, folder, ignore=LEFT_BEHIND)
    yield folder
    towpath(folder, "down", "--force")  # the Prefect API that the run started, if it did


def towpath(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, as `towpath ...` would."""
    call = [sys.executable, "-m", "towpath", *words]
    return subprocess.run(call, cwd=project, capture_output=True, text=True)


def test_the_declaration_holds(copy: Path) -> None:
    said = towpath(copy, "check")
    assert said.returncode == 0, said.stderr
