"""Registering at the end of a run: what must be committed, what gives a new version, odd clones."""

from __future__ import annotations

import shutil
import site
import sys
from pathlib import Path

import pytest

from running import FOLDER, Project, make, ran, reasons, states
from towpath import registry
from towpath.errors import UserError
from towpath.execution import pipeline_run
from towpath.execution.register_step import Registering
from towpath.planning.run_request import RunRequest
from towpath.registry import VersionRecord
from tracking import track


def record(project: Project, reference: str) -> VersionRecord:
    repository = project.workspace.repository
    assert repository
    return registry.get_version(repository, reference).record


def test_from_uncommitted_changes_to_the_second_version(project: Project) -> None:
    project.code("factor * sum", "1.0 * factor * sum")
    first = project.run()
    assert (first.state, first.exit_code) == ("done", 0)
    assert reasons(first)["register"] == "1 file not committed"
    assert project.plan()["register"] == "skip: 1 file not committed"
    project.write("notes.txt", "new")
    error = project.refused(require_register=True)
    assert error.exit_code == 2
    (fault,) = error.faults
    assert fault.what == "cannot register: 2 files not committed"
    assert fault.hint == f"{FOLDER}/steps.py, notes.txt"

    project.git("add", "flows", "notes.txt")
    project.git("commit", "-qm", "work")
    second = project.run()
    assert ran(second) == {"register"}, "after the commit a run only registers"
    assert reasons(second)["fit"] == f"made by {first.id}"
    assert project.git("status", "--porcelain") == "?? dvc.lock\n?? dvc.yaml"
    assert project.git("branch", "--show-current") == "main"
    third = project.run(require_register=True)
    assert (ran(third), states(third)["register"]) == (set(), "reused")
    assert project.tags() == ["mean@v1.0.0"]

    found = record(project, "mean@v1.0.0")
    assert found.metrics == {"error": pytest.approx(7.0), "rows": 3}
    assert found.parameters == {"factor": 2, "limit": 100}
    assert found.code.commit == project.git("rev-parse", "HEAD")
    assert found.run == second.id
    assert found.author == "Ada Tester <ada@example.org>"
    assert found.path == "artifacts/training/fit/model.json"
    assert found.artifact == second.steps["fit"].made.outputs["model"]
    parent, commit = project.git("rev-list", "--parents", "-1", "mean@v1.0.0").split()[::-1]
    assert parent == project.git("rev-parse", "HEAD")
    added = project.git("diff", "--name-status", parent, commit).splitlines()
    assert added == ["A\tdvc.lock", "A\tdvc.yaml", "A\tregistry/models/mean/v1.0.0.yaml"]
    assert found.artifact.digest in project.git("show", f"{commit}:dvc.lock")

    project.commit("what the run wrote")
    assert ran(project.run()) == set(), "a commit that changes no code is no new version"
    other = project.run(params={"factor": "3"}, register=True)
    assert ran(other) == {"fit", "score", "register"}
    assert project.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    said = project.git("show", f"mean@v1.1.0:{FOLDER}/pipeline.yaml")
    assert "factor: {default: 3" in said, "the version's commit says the values it was made with"
    assert record(project, "mean@latest").metrics["error"] > found.metrics["error"]
    assert project.git("status", "--porcelain") == ""
    project.assert_whole()


def test_tracked_data_that_differs_from_its_pointer_is_not_committed(project: Project) -> None:
    raw = project.root / "data/raw.json"
    project.git("rm", "-q", "--cached", "data/raw.json")
    track(project.root, raw)
    project.commit()
    raw.write_text("[5, 6]")
    assert project.git("status", "--porcelain") == ""
    said = "data/raw.json not committed: it is not what data/raw.json.dvc says"
    assert reasons(project.run())["register"] == said
    assert project.tags() == []
    project.write("notes.txt", "new")
    files, data = project.refused(require_register=True).faults
    assert files.what == "cannot register: 1 file not committed"
    assert (data.what, data.hint) == (
        f"cannot register: {said}", "dvc add data/raw.json, then commit data/raw.json.dvc",
    )  # fmt: skip

    track(project.root, raw)
    project.commit()
    assert ran(project.run(require_register=True)) == {"register"}
    pointer = project.git("show", "mean@v1.0.0:data/raw.json.dvc")
    assert record(project, "mean@v1.0.0").data["raw"] in pointer


