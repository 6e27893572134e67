"""Two clones that work together by push and pull: real Git, and a folder as DVC's remote."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from command_line import call_dvc
from running import Project, ran, states
from towpath.audit.reproduction import reproduce_version
from towpath.backends.prefect import server
from towpath.backends.prefect.server import api_home
from towpath.versions import push_and_pull
from tracking import track

RAW = "data/raw.json"


@pytest.fixture
def ada(project: Project, tmp_path: Path) -> Project:
    """A clone whose data DVC tracks, that ran and pushed."""
    project.git("init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.write(
        ".dvc/config", f"[core]\n    remote = r\n['remote \"r\"']\n    url = {tmp_path}/r\n"
    )
    project.git("rm", "-q", "--cached", RAW)
    track(project.root, project.root / RAW)
    _publish(project, "[1, 2, -3, 4]")
    return project


def _publish(project: Project, raw: str) -> None:
    (project.root / RAW).write_text(raw)
    track(project.root, project.root / RAW)
    project.commit("data")
    project.run()
    project.commit("what the run wrote")
    project.git("push", "-q", "-u", "origin", "main")
    push_and_pull.push_project(project.workspace).complete()


def _clone(project: Project, name: str) -> Project:
    made = Project(project.root.parent / name)
    address = project.git("remote", "get-url", "origin")
    project.git("clone", "-q", address, str(made.root))
    return made


def _dvc(project: Project, *words: str) -> str:
    return call_dvc(project.root, *words).stdout.strip()


def test_a_clone_that_pulls_is_as_after_the_run(ada: Project) -> None:
    bob = _clone(ada, "bob")
    assert push_and_pull.pull_project(bob.workspace).left == ()
    assert _dvc(bob, "status") == "Data and pipelines are up to date."
    assert bob.output("fit/model.json") == ada.output("fit/model.json")
    before = (bob.artifacts / "fit/model.json").stat().st_mtime_ns
    assert ran(bob.run()) == set()
    assert bob.git("status", "--porcelain") == ""
    assert (bob.artifacts / "fit/model.json").stat().st_mtime_ns == before

    bob.edit("flows/training/pipeline.yaml", "outputs: [metrics.json]", "outputs: [m.json]")
    bob.edit("flows/training/pipeline.yaml", "if: score.metrics", "if: score.m")
    bob.edit("flows/training/pipeline.yaml", "{score.metrics.", "{score.m.")
    bob.edit(
        "flows/training/pipeline.yaml",
        "inputs: [fit.model, score.metrics]",
        "inputs: [fit.model, score.m]",
    )
    assert bob.run().exit_code == 0
    assert [p.name for p in (bob.artifacts / "score").iterdir()] == ["m.json"], "pulled, so a run's"


def test_a_teammates_change_of_data_arrives(ada: Project, caplog: pytest.LogCaptureFixture) -> None:
    bob = _clone(ada, "bob")
    push_and_pull.pull_project(bob.workspace).complete()
    bob.run()
    _publish(ada, "[7, 8]")
    bob.git("pull", "-q")
    assert push_and_pull.pull_project(bob.workspace).left == ()
    assert (bob.root / RAW).read_text() == "[7, 8]"
    assert ran(bob.run()) == set()
    assert bob.git("status", "--porcelain") == ""

    (bob.root / RAW).write_text("[9]")
    bob.run()  # so that the store knows these bytes, which are bob's work all the same
    bob.git("checkout", "-q", "dvc.lock")
    assert push_and_pull.pull_project(bob.workspace).left == (RAW,)
    assert (bob.root / RAW).read_text() == "[9]"
    assert f"{RAW} was changed here" in caplog.text
    assert states(ada.run())["register"] == "reused"


def test_a_version_can_be_made_again_from_what_was_pushed(
    ada: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a clone that has only the remote; and nothing of Prefect's goes on afterwards."""
    ada.git("rm", "-q", "--cached", f"{RAW}.dvc")
    (ada.root / f"{RAW}.dvc").unlink()  # the data is only in the versions' records from now on
    (ada.root / ".git/info/exclude").write_text(f"/{RAW}\n")
    (ada.root / RAW).write_text("[3, 5]")
    ada.commit("untracked")
    ada.run()
    ada.git("push", "-q")
    push_and_pull.push_project(ada.workspace).complete()
    eve = _clone(ada, "eve")
    push_and_pull.pull_project(eve.workspace).complete()
    monkeypatch.delenv("PREFECT_API_URL")
    # Of its own: tests beside this one start APIs below the common one.
    blank = server.start_api.blank_path()
    monkeypatch.setenv("TOWPATH_HOME", str(ada.root.parent / "home"))
    server.start_api.blank_path().parent.mkdir(parents=True)
    shutil.copy(blank, server.start_api.blank_path())  # to make one takes three seconds
    assert reproduce_version(eve.workspace, "mean@latest").verdict == "bytes"
    assert set((api_home.base_folder() / "prefect").iterdir()) <= {server.start_api.blank_path()}
    assert str(eve.root) not in os.environ.get("PREFECT_API_URL", "")


