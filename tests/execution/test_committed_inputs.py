"""What goes into a version is committed: every kind of input, and what runs write themselves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from running import FOLDER, Project, ran, reasons, states
from towpath import registry
from towpath.audit.lineage import trace_lineage
from towpath.versions.work_tree_files import note_own_files
from tracking import track

IGNORED = "data/raw.json not committed: Git ignores it, and no .dvc file covers it"


def ignore(project: Project, pattern: str = "data/*.json") -> None:
    """Git has never held the input."""
    project.write(".gitignore", f".towpath/\nartifacts/\n__pycache__/\n{pattern}\n")
    project.git("rm", "-rq", "--cached", "data")
    project.commit()


def reason(project: Project) -> str:
    return reasons(project.run())["register"]


def hint(project: Project) -> str:
    (fault,) = project.refused(require_register=True).faults
    assert fault.hint
    return fault.hint


def test_an_input_that_git_ignores_is_brought_under_dvc(project: Project) -> None:
    ignore(project)
    assert reason(project) == IGNORED
    assert project.plan()["register"] == f"skip: {IGNORED}"
    assert project.tags() == []
    assert hint(project) == "dvc add data/raw.json, then commit data/raw.json.dvc"
    track(project.root, project.root / "data/raw.json")
    project.commit()
    assert ran(project.run()) == {"register"}
    found = trace_lineage(project.workspace, "mean@v1.0.0").data[0]
    assert (found.path, found.pointer) == ("data/raw.json", "data/raw.json.dvc")


def test_a_pointer_that_git_ignores_too_is_told_with_its_line(project: Project) -> None:
    ignore(project, "/data/")
    assert hint(project) == (
        "take `/data/` out of .gitignore:4, dvc add data/raw.json, then commit data/raw.json.dvc"
    )


def folder_input(project: Project) -> None:
    """The pipeline takes the whole folder."""
    project.edit(f"{FOLDER}/pipeline.yaml", "raw: data/raw.json", "raw: data/")
    project.edit(f"{FOLDER}/steps.py", "def clean(raw: list)", "def clean(raw: Path)")
    project.code("in raw if", "in json.loads((raw / 'raw.json').read_text()) if")
    project.code('"""Plain functions."""', "import json\nfrom pathlib import Path")
    project.commit()


def test_a_folder_is_looked_at_to_the_last_file(project: Project) -> None:
    folder_input(project)
    project.write("data/a [1].log", "x")
    project.write("data/deep/b.log", "x")
    project.write(".git/info/exclude", "*.log\n")
    assert reason(project) == (
        "data not committed: Git ignores data/a [1].log, data/deep/b.log, "
        "and no .dvc file covers it"
    )
    assert hint(project) == "dvc add data, then commit data.dvc"
    track(project.root, project.root / "data/deep/b.log")
    project.commit()
    assert "Git ignores data/a [1].log, and" in reason(project)
    project.git("add", "-f", "data/a [1].log")
    project.commit()
    assert states(project.run())["register"] == "done"


def test_links_that_leave_the_repository(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("[1, 2]")
    (project.root / "data/raw.json").unlink()
    (project.root / "data/raw.json").symlink_to(elsewhere)
    project.commit()
    said = "data/raw.json not committed: data/raw.json leads out of the repository"
    assert reason(project) == said
    assert project.tags() == []
    inside = project.write("data/real.json", "[1, 2]")
    (project.root / "data/raw.json").unlink()
    (project.root / "data/raw.json").symlink_to(inside.name)
    project.commit()
    assert states(project.run())["register"] == "done"


def test_an_input_outside_of_the_project(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("[1, 2]")
    run = project.run(inputs={"raw": str(outside)}, register=True)
    said = f"{outside} not committed: it lies outside of the project"
    assert (reasons(run)["register"], project.tags()) == (said, [])
    assert run.sources["raw"] == {
        "path": str(outside), "digest": project.store.digest(outside).digest,
    }  # fmt: skip


def test_another_input_is_not_what_the_declared_pointer_says(project: Project) -> None:
    """Lineage once named the pointer of the declared file, with the digest of the other one."""
    ignore(project)
    track(project.root, project.root / "data/raw.json")
    project.write("data/other.json", "[5, 6]")
    project.commit()
    run = project.run(inputs={"raw": "data/other.json"}, register=True)
    assert reasons(run)["register"].startswith("data/other.json not committed: Git ignores it")
    other = track(project.root, project.root / "data/other.json").artifact
    project.commit()
    project.run(inputs={"raw": "data/other.json"}, register=True)
    found = trace_lineage(project.workspace, "mean@v1.0.0").data[0]
    assert (found.digest, found.path, found.pointer) == (
        other.digest, "data/other.json", "data/other.json.dvc",
    )  # fmt: skip
    drawn = project.towpath("lineage", "mean@v1.0.0").out
    assert "data/other.json.dvc" in drawn
    assert "data/raw.json" not in drawn


def test_a_model_that_was_an_input_is_named_by_its_version(project: Project) -> None:
    project.run()
    version = registry.get_version(project.workspace.registry, "mean@latest")
    project.edit(
        f"{FOLDER}/pipeline.yaml", "raw: data/raw.json", "raw: data/raw.json\n  base: mean@latest"
    )
    project.edit(
        f"{FOLDER}/pipeline.yaml", "inputs: [clean.rows]", "inputs: {rows: clean.rows, base: base}"
    )
    project.code("def fit(rows: list,", "def fit(rows: list, base: dict,")
    project.code('{"mean": factor', '{"mean": base["mean"] + factor')
    project.commit()
    run = project.run()
    assert run.sources["base"] == {
        "version": "mean@v1.0.0", "digest": version.record.artifact.digest,
    }  # fmt: skip
    data = trace_lineage(project.workspace, "mean@latest").data
    assert [(one.name, one.version, one.path) for one in data] == [
        ("raw", None, "data/raw.json"), ("base", "mean@v1.0.0", None),
    ]  # fmt: skip


STAGE = """\
stages:
  mine:
    cmd: cp data/source.json data/raw.json
    deps: [data/source.json]
    outs: [data/raw.json]
