"""Data: its versions from Git, the checks of runs, and what used each of them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from towpath.audit.data_history import read_data_history
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_studio_page
from towpath.studio.pages.data_page import gather_data, gather_data_set, name_data_page
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.project_facts import ProjectFacts
from towpath.workspace import Workspace

FIRST, SECOND, OTHER = "1a" * 16, "2b" * 16, "3c" * 16
EVIL = "<script>alert(1)</script>"


def commit(root: Path, subject: str) -> None:
    git = ["git", "-c", "user.name=Ada Berg", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "add", "-A"], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", subject], cwd=root, check=True)


def point(root: Path, name: str, digest: str) -> None:
    """A pointer as DVC writes it."""
    path = root / "data" / f"{name}.dvc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"outs:\n- md5: {digest}\n  size: 2000\n  hash: md5\n  path: {name}\n")


def write_run(root: Path, name: str, digest: str, passed: bool) -> None:
    result = {"passed": passed, "rows": 10, "counts": {"failed": 0 if passed else 2, "warned": 1}}
    artifact = {"digest": digest, "size": 2000, "name": "raw.csv"}
    start = {"event": "started", "run": name, "pipeline": "training", "params": {},
             "steps": {"check": "quality_check"}, "inputs": {"raw": digest}, "origin": {},
             "sources": {"raw": {"path": "data/raw.csv"}}}  # fmt: skip
    made = {"outputs": {"data": artifact}, "values": {"result": result}, "facts": {}}
    end = "done" if passed else "failed"
    events: list[dict[str, Any]] = [
        start,
        {"event": "step", "step": "check", "state": end, "made": made},
        {"event": "finished", "state": end, "seconds": 1.0, "exit_code": 0},
    ]
    folder = root / ".towpath" / "runs" / name
    folder.mkdir(parents=True)
    lines = (json.dumps({"time": "2026-11-01T10:00:00Z", **event}) + "\n" for event in events)
    (folder / "events.jsonl").write_text("".join(lines))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    (root / "towpath.yaml").write_text("name: small\n")
    (root / ".gitignore").write_text("/.towpath\n")
    point(root, "raw.csv", FIRST)
    point(root, "old.csv", OTHER)
    commit(root, "Begin")
    point(root, "raw.csv", SECOND)
    (root / "data" / "old.csv.dvc").unlink()
    (root / "data" / "torn.csv.dvc").write_text("outs: [{md5: nope, hash: md5, path: ../../x}]\n")
    commit(root, f"Take more {EVIL}")
    write_run(root, "20261101-100000-0001", FIRST, passed=True)
    write_run(root, "20261101-110000-0001", SECOND, passed=False)
    write_run(root, "20261101-120000-0001", OTHER, passed=True)
    return root


def test_the_history_of_data_is_that_of_its_pointers(project: Path) -> None:
    history = read_data_history(Workspace(project))
    assert list(history) == ["data/old.csv", "data/raw.csv"]
    assert [version.digest for version in history["data/raw.csv"]] == [SECOND, FIRST]
    assert history["data/raw.csv"][1].author.startswith("Ada Berg")
    assert [version.digest for version in history["data/old.csv"]] == [None, OTHER]


def test_data_leads_to_checks_runs_and_what_only_runs_saw(project: Path) -> None:
    facts = ProjectFacts(project)
    old, raw = gather_data(facts, PageRequest()).sets
    assert (old.is_gone, raw.is_gone) == (True, False)
    assert (raw.page, len(raw.runs)) == ("data~raw.csv", 3)
    assert {version.digest: len(version.runs) for version in raw.versions} == {
        FIRST: 1, SECOND: 1, OTHER: 1
    }  # fmt: skip
    assert [(c.digest, c.check.has_passed, c.check.failed) for c in raw.checks] == [
        (OTHER, True, 0), (SECOND, False, 2), (FIRST, True, 0),
    ]  # fmt: skip
    request = PageRequest({"data": "data~raw.csv"})
    (kind,) = (kind for kind in PAGES if kind.path == "data/{data}/")
    view = gather_data_set(facts, request)
    page = render_studio_page(kind, facts, view, PagePlace("data/data~raw.csv/"))
    assert EVIL not in page
    assert "seen by a run, in no pointer" in page  # the one that no commit of this path names
    with pytest.raises(NoSuchPage):
        gather_data_set(facts, PageRequest({"data": "nope"}))


@pytest.mark.parametrize("name", ["..", ".", "../..", "a/../b", "", "x" * 400, "a~b", "a b<c>\n"])
def test_no_name_of_data_means_the_place_of_another_page(name: str) -> None:
    page = name_data_page(name)
    assert page != name or page == "x"
    assert re.fullmatch(r"[\w.@+~-]{1,120}", page)
    assert page.strip(".")


def test_two_names_are_two_pages() -> None:
    names = ["a/b", "a~b", "a:b ", "a b"]
    assert len({name_data_page(name) for name in names}) == 4
