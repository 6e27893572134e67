"""A target vouches for nothing: what runs is held against the record that is in Git."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from own_home import IDENTITY, MAIN, CopyWorld
from reconcile_project import Project, initialised
from towpath.audit.verification import verify_registry

ALTERED = "repair v1.0.0: what the target runs was altered"


def build(folder: Path) -> None:
    made = initialised(folder / "project", "{dev: {deploy: {to: files, path: deploy}}}")
    version = made.register(b"honest bytes")
    assert version == "v1.0.0"
    made.up_to("dev", version)
    assert made.plan("dev").pending == ()
    assert findings(made) == []


@pytest.fixture
def project(home: Path, tmp_path: Path, copy_world: CopyWorld) -> Project:
    (home / ".gitconfig").write_text(IDENTITY + MAIN)
    copy_world(build, tmp_path)
    return Project(tmp_path / "project")


def findings(project: Project) -> list[str]:
    found = verify_registry(project.workspace).findings
    return [one.fault.what for one in found if one.check in ("artifact", "deployment")]


def vouching(folder: Path) -> None:
    """Write the manifest anew, of whatever lies there."""
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "MANIFEST.json"
    }
    manifest["files"], manifest["sha256"] = files, files.get("model.bin", "")
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))


def other_bytes(folder: Path, _: Path) -> None:
    (folder / "model.bin").write_bytes(b"mallory's bytes")


def a_link_in_its_place(folder: Path, outside: Path) -> None:
    (outside / "model.bin").write_bytes(b"honest bytes")  # today
    (folder / "model.bin").unlink()
    (folder / "model.bin").symlink_to(outside / "model.bin")


def another_file(folder: Path, _: Path) -> None:
    (folder / "sitecustomize.py").write_text("import this")


def another_record(folder: Path, _: Path) -> None:
    record = (folder / "record.yaml").read_text()
    (folder / "record.yaml").write_text(record.replace("kind: bin", "kind: pickle"))


def a_link_to_a_folder(folder: Path, outside: Path) -> None:
    shutil.copytree(folder, outside, dirs_exist_ok=True)
    shutil.rmtree(folder)
    folder.symlink_to(outside)


def another_current(folder: Path, outside: Path) -> None:
    elsewhere = outside / "v1.0.0"
    shutil.copytree(folder, elsewhere)
    current = folder.parents[1] / "current"
    current.unlink()
    current.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "alter",
    [other_bytes, a_link_in_its_place, another_file, another_record, a_link_to_a_folder,
     another_current],
)  # fmt: skip
def test_what_was_altered_with_all_that_vouches_for_it_is_seen_and_mended(
    project: Project, tmp_path: Path, alter: Callable[[Path, Path], None]
) -> None:
    folder, outside = project.root / "deploy/abalone/versions/v1.0.0", tmp_path / "outside"
    outside.mkdir()
    alter(folder, outside)
    vouching(folder)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    assert project.said("dev") == {"abalone": ALTERED}
    assert findings(project) == ["abalone@v1.0.0 in files deploy is not what its record says"]
    assert project.apply("dev").exit_code == 0
    current = project.root / "deploy/abalone/current"
    assert current.readlink() == Path("versions/v1.0.0")
    assert sorted(path.name for path in current.iterdir()) == [
        "MANIFEST.json",
        "model.bin",
        "record.yaml",
    ]
    assert not any(path.is_symlink() for path in (folder, *folder.iterdir()))
    assert (folder / "model.bin").read_bytes() == b"honest bytes"
    assert before == {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    assert project.plan("dev").pending == ()
    assert findings(project) == []


def test_a_folder_s_files_are_held_against_the_record_too(project: Project) -> None:
    version = project.register({"a.bin": b"a", "deep/b.bin": b"b"}, "whales", name="model")
    project.promote(version, "dev", "whales")
    assert project.apply("dev").exit_code == 0
    assert project.plan("dev").pending == ()
    folder = project.root / f"deploy/whales/versions/{version}"
    (folder / "model/deep/b.bin").write_bytes(b"c")
    vouching(folder)
    assert project.said("dev")["whales"] == f"repair {version}: what the target runs was altered"
    assert project.apply("dev").exit_code == 0
    assert (folder / "model/deep/b.bin").read_bytes() == b"b"


def test_a_command_that_says_a_digest_is_held_to_it(project: Project) -> None:
    said = project.root / "said"
    stages = "{dev: {deploy: {to: command, run: ['true'], check: [cat, said]}}}"
    project.write("towpath.yaml", f"name: shells\nstages: {stages}\n")
    project.write(".gitignore", "/.towpath/\n/deploy/\n/artifacts/\n/said\n")
    project.commit("command")
    said.write_text("v1.0.0\n")
    assert project.apply("dev").exit_code == 0
    assert project.plan("dev").pending == ()
    said.write_text(f"v1.0.0 {'0' * 64}\n")
    assert project.said("dev") == {"abalone": ALTERED}
    said.write_text(f"v1.0.0 {project.record('v1.0.0').sha256}\n")
    assert project.plan("dev").pending == ()
