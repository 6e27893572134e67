"""Declared formats and options: in the checks, in the keys, and in a step's own process."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from towpath.errors import StepFailed
from towpath.execution import run_inputs, single_step
from towpath.pipeline import cache_key
from towpath.pipeline.run_arguments import RunValues
from towpath.pipeline.step_graph import Graph
from towpath.planning import pipeline_check, step_code
from towpath.planning.run_state import RunState
from towpath.workspace import Workspace

PIPELINE = """
formats: {lines: Lines}
inputs:
  raw: {path: data/raw.csv, separator: ";", decimal: ",", encoding: latin-1, types: {zip: string}}
steps:
  check: {kind: quality_check, inputs: {data: raw}, expectations: suite.yaml}
  make:
    run: make
    inputs: {table: check.data}
    outputs: [roads.shp, names.lines, {path: again.csv, separator: ";", types: {zip: string}}]
  take: {run: take, inputs: [make.roads, make.names, make.again], outputs: [seen.json, page.txt]}
"""
STEPS = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas as p
    from pathlib import Path as P

class Lines:
    def read(self, path): return path.read_text().split()
    def write(self, value, path): path.write_text("\\n".join(value))

def make(table: "p.DataFrame | None"):
    return {"roads": table.zip.tolist(), "names": ["a", "b"], "again": table}

def take(roads, names, again: p.DataFrame, page: P | None):
    page.write_text("page")
    return {"roads": roads, "names": names, "again": again.zip.tolist()}
"""
SHAPES = """
import json

class Shapefile:
    def read(self, path):
        assert path.name == "roads.shp"
        return json.loads(path.read_text())["roads"]
    def write(self, value, path):
        if not value: raise KeyError("no roads")
        path.write_text(json.dumps({"roads": value}))
"""
SUITE = """
expectations:
  - {type: expect_column_values_to_be_in_set, column: zip, value_set: ["007"]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a table that needs options, and two formats of its own."""
    files = {
        "towpath.yaml": "name: p\nformats: {shp: shared.formats:Shapefile}\n",
        "flows/main/pipeline.yaml": PIPELINE,
        "flows/main/steps.py": STEPS,
        "flows/main/suite.yaml": SUITE,
        "shared/formats.py": SHAPES,
        "data/raw.csv": "zip;x;land\n007;1,5;Österreich\n",
        ".dvc/config": "",
    }
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="latin-1")
    return tmp_path


def edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text(encoding="latin-1")
    assert old in text
    (root / path).write_text(text.replace(old, new), encoding="latin-1")


def graph_of(root: Path) -> Graph:
    return pipeline_check.compile_checked_pipeline(Workspace(root), "main")


def ingredients_of(root: Path, step: str) -> dict[str, str]:
    """What goes into the key of a step that takes the pipeline's own input."""
    workspace, graph = Workspace(root), graph_of(root)
    known = RunState(graph, run_inputs.read_input_artifacts(workspace, graph))
    node = graph.nodes[step]
    arguments = known.arguments(node)
    code = step_code.read_step_code(graph, node, arguments, workspace)
    return cache_key.gather_ingredients(graph, node, arguments, code)


def said_of(root: Path) -> list[str]:
    return [str(fault) for fault in pipeline_check.find_pipeline_faults(Workspace(root), "main")]


def test_steps_read_and_write_what_is_declared(root: Path) -> None:
    assert said_of(root) == []
    for step in ("check", "make", "take"):
        single_step.carry_out(Workspace(root), "main", step, print)
    made = root / "artifacts/main"
    assert (made / "make/again.csv").read_text() == "zip;x;land\n007;1.5;Österreich\n"
    assert json.loads((made / "take/seen.json").read_text()) == {
        "roads": ["007"], "names": ["a", "b"], "again": ["007"],
    }  # fmt: skip
    edit(root, "shared/formats.py", '["roads"]', '["streets"]')
    with pytest.raises(StepFailed, match=r"input `roads`: roads\.shp cannot be read as shp: Key"):
        single_step.carry_out(Workspace(root), "main", "take", print)
    edit(root, "flows/main/steps.py", "table.zip.tolist(), ", "[], ")
    with pytest.raises(StepFailed, match=r"output `roads`: cannot be written as shp: KeyError: "):
        single_step.carry_out(Workspace(root), "main", "make", print)
    edit(root, "shared/formats.py", 'if not value: raise KeyError("no roads")', "return")
    with pytest.raises(StepFailed, match=r"class shared\.formats:Shapefile wrote nothing"):
        single_step.carry_out(Workspace(root), "main", "make", print)