"""


def test_an_output_of_a_stage_of_the_user_s_own(project: Project) -> None:
    raw = project.root / "data/raw.json"
    ignore(project)
    project.write("dvc.yaml", STAGE)
    artifact = project.store.put(raw)
    row = f"- path: data/raw.json\n      hash: md5\n      md5: {artifact.digest}\n      size: 12"
    project.write(
        "dvc.lock", f"schema: '2.0'\nstages:\n  mine:\n    cmd: cp\n    outs:\n    {row}\n"
    )
    project.commit()
    assert states(project.run())["register"] == "done"
    raw.unlink()
    raw.write_text("[7, 8]")
    assert reason(project) == "data/raw.json not committed: it is not what dvc.lock says"


def test_a_file_that_a_step_read_without_saying_so(project: Project) -> None:
    project.code(
        "    return [number for number in raw",
        '    extra = json.loads(Path("notes/extra.json").read_text())\n'
        "    return [extra + number for number in raw",
    )
    project.code('"""Plain functions."""', "import json\nfrom pathlib import Path")
    project.write("notes/extra.json", "0")
    project.write(".git/info/exclude", "notes/\n")
    project.commit()
    said = "`clean` read notes/extra.json not committed: Git ignores it"
    assert reason(project) == said
    assert project.tags() == []
    project.write(".git/info/exclude", "")
    project.commit()
    assert states(project.run())["register"] == "done", "what is committed is known"


EDITING = """\
    from pathlib import Path

    file = Path("flows/training/steps.py")
    file.write_text(file.read_text().replace("COUNT = 3", "COUNT = 4"))
    return {"mean": COUNT * """


def test_code_that_is_edited_while_it_runs(project: Project) -> None:
    project.code("LEAST = 0", "LEAST = 0\nCOUNT = 3")
    project.code('    return {"mean": ', EDITING)
    project.commit()
    assert reason(project) == "code of `fit` was edited while it ran"
    assert project.tags() == []


def test_what_towpath_wrote_keeps_no_run_from_registering(project: Project) -> None:
    scored = project.write("scored/2026.parquet", "rows")
    assert reason(project) == "1 file not committed"
    note_own_files([scored])
    assert states(project.run())["register"] == "done"
    drawn = project.towpath("graph", "-o", "graph.txt")
    assert drawn.code == 0, drawn.err
    assert project.git("status", "--porcelain", "graph.txt") == "?? graph.txt"
    assert project.run(params={"factor": "3"}, register=True).registered_versions == (
        "mean@v1.1.0",
    )
    scored.write_text("other")
    run = project.run(params={"factor": "4"}, register=True)
    assert reasons(run)["register"] == "1 file not committed", "a hand has changed it"


def test_a_scored_table_is_no_input_by_itself(project: Project) -> None:
    """What Towpath wrote counts as data all the same where a pipeline reads it."""
    note_own_files([project.write("scored.json", "[1, 2]")])
    run = project.run(inputs={"raw": "scored.json"}, register=True)
    assert "scored.json" in reasons(run)["register"]
    assert project.tags() == []


def test_a_monorepo_s_data_beside_the_project(tmp_path: Path) -> None:
    from running import make

    whole = Project(tmp_path / "mono")
    one = make(whole.root / "one")
    whole.git("init", "-q", "-b", "main")
    whole.write("shared/raw.json", "[1, 2]")
    whole.commit()
    assert states(one.run())["register"] == "done"
    run = one.run(inputs={"raw": os.fspath(whole.root / "shared/raw.json")}, register=True)
    assert "it lies outside of the project" in reasons(run)["register"]


@pytest.mark.skipif(sys.platform == "darwin", reason="DVC's links need no test of their own there")
def test_data_that_dvc_keeps_as_links_is_tracked(project: Project) -> None:
    ignore(project)
    raw = project.root / "data/raw.json"
    pointer = track(project.root, raw)
    project.commit()
    raw.unlink()
    raw.symlink_to(project.store.path(pointer.artifact.digest))
    assert states(project.run())["register"] == "done"
