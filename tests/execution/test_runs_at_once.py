"""Runs of several projects at once, against one API, as on a machine that many use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from running import Project, Said, end, make

_RUNS, _AT_ONCE = 4, 3
#: What stays of a run that was cut off: scratch files, and copies that steps worked on.
_SCRATCH = ("*.tmp*", ".*.part", "*-journal", "runs/*/*/inputs", "runs/*/*/outputs")


@pytest.fixture
def several(tmp_path: Path) -> list[Project]:
    """Projects whose results differ, each in a repository of its own."""
    made = []
    for number in range(_RUNS):
        data = {"data/raw.json": f"[1, 2, -3, {4 + number}]"}
        project = make(tmp_path / f"project {number}", data)
        project.git("init", "-q", "-b", "main")
        project.commit()
        made.append(project)
    return made


def test_runs_of_several_projects_at_once(several: list[Project]) -> None:
    def run_whole(project: Project) -> Said:
        return end(project.begin("run"))

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        ended = list(threads.map(run_whole, several))
    for project, said in zip(several, ended, strict=True):
        assert said.code == 0, said.err
        assert "locked" not in said.err
        assert "4 run, 1 skipped" in said.err
        assert project.tags() == ["mean@v1.0.0"]
        project.assert_whole()
        state = project.root / ".towpath"
        assert [path for pattern in _SCRATCH for path in state.rglob(pattern)] == []
        assert find_processes(project.root) == []


def find_processes(folder: Path) -> list[str]:
    """The command lines of processes that name a folder or stand in it; on Linux alone."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            stands = (process / "cwd").resolve()
        except OSError:  # it is gone
            continue
        if str(folder) in words or stands.is_relative_to(folder):
            lines.append(words)
    return lines
