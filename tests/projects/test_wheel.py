"""The installed wheel brings the templates with it, and makes the same projects."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest
from made_project import REPOSITORY, contents, run

from towpath import projects

MAKE = """
from pathlib import Path
import towpath, sys
from towpath import projects
assert towpath.__file__.startswith(sys.argv[1]), towpath.__file__
projects.make_from_template("tabular", Path("."), {"towpath": sys.argv[2]}, ask=False)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this checkout in it, compiled as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    said = run(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=REPOSITORY
    )
    assert said.returncode == 0, said.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    run(sys.executable, "-m", "compileall", "-q", folder / "site" / "towpath", cwd=folder)
    return folder / "site"


def test_the_wheel_makes_the_same_project(installed: Path, tmp_path: Path) -> None:
    here = tmp_path / "by-wheel"
    here.mkdir()
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    call = (sys.executable, "-c", MAKE, installed, REPOSITORY)
    said = run(*call, cwd=here, PYTHONPATH=path)
    assert said.returncode == 0, said.stderr
    ours = projects.make_from_template(
        "tabular", tmp_path / "ours", {"towpath": str(REPOSITORY)}, ask=False
    )
    assert contents(here / "abalone") == contents(ours)