def test_the_options_of_an_input_are_in_the_key(root: Path) -> None:
    before = ingredients_of(root, "check")
    assert json.loads(before["options data"]) == {
        "decimal": ",", "encoding": "latin-1", "separator": ";", "types": {"zip": "string"},
    }  # fmt: skip
    edit(root, "flows/main/pipeline.yaml", 'decimal: ",", ', "")
    after = ingredients_of(root, "check")
    assert {name for name in before if before[name] != after[name]} == {"options data"}


def test_the_code_of_a_format_is_in_the_keys_of_its_steps(root: Path) -> None:
    graph, workspace = graph_of(root), Workspace(root)
    before = {
        name: step_code.code_of(graph, graph.nodes[name], workspace.code) for name in graph.nodes
    }
    assert "code shared.formats.Shapefile" in before["make"].keys() & before["take"].keys()
    assert "code steps.Lines" in before["make"].keys() & before["take"].keys()
    assert not any("Shapefile" in label for label in before["check"])
    edit(root, "shared/formats.py", "no roads", "none")
    reader = Workspace(root).code
    after = {name: step_code.code_of(graph, graph.nodes[name], reader) for name in graph.nodes}
    assert [name for name in before if before[name] != after[name]] == ["make", "take"]
    assert "shared/formats.py" in set(step_code.list_code_files(graph, graph.nodes["make"], reader))


def test_another_file_in_the_place_of_an_input_is_read_as_it_is(root: Path) -> None:
    edit(root, "flows/main/pipeline.yaml", "data/raw.csv,", "data/raw.dat, format: csv,")
    for path, format in (("b.dat", "csv"), ("b.txt", None), ("b.parquet", None)):
        graph = pipeline_check.compile_checked_pipeline(
            Workspace(root), "main", RunValues(inputs={"raw": path})
        )
        assert graph.files["raw"].format == format
        assert graph.nodes["check"].outputs["data"].separator == ";"


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        ("towpath.yaml", ":Shapefile", ":Shapfile",
         "towpath.yaml: there is no class `Shapfile` in `shared/formats.py` "
         "(did you mean `Shapefile`?)"),
        ("flows/main/pipeline.yaml", "lines: Lines", "lines: make",
         "flows/main/steps.py:11: `make` is no class (write a class with `read(self, path)` and "
         "`write(self, value, path)`)"),
        ("shared/formats.py", "def write", "def save",
         "towpath.yaml: format `shp`: shared.formats:Shapefile has no method `write(value, path)`"),
        ("flows/main/steps.py", "take(roads,", "take(roads: p.DataFrame, more: P,",
         "flows/main/steps.py:14: take() wants `more`, which step `take` does not give it"),
        ("flows/main/pipeline.yaml", "make.again]", "make.again, check.result]",
         "flows/main/pipeline.yaml:10: take() has no argument `result`, which step `take` gives "
         "it (it is at flows/main/steps.py:14)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_formats_is_said_before_anything_runs(
    root: Path, path: str, old: str, new: str, said: str
) -> None:
    edit(root, path, old, new)
    assert said in said_of(root)


def test_a_table_is_not_asked_of_what_is_none(root: Path) -> None:
    edit(root, "flows/main/pipeline.yaml", "{path: again.csv,", "{path: again.dat, format: csv,")
    assert said_of(root) == []
    edit(root, "flows/main/pipeline.yaml", ' format: csv, separator: ";", types: {zip: string}', "")
    assert said_of(root) == [
        "flows/main/steps.py:14: `again` asks for a pandas.DataFrame, and again.dat is handed on "
        "as a path: nothing here reads it (annotate what it is, or say the file's `format:`)"
    ]
