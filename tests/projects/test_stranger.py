"""A stranger whose cookiecutter stands alone, with no network, gets the same project; where its
data are not what they should be, that is said and nothing is left."""

from __future__ import annotations

import shutil
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from made_project import REPOSITORY, contents, run
from packaging.requirements import Requirement

from towpath import projects


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


def test_the_stranger_gets_the_same_project(alone: Path, tmp_path: Path) -> None:
    said = _bake(alone, REPOSITORY, tmp_path)
    assert said.returncode == 0, said.stderr
    ours = projects.make_from_template("tabular", tmp_path / "ours", {}, ask=False)
    assert contents(tmp_path / "abalone") == contents(ours)


def test_other_data_than_the_known_leave_nothing(alone: Path, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "templates", tmp_path / "copy" / "templates")
    (table,) = (tmp_path / "copy" / "templates" / "tabular").glob("*/data/abalone.csv")
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))  # as a Git of Windows may do
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    said = _bake(alone, tmp_path / "copy", nothing)
    assert said.returncode != 0
    assert "data/abalone.csv is not the table that this template knows" in said.stderr
    assert list(nothing.iterdir()) == []


def _bake(python: Path, templates: Path, cwd: Path):  # type: ignore[no-untyped-def]
    call = ("-m", "cookiecutter", templates, "--directory", "templates/tabular", "--no-input")
    return run(python, *call, cwd=cwd)


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