def test_clones_and_heads_of_all_kinds(project: Project, tmp_path: Path) -> None:
    def again() -> str:
        return reasons(project.run())["register"]

    project.git("config", "user.useConfigOnly", "true")
    project.git("config", "user.name", "")
    project.git("config", "user.email", "")
    assert "Git" in again()
    with pytest.raises(UserError, match="Git does not know who you are"):
        project.run(require_register=True)
    for name in ("name", "email"):
        project.git("config", "--unset", f"user.{name}")

    shutil.move(project.root / ".git", tmp_path / "aside")
    assert again() == "no Git repository"
    with pytest.raises(UserError, match="cannot register: no Git repository"):
        project.run(require_register=True)
    project.git("init", "-q")
    assert again() == "nothing is committed yet"
    shutil.rmtree(project.root / ".git")
    shutil.move(tmp_path / "aside", project.root / ".git")

    project.git("checkout", "-q", "--detach")
    detached = project.run()
    assert (ran(detached), project.tags()) == ({"register"}, ["mean@v1.0.0"])
    assert states(project.run())["register"] == "reused"

    project.git("commit", "-qm", "another", "--allow-empty")
    shallow = Project(tmp_path / "shallow")
    project.git("clone", "-q", "--depth", "1", "--no-tags", f"file://{project.root}", shallow.root)
    shutil.copytree(project.store.layout.cache, shallow.root / ".dvc" / "cache")
    assert reasons(shallow.run())["register"] == "a shallow clone lacks the versions before"
    with pytest.raises(UserError, match="fetch-depth: 0"):
        shallow.run(require_register=True)


