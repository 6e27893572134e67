"""Where a version came from and where it went; versions side by side; and what a terminal shows."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from audit_project import Project
from command_line import call_towpath
from running import Said
from towpath import registry
from towpath.audit.lineage import trace_lineage
from tracking import track

PIPELINE = """\
inputs:
  raw: data/raw.csv
  base: penguins#dev
steps:
  fit: {run: fit, inputs: [raw, base], outputs: [model.bin]}
"""


def towpath(project: Project, *words: str) -> Said:
    done = call_towpath(project.root, *words, COLUMNS="140")
    return Said(done.returncode, done.stdout, done.stderr)


def test_data_code_promotions_and_what_was_made_of_it(project: Project) -> None:
    project.write("flows/training/pipeline.yaml", PIPELINE)
    project.write("data/raw.csv", "a\n1\n")
    raw = track(project.root, project.root / "data/raw.csv").artifact
    project.commit("a pipeline")
    base = registry.get_version(project.repository, "penguins@v1.0.0").record.artifact.digest
    sources = {
        "raw": registry.DataSource("data/raw.csv", "data/raw.csv.dvc"),
        "base": registry.DataSource("penguins#dev"),
    }
    name = project.register(b"four", data={"raw": raw.digest, "base": base}, sources=sources)
    found = trace_lineage(project.workspace, name)
    assert found.record.code.commit == project.git("rev-parse", "HEAD")
    data, model = found.data
    assert (data.path, data.pointer) == ("data/raw.csv", "data/raw.csv.dvc")
    assert (data.digest, data.version) == (raw.digest, None)
    assert (model.path, model.version) == ("penguins#dev", "penguins@v1.0.0")
    assert (found.before, found.promotions, found.used_by) == ("abalone@v1.1.0", (), ())
    assert trace_lineage(project.workspace, "penguins@v1.0.0").used_by == (name,)


def test_the_way_since(told: Project) -> None:
    found = trace_lineage(told.workspace, "abalone#prod")
    assert found.version == "abalone@v1.0.0"
    assert [one.stage for one in found.promotions] == ["dev", "uat", "prod", "prod"]
    assert found.deployments == found.promotions
    last = found.promotions[-1]
    assert (last.until, last.over) == (None, "v1.1.0")


def test_the_drawings(told: Project, tmp_path: Path) -> None:
    text = towpath(told, "lineage", "abalone@v1.0.0")
    assert text.code == 0
    for words in ("★ abalone@v1.0.0", "✓ prod (2)", "● abalone#prod#", "recorded by Bo Diddley"):
        assert words in text.out
    mermaid = towpath(told, "lineage", "abalone@v1.0.0", "--format", "mermaid").out
    assert mermaid.startswith("flowchart TD\n")
    assert "#35;prod" in mermaid  # a bare # would begin an entity
    file = tmp_path / "lineage.svg"
    assert towpath(told, "lineage", "abalone#prod", "-o", str(file)).code == 0
    assert ElementTree.parse(file).getroot().tag.endswith("svg")
    said = towpath(told, "lineage", "abalone@v1.0.0", "--json").json["lineage"]
    assert [one["stage"] for one in said["deployments"]] == ["dev", "uat", "prod", "prod"]
    assert said["record"]["version"] == "v1.0.0"


def test_things_of_the_same_name(project: Project) -> None:
    """An input and a pipeline may share a name, and with a stage too."""
    digest = "0b" * 16
    name = project.register(b"8", data={"training": digest, "dev": digest}, pipeline="training")
    project.promote(name, "dev")
    drawn = towpath(project, "lineage", name).out
    for words in ("○ training  ", "● training (2)", "○ dev  ", "✓ dev (2)", f"★ {name}"):
        assert words in drawn


def test_five_side_by_side(project: Project) -> None:
    names = ["abalone@v1.0.0", "abalone@v1.1.0", "penguins@v1.0.0"]
    names += [project.register(content, labels={"team": "b"}) for content in (b"5", b"6")]
    found = registry.compare_versions(project.repository, names)
    rows = {(row.section, row.name): row.values for row in found.rows}
    assert rows["stages", "in"] == ("prod", "dev, uat", None, None, None)
    assert rows["labels", "team"] == (None, "risk", None, "b", "b")
    assert rows["metrics", "mse"] == (4.5, 4.25, None, 4.5, 4.5)
    assert all(name in towpath(project, "compare", *names).out for name in names)


def test_what_a_terminal_shows(project: Project) -> None:
    history = towpath(project, "history", "abalone", "--stage", "prod")
    first, *_ = history.out.splitlines()[2:]
    assert first.split()[:2] == ["abalone@v1.0.0", "prod"]
    assert "recorded: Bo Diddley" in history.out
    at = towpath(project, "history", "abalone", "--stage", "prod", "--at", "2031-01-01")
    assert "prod at 2031-01-01T23:59:59Z (the end of that day)" in at.out
    assert "ran       abalone@v1.0.0, since" in at.out
    clean = towpath(project, "verify")
    assert (clean.code, clean.out) == (
        0,
        "as the merged stage files say: 9 promotions, 9 stage tags, 3 versions\n",
    )
    project.git("tag", "penguins#prod#90", "penguins@v1.0.0^{commit}")
    forged = towpath(project, "verify")
    assert forged.code == 3
    assert forged.out.splitlines()[0] == "✗ stage tag: penguins#prod#90"
    document = towpath(project, "verify", "--json")
    assert document.code == 3
    [one] = document.json["verification"]["findings"]
    assert (one["check"], one["place"]["file"]) == ("stage tag", "penguins#prod#90")
    found = towpath(project, "search", 'mse < 5 and stage == "prod"')
    assert "abalone@v1.0.0" in found.out
    assert "1 of 3 versions" in found.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["history", "abalon"], "did you mean `abalone`?"),
        (["history", "abalone", "--stage", "prd"], "did you mean `prod`?"),
        (["history", "abalone", "--at", "soon"], "write 2026-03-01"),
        (["search", "metrics.msee < 1"], "did you mean `mse`?"),
        (["lineage", "abalone@v1.0.1"], "did you mean `v1.0.0`?"),
        (["verify", "penguin"], "did you mean `penguins`?"),
        (["reproduce", "abalone@1.0.0"], "abalone@v1.0.0"),
    ],
)
def test_a_wrong_call_is_answered_with_the_near_name(
    told: Project, words: list[str], hint: str
) -> None:
    said = towpath(told, *words, "--json")
    assert said.code == 2
    document = json.loads(said.out)
    assert document["kind"] == "error"
    assert hint in document["faults"][0]["hint"]


def test_markup_in_a_label_is_shown_as_it_is(project: Project) -> None:
    project.register(b"7", labels={"team": "[red]ops[/red]"})
    said = towpath(project, "search", 'team == "[red]ops[/red]"')
    assert "[red]ops[/red]" in said.out
