"""Bytes of a version that were lost or altered: an audit, and who is to decide, are told."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_project import Project, begin
from command_line import call_towpath
from own_home import MAIN, CopyWorld, move_in
from towpath import registry
from towpath.backends.dvc import Store, initialise_store
from towpath.delivery import promotion
from towpath.errors import Refused

BRANCH = "promote/abalone-v1.0.0-dev"


def build(folder: Path) -> None:
    begin(folder / "abalone", "name: abalone\nstages: [dev, uat]\n").register(b"one")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy_world: CopyWorld) -> Project:
    """A project with one version, in no stage."""
    move_in(tmp_path / "own home", MAIN, monkeypatch)
    copy_world(build, tmp_path)
    return Project(tmp_path / "abalone")


def _bytes(project: Project) -> Path:
    found = registry.get_version(project.repository, "abalone@v1.0.0")
    return project.workspace.store.path(found.record.artifact.digest)


def alter(path: Path) -> None:
    """Other bytes under the same name."""
    path.chmod(0o644)
    path.write_bytes(b"bad")


def lose(path: Path) -> None:
    """No bytes any more."""
    path.chmod(0o644)
    path.unlink()


def with_data(project: Project) -> Path:
    """A second version, made from a file that DVC tracks; where its bytes stand."""
    project.write("data/raw.csv", "a\n1\n")
    digest = Store(project.root).put(project.root / "data/raw.csv").digest
    project.write("data/raw.csv.dvc", f"outs:\n- md5: {digest}\n  path: raw.csv\n")
    project.write("data/.gitignore", "/raw.csv\n")
    project.commit("Data")
    source = registry.DataSource("data/raw.csv", "data/raw.csv.dvc")
    project.register(b"two", data={"raw": digest}, sources={"raw": source})
    return project.workspace.store.path(digest)


def refusals(project: Project, version: str = "v1.0.0", stage: str = "dev") -> list[str]:
    """Why a version is not promoted; each with what mends it."""
    with pytest.raises(Refused) as refused:
        promotion.propose_promotion(project.workspace, f"abalone@{version}", stage)
    assert project.git("branch", "--list", "promote/*") == ""
    return [f"{fault.what} [{fault.hint}]" for fault in refused.value.faults]


def add_remote(project: Project, folder: Path) -> Path:
    """A folder as the store's remote, with the version's bytes; their place there."""
    digest = registry.get_version(project.repository, "abalone@v1.0.0").record.artifact.digest
    there = folder / "files/md5" / digest[:2] / digest[2:]
    there.parent.mkdir(parents=True)
    there.write_bytes(_bytes(project).read_bytes())
    config = f"[core]\n    remote = far\n['remote \"far\"']\n    url = {folder}\n"
    project.write(".dvc/config", config)
    project.commit("A remote")
    return there


def test_altered(project: Project) -> None:
    assert project.found() == []
    path = _bytes(project)
    alter(path)
    [one] = project.verify().findings
    assert one.fault.what == "the bytes of abalone@v1.0.0 in the project's store were altered"
    assert str(one.fault.hint).startswith(f"mv {path} {path}.altered")


def test_lost_and_given_up(project: Project) -> None:
    lose(_bytes(project))
    [one] = project.verify().findings
    assert one.fault.what == "the bytes of abalone@v1.0.0 are not in the project's store"
    assert "towpath reject abalone@v1.0.0 --reason '...'" in str(one.fault.hint)
    registry.reject_version(project.repository, "abalone@v1.0.0", "its bytes were lost")
    assert project.found() == []


def test_altered_bytes_are_not_promoted(project: Project) -> None:
    path = _bytes(project)
    alter(path)
    [said] = refusals(project)
    assert said.startswith("the bytes of abalone@v1.0.0 in the project's store were altered [mv ")
    assert path.read_bytes() == b"bad"  # who only looks moves nothing
    path.write_bytes(b"one")
    assert promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev").unchecked == ()


def test_lost_bytes_are_not_promoted(project: Project) -> None:
    lose(_bytes(project))
    [said] = refusals(project)
    assert said.startswith(
        "the bytes of abalone@v1.0.0 are in no store: not in the project's store [towpath pull"
    )


@pytest.mark.parametrize("harm", [alter, lose])
def test_bytes_that_went_since_the_proposal(project: Project, harm: Callable[[Path], None]) -> None:
    promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    before = project.git("rev-parse", "main")
    harm(_bytes(project))
    with pytest.raises(Refused, match=r"the bytes of abalone@v1\.0\.0"):
        promotion.approve_promotion(project.workspace, BRANCH)
    assert project.git("rev-parse", "main") == before
    checked = promotion.check_promotion_branch(project.workspace, head=BRANCH)
    assert [f.what for f in checked.faults if f.what.startswith("the bytes of abalone")]


def test_the_remote_has_them(project: Project, tmp_path: Path) -> None:
    there = add_remote(project, tmp_path / "far")
    lose(_bytes(project))
    assert promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev").unchecked == ()
    project.git("branch", "-qD", BRANCH)
    alter(there)
    [said] = refusals(project)
    assert "in remote `far`" in said and "were altered" in said
    lose(there)
    [said] = refusals(project)
    assert "are in no store: not in the project's store, the remote `far`" in said


def test_a_remote_that_does_not_answer(project: Project) -> None:
    project.write(".dvc/config", "[core]\n    remote = x\n['remote \"x\"']\n    url = s3://no\n")
    project.commit("A remote")
    lose(_bytes(project))
    [said] = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev").unchecked
    assert said.startswith("the bytes of abalone@v1.0.0 could not be checked: ")
    assert "`towpath verify` does, where the stores can be read" in said


def test_the_stage_below_has_them_altered(project: Project) -> None:
    project.promote("abalone@v1.0.0", "dev")
    digest = registry.get_version(project.repository, "abalone@v1.0.0").record.artifact.digest
    below = project.root / ".towpath/stages/dev/files/md5" / digest[:2] / digest[2:]
    alter(below)
    [said] = refusals(project, stage="uat")
    assert "in the store of dev" in said
    assert "towpath reconcile dev --apply" in said
    project.reconcile("dev")
    lose(_bytes(project))  # uat takes them from dev
    assert promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "uat").unchecked == ()


def test_data_that_dvc_keeps(project: Project) -> None:
    data = with_data(project)
    assert promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "dev").unchecked == ()
    project.git("branch", "-qD", "promote/abalone-v1.1.0-dev")
    content = data.read_bytes()
    alter(data)
    [said] = refusals(project, "v1.1.0")
    what = "the bytes of `raw` (data/raw.csv), the data of abalone@v1.1.0, in the project's store"
    assert said.startswith(f"{what} were altered [mv {data} ")
    lose(data)
    [said] = refusals(project, "v1.1.0")
    assert "`raw` (data/raw.csv), the data of abalone@v1.1.0, are in no store" in said
    data.write_bytes(content)
    assert hashlib.md5(content).hexdigest() == data.parent.name + data.name
    project.promote("abalone@v1.1.0", "dev")


def test_a_rollback_needs_no_data(project: Project) -> None:
    data = with_data(project)
    project.promote("abalone@v1.1.0", "dev")
    project.promote("abalone@v1.0.0", "dev")
    lose(data)
    assert promotion.propose_rollback(project.workspace, "abalone", "dev").unchecked == ()


def test_no_store_is_told_in_words(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone)], check=True)
    initialise_store(clone)
    Project(clone).be("ada")
    done = call_towpath(clone, "promote", "abalone@v1.0.0", "--to", "dev")
    assert done.returncode == 0, done.stderr
    said = "the bytes of abalone@v1.0.0 could not be checked: the project's store is not on this"
    assert f"note    {said}" in done.stderr
    Project(clone).be("bo")
    approved = promotion.approve_promotion(Project(clone).workspace, BRANCH)
    assert approved.unchecked[0].startswith(said)