def test_what_went_is_said_before_what_did_not(ada: Project, tmp_path: Path) -> None:
    origin, away = tmp_path / "origin.git", tmp_path / "away.git"
    shutil.rmtree(tmp_path / "r")
    origin.rename(away)
    pushed = ada.towpath("push")
    assert pushed.code == 1
    assert "store r: pushed" in pushed.err.splitlines()[0]
    assert "registry origin: pushed" not in pushed.err
    away.rename(origin)
    assert "registry origin: pushed" in ada.towpath("push").err

    eve = _clone(ada, "eve")
    raw = ada.store.digest(ada.root / RAW).digest
    (tmp_path / "r" / "files" / "md5" / raw[:2] / raw[2:]).unlink()
    (eve.root / "evil.csv.dvc").write_text(
        f"outs:\n- path: ../evil.csv\n  md5: {raw}\n  hash: md5\n"
    )
    partly = eve.towpath("pull")
    assert partly.code == 1
    assert "store r: pulled" in partly.err
    assert raw in partly.err, "what did not come"
    assert "evil.csv.dvc" in partly.err, "and what must not be placed"

    bob = _clone(ada, "bob")
    bob.git("tag", "-d", "mean@v1.0.0")
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "r").write_text("no folder")
    pulled = bob.towpath("pull")
    assert pulled.code == 1
    assert pulled.err.startswith("registry origin: pulled mean@v1.0.0\n")
    assert "store r: pulled" not in pulled.err


def test_a_store_that_falls_silent_hides_nothing_that_was_published(
    ada: Project, tmp_path: Path
) -> None:
    (ada.root / RAW).write_text("[1, 2, -3, 5]")
    track(ada.root, ada.root / RAW)
    ada.commit("data")
    ada.run()
    ada.commit("what the run wrote")
    # Once the tags are there, nobody answers any more where the store was.
    silent = "url = s3://nobody/x\n    endpointurl = http://127.0.0.1:9\n"
    (tmp_path / "silent").write_text(f"[core]\n    remote = r\n['remote \"r\"']\n    {silent}")
    hook = tmp_path / "origin.git" / "hooks" / "post-receive"
    hook.write_text(f"#!/bin/sh\ncp '{tmp_path}/silent' '{ada.root}/.dvc/config'\n")
    hook.chmod(0o755)
    pushed = ada.towpath("push")
    assert pushed.code == 0, pushed.err
    assert "whether r has the bytes of what was published is not known" in pushed.err
    version = ada.git("tag", "--list", "mean@*", "--sort=-creatordate").splitlines()[0]
    assert f"registry origin: pushed {version}" in pushed.err, pushed.err
    assert version in ada.git("ls-remote", "--tags", "origin")
