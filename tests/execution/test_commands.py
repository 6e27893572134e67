"""Steps of the kind `command` in a run: what is reused and why, their drawing, their DVC stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import FOLDER, Project
from towpath.execution.run_record import ExecutionState
from towpath.planning.pipeline_check import find_pipeline_faults

PIPELINE = """
params: {factor: 2, idle: 1}
inputs: {raw: data/raw.json}
steps:
  total:
    kind: command
    command: python -m leafnet.total {raw} {total} {factor}
    inputs: [raw]
    params: [factor]
    outputs: [total.json]
    metrics: total
  script:
    kind: command
    command: bash tools/copy.sh {total} {copy}
    inputs: [total.total]
    outputs: {copy: copy.json}
  told:
    kind: command
    command: cp {copy} {end}
    inputs: [script.copy]
    outputs: {end: end.json}
    code: []
  shown:
    kind: command
    command: [python, -c, "import sys; print(sys.argv)", "{n}", "{idle}"]
    inputs: {n: told.end.total}
    params: [idle]
"""

TOTAL = """
import json, sys
from leafnet.helpers import factor
rows = json.load(open(sys.argv[1]))
json.dump({"total": factor(sys.argv[3]) * sum(rows)}, open(sys.argv[2], "w"))
"""


@pytest.fixture
def commands(project: Project) -> Project:
    """A project whose steps are programs: of a package under src/, a script, a tool, inline."""
    project.write("src/leafnet/__init__.py", "")
    project.write("src/leafnet/total.py", TOTAL)
    project.write("src/leafnet/helpers.py", "def factor(text):\n    return float(text)\n")
    project.write("tools/copy.sh", 'cp "$1" "$2"\n')
    project.declare(PIPELINE)
    project.commit()
    return project


def states(run: object) -> dict[str, str]:
    return {name: step.state.value for name, step in run.steps.items()}  # type: ignore[attr-defined]


SCRIPT = """
import json, sys

def main(factor):
    rows = json.load(open(sys.argv[1]))
    json.dump({"total": factor * sum(rows)}, open(sys.argv[2], "w"))

if __name__ == "__main__":
    from beside import base
    main(base() + 1)
"""


def test_what_a_script_does_where_it_is_run_is_its_code(project: Project) -> None:
    project.declare(
        "inputs: {raw: data/raw.json}\nsteps:\n  total:\n    kind: command\n"
        "    command: python tools/fit.py {raw} {total}\n    inputs: [raw]\n"
        "    outputs: [total.json]\n    metrics: total\n"
    )
    project.write("tools/fit.py", SCRIPT)
    project.write("tools/beside.py", "def base():\n    return 1\n")
    project.commit()
    first = project.run()
    assert states(first) == {"total": "done"}
    assert not first.steps["total"].made.facts.get("undeclared")
    assert project.plan()["total"].startswith("reuse")
    project.write("tools/fit.py", SCRIPT.replace("+ 1)", "+ 2)"))
    assert project.plan()["total"] == "run: code of `fit (whole module)` changed"
    project.write("tools/fit.py", SCRIPT)
    project.write("tools/beside.py", "def base():\n    return 2\n")
    assert project.plan()["total"] == "run: code of `beside (whole module)` changed"


def test_what_a_command_is_reused_for(commands: Project) -> None:
    first = commands.run()
    assert set(states(first).values()) == {ExecutionState.DONE.value}
    plan = commands.plan()
    assert plan["total"].startswith("reuse: made by")
    assert plan["script"] == "run: what code its command runs is not known: `code:` names it"
    commands.write("src/leafnet/helpers.py", "def factor(text):\n    return 1 + float(text)\n")
    assert commands.plan()["total"] == "run: code of `leafnet.helpers (whole module)` changed"
    commands.write(
        "src/leafnet/helpers.py", "def factor(text):\n    # same\n    return float(text)\n"
    )
    assert commands.plan()["total"].startswith("reuse")
    assert commands.plan(params={"factor": 3})["total"] == "run: `factor` 2 -> 3"
    again = commands.run()
    assert states(again) == {
        "total": "reused",
        "script": "done",
        "told": "reused",
        "shown": "reused",
    }


def test_with_code_named_a_script_is_reused_until_that_changes(commands: Project) -> None:
    outputs = "outputs: {copy: copy.json}\n"
    commands.edit(f"{FOLDER}/pipeline.yaml", outputs, f"{outputs}    code: [tools/]\n")
    commands.run()
    assert commands.plan()["script"].startswith("reuse")
    commands.write("tools/copy.sh", 'cp "$1" "$2" # other\n')
    assert commands.plan()["script"].startswith("run: code of `tools/")


def test_what_a_python_program_reads_undeclared_keeps_it_from_being_reused(
    commands: Project,
) -> None:
    commands.write("settings.yaml", "a: 1\n")
    commands.write("src/leafnet/total.py", f"{TOTAL}\nopen('settings.yaml')\n")
    commands.run()
    assert commands.plan()["total"] == ("run: it opened settings.yaml, which it does not declare")


def test_stock_dvc_knows_it_and_runs_it(commands: Project) -> None:
    commands.run()
    said = (commands.root / "dvc.yaml").read_text(encoding="utf-8")
    assert "cmd: towpath step training total" in said
    assert "      - src/leafnet/helpers.py" in said and "      - tools/copy.sh" in said
    assert "    metrics:\n      - artifacts/training/total/total.json" in said
    made = Path(commands.artifacts, "told/end.json")
    made.unlink()
    done = commands.towpath("step", "training", "told")
    assert done.code == 0, done.err
    assert made.is_file()
    drawn = commands.towpath("graph")
    assert "command" in drawn.out and "makes total" in drawn.out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("python tools/copi.py", "tools/copi.py is not there (did you mean `tools/copy.py`?)"),
        ("./tools/none", "./tools/none is not there (it is looked for from where the command"),
        ("env A=1 python -X dev tools/none.py", "the command's program tools/none.py is not there"),
        ("python tools/copy.py", ""),
        ("python -m leafnet.cli", ""),
        ("/opt/elsewhere/tool x", ""),
        ("nowhere on path", ""),
    ],
)
def test_check_names_a_program_of_the_project_that_is_not_there(
    loose: Project, command: str, said: str
) -> None:
    loose.declare(f"steps: {{s: {{kind: command, code: [], command: {command}}}}}\n")
    loose.write("tools/copy.py", "")
    faults = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert [said in fault for fault in faults] == ([True] if said else [])
