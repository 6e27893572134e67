"""A stranger whose cookiecutter stands alone gets the same project; the one wheel that carries the
data is fetched, and where it cannot be, that is said and nothing is left."""

from __future__ import annotations

import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from towpath import projects

from .conftest import REPOSITORY, contents, run


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds cookiecutter, what it requires, and pip."""
    folder = tmp_path_factory.mktemp("stranger")
    venv.create(folder)  # unpacking pip anew takes ten seconds; ours does as well
    (site,) = folder.glob("lib/python3.*/site-packages")
    for installed in (*_required("cookiecutter", set()), distribution("pip")):
        for entry in {
            Path(file).parts[0] for file in installed.files or () if ".." not in str(file)
        }:
            if not (site / entry).exists():
                (site / entry).symlink_to(str(installed.locate_file(entry)))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scikit-lego wheel, put together again from the installed files."""
    installed = distribution("scikit-lego")
    folder = tmp_path_factory.mktemp("shelf")
    name = f"scikit_lego-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for file in installed.files or ():
            if "__pycache__" not in file.parts and ".." not in file.parts:
                wheel.write(str(file.locate()), str(file))
    return folder


def test_the_stranger_gets_the_same_project(alone: Path, shelf: Path, tmp_path: Path) -> None:
    said = _bake(alone, tmp_path, PIP_FIND_LINKS=str(shelf))
    assert said.returncode == 0, said.stderr
    assert "Fetching scikit-lego==0.9.10" in said.stderr
    ours = projects.make_from_template("tabular", tmp_path / "ours", {}, ask=False)
    assert contents(tmp_path / "abalone") == contents(ours)


def test_data_that_cannot_be_had_leave_nothing(alone: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    said = _bake(alone, nothing, PIP_FIND_LINKS=str(nothing))
    assert said.returncode != 0
    assert "The data could not be had: install scikit-lego beside cookiecutter." in said.stderr
    assert list(nothing.iterdir()) == []


def test_the_fetched_release_is_the_one_that_towpath_is_tested_with() -> None:
    script = (REPOSITORY / "templates/tabular/hooks/post_gen_project.py").read_text()
    assert f'CARRIER = "scikit-lego=={distribution("scikit-lego").version}"' in script


def _bake(python: Path, cwd: Path, **around: str):  # type: ignore[no-untyped-def]
    call = ("-m", "cookiecutter", REPOSITORY, "--directory", "templates/tabular", "--no-input")
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "UV_OFFLINE": "1"}
    return run(python, *call, cwd=cwd, **{**offline, **around})


def _required(name: str, seen: set[str]) -> Iterator[Distribution]:
    if name in seen:
        return
    seen.add(name)
    installed = distribution(name)
    yield installed
    for line in installed.requires or ():
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            yield from _required(needed.name, seen)
