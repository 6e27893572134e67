"""The environment: read once, kept for the next process, and read anew when it changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from code_project import FOLDER, Make

from towpath.dependencies import CodeReader
from towpath.dependencies.code_reader import KEPT

STEPS = "import alpha\ndef step(): return 1\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages on ``sys.path``: alpha requires beta, with its extra."""
    site = tmp_path / "env" / "site-packages"
    install(site, "Alpha_One", "1.0", ["beta[fast] (>=1)", "gamma ; extra == 'all'"], "alpha")
    install(site, "beta", "2.0", ["Delta.Four<5 ; extra=='fast'", "nothere"], "beta")
    install(site, "gamma", "3.0", [], "gamma")
    install(site, "delta-four", "4.0", ["alpha-one"], "delta")
    monkeypatch.syspath_prepend(site)
    return site


def install(site: Path, name: str, version: str, requires: list[str], module: str) -> None:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n{name}-{version}.dist-info/METADATA,,\n")


def test_a_distribution_that_is_one_file_has_its_version(site: Path, project: Make) -> None:
    (site / "oldlib.py").touch()
    (site / "oldlib-1.2.egg-info").write_text("Metadata-Version: 1.1\nName: oldlib\nVersion: 1.2\n")
    made = project("import oldlib\ndef step(): return oldlib\n")
    assert CodeReader(made.root).package_versions(FOLDER, "step") == {"oldlib": "1.2"}


@pytest.mark.usefixtures("site")
def test_versions_go_through_what_is_required_with_extras(project: Make) -> None:
    found = CodeReader(project(STEPS).root).package_versions(FOLDER, "step")
    assert found == {"alpha-one": "1.0", "beta": "2.0", "delta-four": "4.0"}


def test_an_upgrade_is_seen_and_what_is_kept_is_used(project: Make, site: Path) -> None:
    root = project(STEPS).root
    CodeReader(root).package_versions(FOLDER, "step")
    kept = json.loads((root / KEPT).read_text("utf-8"))
    for each in kept["distributions"]:
        each["version"] += ".kept"
    (root / KEPT).write_text(json.dumps(kept), "utf-8")
    assert CodeReader(root).package_versions(FOLDER, "step")["beta"] == "2.0.kept"
    (site / "beta-2.0.dist-info").rename(site / "away")
    install(site, "beta", "2.1", [], "beta")
    assert CodeReader(root).package_versions(FOLDER, "step") == {"alpha-one": "1.0", "beta": "2.1"}


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("wrong", ["", "[]", "{}", '{"stamp": 1}', "\0"])
def test_a_spoiled_file_is_read_anew(project: Make, wrong: str) -> None:
    made = project(STEPS)
    made.write({KEPT: wrong})
    assert CodeReader(made.root).package_versions(FOLDER, "step")["alpha-one"] == "1.0"
    assert json.loads((made.root / KEPT).read_text("utf-8"))["distributions"]


@pytest.mark.usefixtures("site")
def test_where_nothing_can_be_kept_it_is_read_all_the_same(project: Make) -> None:
    made = project(STEPS, {".towpath": "a file, not a folder"})
    assert CodeReader(made.root).package_versions(FOLDER, "step")["alpha-one"] == "1.0"


@pytest.mark.usefixtures("site")
def test_a_distribution_may_be_asked_for_by_its_own_name(project: Make) -> None:
    reader = CodeReader(project(STEPS).root)
    assert reader.versions_of_modules(["gamma", "delta-four"]).keys() >= {"gamma", "delta-four"}
    assert reader.versions_of_modules(["Alpha.One"]) == reader.package_versions(FOLDER, "step")


def test_what_a_description_says_is_no_header(project: Make, site: Path) -> None:
    metadata = site / "beta-2.0.dist-info" / "METADATA"
    metadata.write_text(
        "name: beta\r\nVERSION: 2.0\r\nRequires-Dist: Delta.Four<5 ;\r\n extra == 'fast'\r\n"
        "Summary: Requires-Dist: gamma\r\n\r\nRequires-Dist: gamma\nVersion: 9\n",
        newline="",
    )
    packages = CodeReader(project(STEPS).root).package_versions(FOLDER, "step")
    assert packages == {"alpha-one": "1.0", "beta": "2.0", "delta-four": "4.0"}
