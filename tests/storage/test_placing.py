"""What a project names is put where it belongs, and what somebody changed there stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_project import Project

from towpath.backends.dvc import dvc_yaml, tracked_files
from towpath.backends.dvc.dvc_yaml import StageEntry
from towpath.backends.dvc.tracked_files import find_changed_pointers
from tracking import track


def _pointed(project: Project) -> Path:
    """Tracked data whose pointer is ahead of it, as after a `git pull`."""
    path = project.write("data/raw.csv", "old")
    track(project.root, path)
    path.write_text("new")
    track(project.root, path)
    path.write_text("old")
    return path


def test_data_that_the_store_knows_gives_way(project: Project) -> None:
    path = _pointed(project)
    assert tracked_files.place_tracked_data(project.root) == ()
    assert path.read_text() == "new"


def test_data_that_was_changed_here_stays(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    path = _pointed(project)
    assert tracked_files.place_tracked_data(project.root, lambda *_: False) == ("data/raw.csv",)
    path.write_text("mine")
    assert tracked_files.place_tracked_data(project.root) == ("data/raw.csv",)
    assert path.read_text() == "mine"
    assert "data/raw.csv was changed here, and is not what data/raw.csv.dvc says" in caplog.text
    assert "`dvc add data/raw.csv` and commit keeps your change" in caplog.text


def test_outputs_of_ours_and_of_others(project: Project) -> None:
    project.remote("store")
    for name in ("x/a.csv", "x/b/c.csv", "y.json"):
        project.write(f"artifacts/p/{name}", name)
        project.store.put(Path(f"artifacts/p/{name}"))
    project.store.put(Path("artifacts/p/x"))
    stage = StageEntry("p-s", "c", outs=("artifacts/p/x",), metrics=("artifacts/p/y.json",))
    dvc_yaml.write_dvc_files(project.root, "p", [stage], {})
    with (project.root / "dvc.yaml").open("a") as file:
        file.write("  mine:\n    wdir: sub\n    cmd: echo 1 > out.txt\n    outs: [out.txt]\n")
    (project.root / "sub").mkdir()
    project.dvc("repro", "mine")
    said = {output.path: output.pipeline for output in tracked_files.locked_outputs(project.root)}
    assert said == {"artifacts/p/x": "p", "artifacts/p/y.json": "p", "sub/out.txt": None}

    project.write("artifacts/p/y.json", "mine")
    (project.root / "artifacts/p/x/b/c.csv").unlink()
    project.store.put(Path("artifacts/p/x"))
    (project.root / "sub/out.txt").unlink()
    assert tracked_files.place_tracked_data(project.root) == ("artifacts/p/y.json",)
    assert (project.root / "artifacts/p/x/b/c.csv").read_text() == "x/b/c.csv"
    assert (project.root / "sub/out.txt").read_text() == "1\n"
    assert (project.root / "artifacts/p/y.json").read_text() == "mine"


def test_what_dvc_add_was_not_told_of(project: Project) -> None:
    for name in ("in/a.csv", "in/b.csv", "whole/c.csv", "plain.csv"):
        project.write(f"data/{name}", name)
    track(project.root, project.root / "data/in")
    track(project.root, project.root / "data/whole/c.csv")

    def told(path: str) -> list[str]:
        return [found.file.name for found in find_changed_pointers(project.root, Path(path))]

    assert [told(path) for path in ("data/in/a.csv", "data/in", "data", "data/plain.csv")] == [
        []
    ] * 4
    project.write("data/in/a.csv", "other")
    project.write("data/whole/c.csv", "other")
    assert told("data/in/a.csv") == ["in.dvc"]
    assert told("data/in/b.csv") == []
    assert told("data/whole/c.csv") == told("data/whole") == ["c.csv.dvc"]
    assert told("data") == ["in.dvc", "c.csv.dvc"]
