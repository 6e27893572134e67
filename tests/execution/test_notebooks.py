"""Steps of the kind `notebook` in a project: what is wrong with one, what is reused and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from running import FOLDER, Project
from towpath.errors import DeclarationError
from towpath.planning.pipeline_check import find_pipeline_faults

PIPELINE = """
params: {rate: 0.5}
inputs: {raw: data/raw.json}
steps:
  explore:
    kind: notebook
    notebook: notebooks/explore.ipynb
    inputs: [raw]
    params: [rate]
    outputs: [total.json]
  shown:
    kind: condition
    if: explore.total.sum > 1
    then: [told]
  told:
    kind: command
    command: cp {page} {copy}
    inputs: {page: explore.page}
    outputs: {copy: copy.html}
    code: []
"""
GOOD = (
    "import json\nfrom helpers import double\nrows = json.load(open(raw))",
    "json.dump({'sum': double(rate * sum(rows))}, open(total, 'w'))",
)


def write(project: Project, *cells: str, **more: Any) -> None:
    plain = more.get("metadata", {})
    made = [
        {"cell_type": "code", "source": text, "outputs": [], "execution_count": more.get("count"),
         "metadata": {**plain, "tags": ["parameters"]} if n == more.get("tagged") else plain}
        for n, text in enumerate(cells, 1)
    ]  # fmt: skip
    language = more.get("language", "python")
    metadata = {"kernelspec": {"name": "x", "display_name": "x", "language": language}}
    document = {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": made}
    project.write("notebooks/explore.ipynb", json.dumps(document))


def test_a_notebook_in_a_pipeline(project: Project) -> None:
    project.declare(PIPELINE)
    project.write(f"{FOLDER}/helpers.py", "def double(x):\n    return 2 * x\n")
    write(project, *GOOD)
    project.commit()
    run = project.run()
    assert {name: step.state for name, step in run.steps.items()} == {
        "explore": "done", "shown": "done", "told": "done",
    }, run.error  # fmt: skip
    assert project.output("explore/total.json") == {"sum": 4.0}
    assert (project.artifacts / "explore/explore.ipynb").is_file()
    assert "<html" in (project.artifacts / "told/copy.html").read_text()
    # What an editor or another execution leaves in the file is none of the code.
    write(project, *(f"{text}\n# seen" for text in GOOD), count=7, metadata={"collapsed": True})
    assert project.plan()["explore"].startswith("reuse: ")
    assert project.plan(params={"rate": 1})["explore"] == "run: `rate` 0.5 -> 1"
    project.write(f"{FOLDER}/helpers.py", "def double(x):\n    return x + x\n")
    assert project.plan()["explore"].startswith("run: code of `helpers")
    project.write(f"{FOLDER}/helpers.py", "def double(x):\n    return 2 * x\n")
    write(project, *GOOD, "%pip list")
    assert project.plan()["explore"].startswith("run: code of `notebooks/explore.ipynb")
    said = (project.root / "dvc.yaml").read_text(encoding="utf-8")
    assert "      - notebooks/explore.ipynb" in said and f"      - {FOLDER}/helpers.py" in said
    drawn = project.towpath("graph").out
    assert "notebook" in drawn and "notebooks/explore.ipynb" in drawn


def test_what_a_cell_is_marked_with_and_does_as_a_program_is_its_code(project: Project) -> None:
    project.declare(PIPELINE)
    project.write(f"{FOLDER}/helpers.py", "def double(x):\n    return 2 * x\n")
    cells = ("rate = 1", GOOD[0], GOOD[1] + "\nif __name__ == '__main__':\n    x = 1")
    write(project, *cells, tagged=1)
    project.commit()
    assert project.run().state == "done"
    assert project.plan()["explore"].startswith("reuse: ")
    write(project, *cells, tagged=2)
    assert project.plan()["explore"].startswith("run: code of `notebooks/explore.ipynb")
    write(project, *(cell.replace("x = 1", "x = 2") for cell in cells), tagged=1)
    assert project.plan()["explore"].startswith("run: code of `notebooks/explore.ipynb")


FAULTS = [
    (("x = (",), "notebooks/explore.ipynb: cell 1, line 1: this is not Python: '(' was never"),
    (("rate, raw",), "pipeline.yaml:7: the notebook does not say where it writes `total`"),
    (("rat, raw, total",), "pipeline.yaml:7: the notebook does not use `rate` (did you mean `rat`"),
    (
        ("rate, raw, total", "rate = 3"),
        "notebooks/explore.ipynb: cell 2 gives `rate` a value, over that of the run (tag cell 2",
    ),
]


@pytest.mark.parametrize(("cells", "said"), FAULTS)
def test_check_reads_the_notebook(loose: Project, cells: tuple[str, ...], said: str) -> None:
    loose.declare(PIPELINE)
    write(loose, *cells)
    faults = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert len(faults) == 1 and said in faults[0]


def test_check_reads_on_behind_the_cell_of_the_parameters(loose: Project) -> None:
    loose.declare(PIPELINE)
    write(loose, "rate = 1", "rate, raw, total", tagged=1)
    assert find_pipeline_faults(loose.workspace, "training") == ()
    write(loose, "rate = 1", "rate = 5", "rate, raw, total", tagged=1)
    said = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert said == [
        "notebooks/explore.ipynb: cell 2 gives `rate` a value, over that of the run"
        " (give it another name there)"
    ]


def test_what_cannot_be_a_notebook(loose: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    loose.declare(PIPELINE)
    write(loose, "x", language="R")
    explored = loose.root / "notebooks/explore.ipynb"
    said = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert said == [
        "notebooks/explore.ipynb: the notebook is written in r: a kernel of Python executes it"
        " (a program of another language is a step of kind `command`)"
    ]
    explored.rename(explored.with_name("explores.ipynb"))
    monkeypatch.setattr("towpath.dependencies.extras.find_spec", lambda _: None)
    with pytest.raises(DeclarationError) as raised:
        loose.plan()
    assert [str(fault) for fault in raised.value.faults] == [
        f"{FOLDER}/pipeline.yaml:5: a notebook needs packages that are not installed"
        " (`pip install 'towpath[notebook]'`)",
        f"{FOLDER}/pipeline.yaml:7: there is no notebook notebooks/explore.ipynb"
        " (did you mean `notebooks/explores.ipynb`?)",
    ]
