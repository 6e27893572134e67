"""The training pipeline from end to end, in a copy of this project, as a person would run it."""

import json
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


def test_the_pipeline_makes_a_model_that_passes_its_gate(copy: Path) -> None:
    said = towpath(copy, "run")
    assert said.returncode == 0, said.stderr
    made = copy / "artifacts" / "training"
    metrics = json.loads((made / "evaluate" / "metrics.json").read_text())
    assert {{ cookiecutter.__holds }}
    assert (made / "{{ cookiecutter.__model }}").is_file()
    assert (made / "{{ cookiecutter.__scored }}").is_file()