def test_a_remote_gives_the_number(project: Project, tmp_path: Path) -> None:
    project.git("clone", "-q", "--bare", str(project.root), str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.git("fetch", "-q")
    first = project.run()
    name = str(first.steps["register"].made.facts["version"])
    assert name.startswith("mean@")
    assert "v1" not in name, "it waits for its number"
    assert project.tags() == []
    again = project.run()
    assert (ran(again), reasons(again)["register"]) == (set(), f"registered as {name}")
    project.run(push=True)
    assert project.tags() == ["mean@v1.0.0"]
    assert project.git("ls-remote", "--tags", "--refs", "origin").endswith("refs/tags/mean@v1.0.0")
    assert reasons(project.run())["register"] == "registered as mean@v1.0.0"


def test_two_projects_in_one_repository(tmp_path: Path) -> None:
    whole = Project(tmp_path / "mono rèpo")
    whole.write("README.md", "two projects")
    pipeline = make(tmp_path / "throw").root / FOLDER / "pipeline.yaml"
    text = pipeline.read_text()
    one = make(whole.root / "teams" / "one")
    other = make(
        whole.root / "two", {f"{FOLDER}/pipeline.yaml": text.replace("as: mean", "as: other")}
    )
    whole.git("init", "-q", "-b", "main")
    whole.commit()
    assert states(one.run())["register"] == "done"
    assert states(other.run())["register"] == "done", "what the first run wrote is no change"
    assert whole.tags() == ["mean@v1.0.0", "other@v1.0.0"]
    found = record(one, "mean@v1.0.0")
    assert found.path == "teams/one/artifacts/training/fit/model.json"
    added = whole.git("diff", "--name-only", "main", "mean@v1.0.0").splitlines()
    assert added == [
        "registry/models/mean/v1.0.0.yaml", "teams/one/dvc.lock", "teams/one/dvc.yaml",
    ]  # fmt: skip
    whole.git("add", "-A")
    whole.git("commit", "-qm", "outputs")
    one.code("LEAST = 0", "LEAST = 1")
    tried = other.run(params={"factor": "3"}, register=True)
    assert reasons(tried)["register"] == "1 file not committed"
    whole.commit()
    assert ran(other.run(params={"factor": "3"}, register=True)) == {"register"}
    assert whole.tags() == ["mean@v1.0.0", "other@v1.0.0", "other@v1.1.0"]
    said = one.towpath("models", "--json").json["models"]
    assert [version["version"] for version in said] == ["v1.0.0", "v1.1.0", "v1.0.0"]


def test_ci_believes_only_ci(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run(end="score")
    monkeypatch.setenv("CI", "true")
    assert project.plan()["clean"] == (
        "run: its result was written by `local`, which is not trusted here"
    )
    project.write("notes.txt", "new")
    assert "cannot register: 1 file not committed" in str(project.refused())
    project.commit()
    assert ran(project.run()) == {"clean", "fit", "score", "register"}
    assert ran(project.run()) == set()
    monkeypatch.delenv("CI")
    assert ran(project.run()) == set(), "what CI wrote is believed by all"
    project.assert_whole()


def test_code_that_git_ignores_is_not_committed(project: Project) -> None:
    project.write(f"{FOLDER}/helper.py", "def same(x):\n    return x\n")
    project.code("\n\ndef fit(", "\n\nfrom helper import same\n\n\ndef fit(")
    project.code("factor * sum", "same(factor) * sum")
    project.write(".git/info/exclude", "helper.py\n")
    project.commit()
    assert project.git("status", "--porcelain") == ""
    run = project.run()
    assert reasons(run)["register"] == f"{FOLDER}/helper.py not committed: Git ignores it"
    assert project.tags() == []
    project.write(".git/info/exclude", "")
    project.commit()
    assert states(project.run())["register"] == "done"


LIBRARY = "def same(x):\n    return x\n"


def use_library(project: Project) -> None:
    project.code("\n\ndef fit(", "\n\nfrom helper import same\n\n\ndef fit(")
    project.code("factor * sum", "same(factor) * sum")
    project.commit()


def test_a_library_outside_the_repository_counts_and_is_no_version(
    project: Project, tmp_path: Path
) -> None:
    library = tmp_path / "library" / "helper.py"
    library.parent.mkdir()
    library.write_text(LIBRARY)
    use_library(project)
    path = {"PYTHONPATH": str(library.parent)}
    said = project.towpath("plan", **path)
    assert said.code == 0, said.err
    said = project.towpath("run", **path)
    assert said.code == 0, said.err
    reason = f"{library} not committed: it lies outside the repository"
    assert reason in " ".join((said.out + said.err).split())
    assert project.tags() == []
    assert str(library) not in (project.root / "dvc.yaml").read_text()
    refused = project.towpath("run", "--require-register", **path)
    assert (refused.code, "cannot register" in refused.err) == (2, True)
    assert "install it as a package" in refused.err
    library.write_text("def same(x):\n    return x + 0\n")
    said = project.towpath("plan", "--json", **path)
    verdicts = {step["step"]: step["verdict"] for step in said.json["plan"]}
    assert (verdicts["clean"], verdicts["fit"]) == ("reuse", "run")


@pytest.mark.parametrize("where", ["a parent", "a .pth file", "a link", "a link within", "nested"])
def test_wherever_a_library_lies_a_plan_can_be_made(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    beside = project.root / FOLDER
    elsewhere = {
        "a parent": project.root.parent,
        "a .pth file": tmp_path / "behind",
        "a link": tmp_path / "linked",
        "a link within": project.root / "shared",
        "nested": project.root / "nested",
    }[where]
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "helper.py").write_text(LIBRARY)
    if where.startswith("a link"):
        (beside / "helper.py").symlink_to(elsewhere / "helper.py")
    elif where == "nested":
        project.git("init", "-q", str(elsewhere))
        project.write(".git/info/exclude", "nested\n")
    if where in ("a parent", "nested"):
        monkeypatch.syspath_prepend(elsewhere)
    elif where == "a .pth file":
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "library.pth").write_text(f"{elsewhere}\n")
        monkeypatch.setattr(sys, "path", [*sys.path])
        site.addsitedir(str(tmp_path / "site"))
    use_library(project)
    assert project.plan()["fit"] == "undecided: after `clean`"
    within = {"a link within": "committed", "nested": "Git ignores it"}
    expected = within.get(where, "it lies outside")
    graph = pipeline_run.prepare_run(project.workspace, RunRequest("training")).graph
    readiness = Registering(project.workspace, graph).readiness
    assert expected in getattr(readiness, "reason", "committed")


def test_a_run_says_what_it_published(project: Project, tmp_path: Path) -> None:
    project.git("init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    said = project.towpath("run", "--push")
    assert (said.code, said.err.splitlines()[-1]) == (0, "published mean@v1.0.0")


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_without_git_there_is_nothing_to_push(loose: Project, verb: str) -> None:
    said = loose.towpath(verb)
    assert said.code == 2
    assert said.err.startswith("error: this project is in no Git repository")
