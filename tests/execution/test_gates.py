"""A check that says no: what it says, exit code 3, nothing registered; one that only reports."""

from __future__ import annotations

from running import FOLDER, PIPELINE, STEPS, Project, ran, reasons, states
from towpath.execution import run_folders

CHECK = """\
steps:
  check:
    kind: quality_check
    inputs: {data: raw}
    expectations: expectations/raw.yaml
"""

SUITE = """\
expectations:
  - {type: expect_column_values_to_not_be_null, column: number}
  - {type: expect_column_values_to_be_between, column: number, min_value: 0}
"""

UNIQUE = "  - {type: expect_compound_columns_to_be_unique, column_list: [a, b]}\n"

OLD_CLEAN = """\
def clean(raw: list) -> list:
    return [number for number in raw if positive(number)]
"""

CLEAN = """\
def clean(raw) -> list:
    return raw[raw.number > LEAST].number.tolist()
"""


def test_a_check_decides(project: Project) -> None:
    pipeline = PIPELINE.replace("data/raw.json", "data/raw.csv").replace("steps:\n", CHECK)
    pipeline = pipeline.replace("inputs: [raw]\n", "inputs: {raw: check.data}\n")
    assert OLD_CLEAN in STEPS
    project.declare(pipeline, STEPS.replace(OLD_CLEAN, CLEAN))
    project.write(f"{FOLDER}/expectations/raw.yaml", SUITE + UNIQUE)
    project.write("data/raw.csv", "number,a,b\n1,2,3\n2,2,3\n-3,0,0\n4,0,1\n")
    project.commit()

    said = project.towpath("-q", "run")
    assert (said.code, said.out) == (3, "")
    refused = run_folders.find_run(project.workspace.runs, "last")
    assert (refused.state, refused.exit_code) == ("refused", 3)
    assert states(refused)["check"] == "refused"
    error, unlike, page = refused.error
    assert error == (
        f"check: {FOLDER}/expectations/raw.yaml:3: expected that `number` is at least 0, "
        "but 1 of 4 rows is not (25 %): row 2: number -3"
    )
    assert unlike.endswith("row 0: a 2, b 3; row 1: a 2, b 3"), "all columns of its rule"
    assert (project.root / page.removeprefix("check: the check's page is ")).is_file()
    assert {reasons(refused)[name] for name in ("clean", "fit")} <= {
        "`check` failed",
        "`clean` was skipped",
    }
    assert (project.tags(), project.artifacts.exists()) == ([], False)
    assert said.err.startswith(f"error: {error}\n")

    project.write(f"{FOLDER}/expectations/raw.yaml", SUITE)
    project.edit(f"{FOLDER}/pipeline.yaml", "raw.yaml\n", "raw.yaml\n    must_pass: false\n")
    project.commit()
    reported = project.run()
    assert (reported.state, reported.exit_code) == ("done", 0)
    assert ran(reported) == {"check", "clean", "fit", "score", "register"}
    assert project.output("check/result.json")["passed"] is False
    assert project.tags() == ["mean@v1.0.0"]
    assert ran(project.run()) == set()
    assert reasons(project.run())["check"].startswith("made by ")
    assert "1 expectation not met" in project.towpath("run").err

    project.edit(f"{FOLDER}/pipeline.yaml", "raw.yaml\n    must_pass: false\n", "raw.yaml\n")
    project.commit()
    again = project.run()
    assert (again.state, again.exit_code) == ("refused", 3)
