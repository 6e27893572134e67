"""Runs in repositories as people have them: other line ends, submodules, work trees, pointers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from running import FOLDER, PIPELINE, Project, make, ran, reasons
from towpath import projects
from towpath.delivery import promotion, reconcile
from towpath.doctor import examine_project

DECLARED = """\
name: small
stages:
  dev: {deploy: {to: files, path: deploy/dev}}
policy: {self_approval: true}
"""
CRLF = {"core.autocrlf": "true", "core.safecrlf": "true"}


def lay_out_again(project: Project) -> None:
    """Every file as Git lays it out now."""
    project.git("rm", "-rq", "--cached", ".")
    project.git("reset", "-q", "--hard")


def in_crlf(folder: Path, *names: str) -> list[str]:
    return [name for name in names if b"\r\n" in (folder / name).read_bytes()]


def test_a_project_laid_out_with_crlf_runs_registers_and_deploys(tmp_path: Path) -> None:
    files = {
        "towpath.yaml": DECLARED,
        f"{FOLDER}/fit.sql": "select *\nfrom rows\n",
        f"{FOLDER}/pipeline.yaml": PIPELINE.replace(
            "    params: [factor]\n", "    params: [factor]\n    code: [fit.sql]\n"
        ),
    }
    project = make(tmp_path / "small", files)
    project.git("init", "-q", "-b", "main")
    with (project.root / ".gitignore").open("a") as ignored:
        ignored.write("deploy/\n")
    project.commit()
    assert project.run().exit_code == 0
    project.edit("dvc.yaml", "stages:\n", "# mine\nstages:\n  own:\n    cmd: 'true'\n")
    project.commit("what the run wrote")
    before = project.plan()
    for key, value in CRLF.items():
        project.git("config", key, value)
    lay_out_again(project)
    own = ("towpath.yaml", "dvc.yaml", "dvc.lock", f"{FOLDER}/steps.py", f"{FOLDER}/fit.sql")
    assert in_crlf(project.root, *own) == list(own)

    assert project.plan() == before, "the same code is the same, whatever ends its lines"
    assert ran(project.run(require_register=True)) == set()
    with (project.root / FOLDER / "fit.sql").open("ab") as code:
        code.write(b"limit 5\r\n")
    project.commit("other code")
    done = project.run(require_register=True)
    assert done.exit_code == 0
    assert ran(done) == {"fit", "register"}
    assert project.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    assert "# mine\r\nstages:\r\n  own:" in (project.root / "dvc.yaml").read_bytes().decode()
    assert b"\n" not in (project.root / "dvc.yaml").read_bytes().replace(b"\r\n", b"")
    shown = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "mean@v1.1.0"], cwd=project.root,
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "registry/models/mean/v1.1.0.yaml" in shown
    for name in shown:
        assert "\r" not in project.git("show", f"mean@v1.1.0:{name}"), name

    project.commit("what the run wrote")
    made = promotion.propose_promotion(project.workspace, "mean@v1.1.0", "dev")
    promotion.approve_promotion(project.workspace, made.branch)
    assert project.git("status", "--porcelain") == ""
    assert reconcile.reconcile_stage(project.workspace, "dev").exit_code == 0
    deployed = project.root / "deploy/dev/mean/current/model.json"
    assert json.loads(deployed.read_text())["mean"] > 0
    assert project.towpath("verify", "--offline").code == 0


def test_a_new_project_has_the_same_bytes_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings of Git for Windows, from the first commit on."""
    config = tmp_path / "gitconfig"
    config.write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.org\n"
        "[core]\n\tautocrlf = true\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    made = Project(projects.make_from_template("tabular", tmp_path, {}, ask=False))
    table = (made.root / "data/abalone.csv").read_bytes()
    made.git("rm", "-q", "--cached", "data/abalone.csv.dvc")
    made.write("data/small.csv", "a,b\n1,2\n")
    made.commit("a table of Git's")
    clone = Project(tmp_path / "clone")
    made.git("clone", "-q", str(made.root), str(clone.root))
    ends = clone.git("ls-files", "--eol").split("\n")
    assert [line for line in ends if "w/crlf" in line and not line.endswith("/LICENSE")] == []
    assert (clone.root / "data/small.csv").read_bytes() == b"a,b\n1,2\n"
    assert (made.root / "data/abalone.csv").read_bytes() == table
    assert [
        c.said for c in examine_project(clone.workspace, offline=True) if "line ends" in c.said
    ] == []


def test_doctor_names_data_whose_line_ends_git_changes(project: Project) -> None:
    project.write("data/raw.json", "[1,\n2]\n")
    project.commit("over two lines")
    project.git("config", "core.autocrlf", "true")
    lay_out_again(project)
    (check,) = [
        c for c in examine_project(project.workspace, offline=True) if "line ends" in c.said
    ]
    assert check.verdict == "unknown"
    assert check.said.startswith("Git changes the line ends of data/raw.json, an input:")
    assert check.hint is not None
    with (project.root / ".gitattributes").open("w") as attributes:
        attributes.write("data/** -text\n")
    project.commit("as the hint says")
    lay_out_again(project)
    assert [
        c for c in examine_project(project.workspace, offline=True) if "line ends" in c.said
    ] == []


POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def test_a_pointer_of_git_lfs_is_not_read_as_data_nor_as_code(project: Project) -> None:
    """What a clone without git-lfs has in the place of the files."""
    project.write("data/raw.json", POINTER)
    project.commit("LFS")
    (fault,) = project.refused().faults
    assert fault.what == "input `raw`: data/raw.json is a pointer of Git LFS, and not the data"
    assert fault.hint and fault.hint.startswith("git lfs pull")
    said = [c for c in examine_project(project.workspace, offline=True) if "LFS" in c.said]
    assert [(c.verdict, c.said) for c in said] == [
        ("lacks", "data/raw.json is a pointer of Git LFS, not the data")
    ]
    project.edit(f"{FOLDER}/pipeline.yaml", "raw: data/raw.json", "raw: data/")
    assert "data/raw.json is a pointer" in project.refused().faults[0].what
    project.edit(f"{FOLDER}/pipeline.yaml", "raw: data/", "raw: data/raw.json")
    project.write("data/raw.json", "[1, 2]")
    project.write(f"{FOLDER}/steps.py", POINTER)
    said_of_code = project.towpath("check")
    assert said_of_code.code == 2
    assert "`flows/training/steps.py` is a pointer of Git LFS, and not the file" in said_of_code.err


LOCAL = ("-c", "protocol.file.allow=always")  # Git does not clone from a folder by itself


def with_submodules(tmp_path: Path) -> tuple[Project, Project, Project]:
    """A project whose code is in a submodule, and in one of that."""
    inner, lib = Project(tmp_path / "inner"), Project(tmp_path / "lib")
    for repository, text in ((inner, "LEAST = 0\n"), (lib, "from .inner import least\n\n\n")):
        repository.root.mkdir()
        repository.git("init", "-q", "-b", "main")
        repository.write("least.py" if repository is inner else "means.py", text)
    inner.write("__init__.py", "")
    inner.commit()
    lib.write(
        "means.py",
        """\
        from shared.inner.least import LEAST


        def mean(rows):
            return sum(row for row in rows if row > LEAST) / len(rows)
        """,
    )
    lib.write("__init__.py", "")
    lib.commit()
    lib.git(*LOCAL, "submodule", "--quiet", "add", str(inner.root), "inner")
    lib.commit("inner")
    project = make(tmp_path / "whole")
    project.git("init", "-q", "-b", "main")
    project.code("sum(rows) / len(rows)", "means.mean(rows)")
    project.code("LEAST = 0\n", "from shared import means\n\nLEAST = 0\n")
    project.git(*LOCAL, "submodule", "--quiet", "add", str(lib.root), "shared")
    project.git(*LOCAL, "submodule", "--quiet", "update", "--init", "--recursive")
    project.commit()
    return project, Project(project.root / "shared"), Project(project.root / "shared" / "inner")


def test_code_in_a_submodule_registers_where_its_commit_is_the_one_that_is_pinned(
    tmp_path: Path,
) -> None:
    project, shared, inner = with_submodules(tmp_path)
    done = project.run(require_register=True)
    assert done.exit_code == 0, done.error
    assert project.tags() == ["mean@v1.0.0"]
    project.commit("what the run wrote")

    inner.write("least.py", "LEAST = 1\n")
    reason = "the submodule shared is not as it is committed: files in it are changed"
    assert reasons(project.run())["register"] == reason
    inner.commit("changed")
    shared.commit("changed")
    reason = "the submodule shared is not as it is committed: its commit is not the one that is"
    assert reasons(project.run())["register"].startswith(reason)
    project.commit("the gitlink")
    assert project.run(require_register=True).exit_code == 0
    assert project.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
    for version in project.tags():
        made = project.towpath("reproduce", version, "--json")
        assert made.code == 0, made.err
        assert made.json["reproduction"]["verdict"] == "bytes"
    assert project.git("worktree", "list").count("\n") == 0


def test_a_submodule_that_is_not_set_up_is_named(tmp_path: Path) -> None:
    project, _, _ = with_submodules(tmp_path)
    clone = Project(tmp_path / "clone")
    project.git("clone", "-q", str(project.root), str(clone.root))
    said = clone.towpath("check")
    assert said.code == 2
    assert "the submodule shared is not set up, and this pipeline speaks of it" in said.err
    assert "git submodule update --init --recursive" in said.err
    assert "the submodule shared is not set up" in clone.refused().faults[-1].what
    found = [c.said for c in examine_project(clone.workspace, offline=True) if c.verdict == "lacks"]
    assert found[0] == "the submodule shared is not set up"
    clone.git(*LOCAL, "submodule", "--quiet", "update", "--init")
    assert "the submodule shared/inner is not set up" in clone.towpath("doctor", "--offline").out
    clone.git(*LOCAL, "submodule", "--quiet", "update", "--init", "--recursive")
    assert clone.towpath("check").code == 0
    assert clone.run(require_register=True).exit_code == 0
