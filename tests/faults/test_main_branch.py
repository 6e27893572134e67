"""Which branch is main: said by the remote or declared, never guessed, and never made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from command_line import call_towpath
from own_home import MAIN, move_in
from promotion_project import Project, begin
from towpath import registry
from towpath.backends.git import main_branch, remotes
from towpath.delivery import promotion, reconcile
from towpath.doctor import examine_project
from towpath.errors import RegistryError

POLICY = """\
name: abalone
stages:
  dev:
    gates:
      good_enough: {kind: metric, metric: mse, at_most: 4.0}
policy: {self_approval: true}
"""
NO_GATE = "name: abalone\nstages: {dev: }\npolicy: {self_approval: true}\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "own home", MAIN, monkeypatch)


@pytest.fixture
def local(tmp_path: Path) -> Project:
    """A project without a remote."""
    return begin(tmp_path / "abalone", POLICY)


def _published(project: Project, name: str = "main") -> Path:
    """A bare origin of the project, whose HEAD is ``name``; the project is a clone of it."""
    origin = project.root.parent / "origin.git"
    project.git("clone", "-q", "--bare", ".", str(origin))
    subprocess.run(["git", "-C", str(origin), "symbolic-ref", "HEAD", f"refs/heads/{name}"])
    subprocess.run(["git", "-C", str(origin), "remote", "remove", "origin"], check=True)
    project.git("remote", "add", "origin", str(origin))
    return origin


def _clone(origin: Path, into: Path, *words: str) -> Project:
    subprocess.run(["git", "clone", "-q", *words, str(origin), str(into)], check=True)
    return Project(into).be("ada")


def _towpath(project: Project, *words: str) -> tuple[int, str]:
    done = call_towpath(project.root, *words)
    return done.returncode, done.stdout + done.stderr


def _rename(origin: Path, old: str, new: str) -> None:
    """What "rename the default branch" does at a forge."""
    subprocess.run(["git", "-C", str(origin), "branch", "-m", old, new], check=True)


def test_an_old_clone_follows_a_main_branch_that_was_renamed(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", NO_GATE)
    project.git("branch", "-m", "master")
    origin = _published(project, "master")
    old = _clone(origin, tmp_path / "old")
    assert main_branch.main_branch_name(old.repository) == "master"
    _rename(origin, "master", "main")
    new = _clone(origin, tmp_path / "new")
    new.commit({"towpath.yaml": "name: abalone\nstages: {lab: }\n"}, "another stage")
    new.git("push", "-q", "origin", "main")
    [check] = [
        c for c in examine_project(old.workspace) if c.verdict == "lacks" and c.about == "remote"
    ]
    assert (
        check.said == "the main branch of origin is `main` now, and here it is taken to be `master`"
    )
    assert check.hint == "towpath fetch"
    with pytest.raises(RegistryError, match="is `main` now"):
        _verify(old)
    assert reconcile.plan_stage(old.workspace, "lab").commit == new.git("rev-parse", "HEAD")
    assert main_branch.main_branch_name(old.repository) == "main"
    assert main_branch.kept_head(old.repository, "origin") == "main"
    assert [
        c for c in examine_project(old.workspace) if c.about == "remote" and c.verdict == "lacks"
    ] == []


def _verify(project: Project) -> object:
    from towpath.audit.verification import verify_registry

    return verify_registry(project.workspace)


@pytest.mark.parametrize("name", ["trunk", "master", "main"])
def test_a_laptop_never_notices(tmp_path: Path, name: str) -> None:
    project = begin(tmp_path / "abalone", NO_GATE)
    version = project.register()
    project.git("branch", "-m", name)
    made = promotion.propose_promotion(project.workspace, str(version), "dev")
    assert promotion.approve_promotion(project.workspace, made.branch).commit == project.git(
        "rev-parse", f"refs/heads/{name}"
    )
    if name != "trunk":
        project.git("switch", "-qc", "work")
        assert main_branch.main_branch_name(project.repository) == name


def test_a_feature_branch_does_not_judge_itself(local: Project) -> None:
    version = str(local.register())
    for name in ("trunk", "main"):
        local.git("branch", "-m", name)
        local.git("switch", "-qc", f"feature-{name}")
        local.commit({"towpath.yaml": NO_GATE}, "no gate any more")
        if name == "trunk":
            with pytest.raises(RegistryError, match="which branch is main is not known") as refused:
                promotion.propose_promotion(local.workspace, version, "dev")
            assert "main: <branch>" in str(refused.value.faults[0].hint)
            assert not local.has("main")
        else:
            with pytest.raises(promotion.ReviewGatesRefused):
                promotion.propose_promotion(local.workspace, version, "dev")
        local.git("switch", "-q", name)
        local.git("branch", "-qD", f"feature-{name}")


def test_a_declared_name_is_followed(local: Project) -> None:
    local.git("branch", "-m", "trunk")
    local.commit({"towpath.yaml": f"main: trunk\n{POLICY}"}, "say it")
    local.git("switch", "-qc", "feature")
    local.commit({"towpath.yaml": f"main: trunk\n{NO_GATE}"}, "no gate")
    assert main_branch.main_branch_name(local.repository) == "trunk"
    local.commit({"towpath.yaml": f"main: feature\n{NO_GATE}"}, "I am main")
    with pytest.raises(RegistryError, match="which branch is main is not known"):
        main_branch.main_commit(local.repository)


@pytest.mark.parametrize(
    "text", ["main: release\n", "{name: x, 'main': release}\n", "main: 'release'"]
)
def test_the_remotes_head_may_name_another(local: Project, tmp_path: Path, text: str) -> None:
    local.commit({"towpath.yaml": text if text.startswith("{") else f"{POLICY}{text}\n"})
    local.git("branch", "release")
    clone = _clone(_published(local), tmp_path / "clone")
    assert main_branch.main_branch_name(clone.repository) == "release"
    clone.git("switch", "-qc", "feature")
    clone.commit({"towpath.yaml": f"main: feature\n{NO_GATE}"})
    clone.git("push", "-q", "origin", "feature")
    assert main_branch.main_branch_name(clone.repository) == "release"


def test_a_checkout_in_ci_knows_main_without_a_kept_head(local: Project, tmp_path: Path) -> None:
    origin = _published(local)
    local.git("switch", "-qc", "feature")
    feature = local.commit({"towpath.yaml": NO_GATE}, "no gate")
    local.git("push", "-q", "origin", "feature")
    runner = Project(tmp_path / "runner")
    subprocess.run(["git", "init", "-q", str(runner.root)], check=True)
    runner.git("remote", "add", "origin", str(origin))
    runner.git(
        "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"
    )
    runner.git("checkout", "-q", "--detach", feature)
    main = local.git("rev-parse", "main")
    assert main_branch.seen_main_commit(runner.repository) is None
    assert main_branch.kept_head(runner.repository, "origin") is None
    assert main_branch.main_commit(runner.repository) == main
    assert promotion.check_promotion_branch(runner.workspace).inspected.base == main


def test_a_checkout_without_network_refuses_by_name(local: Project, tmp_path: Path) -> None:
    origin = _published(local)
    clone = _clone(origin, tmp_path / "clone")
    clone.git("remote", "set-head", "origin", "-d")
    clone.git("switch", "-q", "--detach")
    clone.git("branch", "-D", "main")
    origin.rename(tmp_path / "gone.git")
    code, said = _towpath(clone, "check", "--promotion")
    assert code == 1, said
    assert "which branch is main is not known" in said and "cannot be reached" in said
    assert "towpath fetch" in said
    assert _towpath(clone, "models")[0] == 0
    clone.git("remote", "set-head", "origin", "main")
    assert _towpath(clone, "check", "--promotion")[0] == 0


def test_reads_ask_no_network(local: Project, tmp_path: Path) -> None:
    local.promote(str(local.register(metrics={"mse": 3.5})), "dev")
    origin = _published(local)
    local.git("push", "-q", "origin", "main", "--tags")
    clone = _clone(origin, tmp_path / "clone")
    origin.rename(tmp_path / "gone.git")
    code, said = _towpath(clone, "models", "--json")
    assert code == 0, said
    assert json.loads(said)["models"][0]["stages"] == ["dev"]
    assert _towpath(clone, "show", "abalone#dev")[0] == 0


def test_a_remote_whose_head_names_nothing_is_refused(local: Project) -> None:
    version = str(local.register())
    origin = _published(local, "nothing")
    local.git("fetch", "-q", "origin")
    with pytest.raises(RegistryError, match="origin does not say it") as refused:
        main_branch.main_commit(local.repository)
    assert "git remote set-head origin" in str(refused.value.faults[0].hint)
    with pytest.raises(RegistryError, match="origin does not say it"):
        promotion.propose_promotion(local.workspace, version, "dev")
    local.git("remote", "set-head", "origin", "main")
    assert main_branch.main_branch_name(local.repository) == "main"
    registry.fetch_registry(local.repository)
    assert main_branch.main_branch_name(local.repository) == "main"
    assert remotes.remote_head_branch(local.repository, "origin") is None
    assert origin.exists()


def test_an_empty_remote_changes_nothing(local: Project, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "empty.git")], check=True)
    local.git("remote", "add", "origin", str(tmp_path / "empty.git"))
    assert main_branch.main_commit(local.repository) == local.git("rev-parse", "main")
    local.git("remote", "set-url", "origin", str(tmp_path / "nowhere.git"))
    assert main_branch.main_commit(local.repository) == local.git("rev-parse", "main")
    assert _towpath(local, "models")[0] == 0


def test_a_detached_head_without_a_branch_is_no_main_branch(local: Project) -> None:
    local.git("checkout", "-q", "--detach")
    local.git("branch", "-D", "main")
    assert main_branch.seen_main_commit(local.repository) is None
    with pytest.raises(RegistryError, match="a commit is checked out, and no branch is here"):
        main_branch.main_commit(local.repository)


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(tmp_path / "new")], check=True)
    new = Project(tmp_path / "new")
    assert main_branch.main_commit(new.repository) is None
    assert main_branch.main_branch_name(new.repository) == "trunk"
