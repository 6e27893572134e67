"""What a step has around it and others have not: packages of its own."""

from __future__ import annotations

import zipfile
from pathlib import Path

from running import FOLDER, Project, reasons, states
from towpath.planning.pipeline_check import find_pipeline_faults

OWN = """
steps:
  fit:
    run: fit
    environment: requirements-fit.txt
    outputs: [told.json]
  program:
    kind: command
    command: python -c "import tinypkg; print('the program has', tinypkg.VALUE)"
    environment: requirements-fit.txt
    code: []
"""


def write_wheel(folder: Path, value: int) -> None:
    folder.mkdir(exist_ok=True)
    info = "tinypkg-1.0.dist-info"
    with zipfile.ZipFile(folder / "tinypkg-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinypkg.py", f"VALUE = {value}\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypkg\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )  # fmt: skip
        wheel.writestr(f"{info}/RECORD", "")


def test_packages_of_a_step(project: Project, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", 7)
    steps = """
        import pandas, tinypkg
        def fit() -> dict:
            return {"value": tinypkg.VALUE, "pandas": bool(pandas.__version__)}
    """
    project.declare(OWN)
    project.write(f"{FOLDER}/steps.py", steps)
    project.write(
        f"{FOLDER}/requirements-fit.txt", "tinypkgg==1.0\n-e .\nno name\n-r other.txt\n-r in.txt\n"
    )
    project.write(f"{FOLDER}/in.txt", "-r requirements-fit.txt\nmine @ file:///mine\n")
    said = [str(fault) for fault in find_pipeline_faults(project.workspace, "training")]
    file = f"{FOLDER}/requirements-fit.txt"
    assert said == [
        f"{file}:2: `-e .` is code, whose changes no key would hold: name a package by its version",
        f"{file}:3: `no name` names no package",
        f"{file}:4: there is no {FOLDER}/other.txt",
        f"{FOLDER}/in.txt:2: `mine @ file:///mine` is code, whose changes no key would hold: "
        "name a package by its version",
    ]
    where = f"--no-index\n--find-links {tmp_path / 'wheels'}\n"
    project.write(f"{FOLDER}/requirements-fit.txt", f"{where}tinypkgg==1.0\n")
    run = project.run()
    assert states(run) == {"fit": "failed", "program": "failed"}
    assert reasons(run)["fit"].startswith("the environment of requirements-fit.txt cannot be made")
    project.write(f"{FOLDER}/requirements-fit.txt", f"{where}tinypkg==1.0  # pinned\n")
    run = project.run()
    assert states(run) == {"fit": "done", "program": "done"}, run.error
    assert run.steps["fit"].made.values["told"] == {"value": 7, "pandas": True}
    log = (project.workspace.runs / run.id / "program" / "log.txt").read_text()
    assert "the program has 7" in log
    assert len(list((project.root / ".towpath/environments").glob("*-py*/"))) == 1
    project.write(f"{FOLDER}/requirements-fit.txt", f"{where}\n# only said otherwise\ntinypkg==1.0")
    assert project.plan()["fit"].startswith("reuse")
    project.write(f"{FOLDER}/requirements-fit.txt", f"{where}tinypkg>=1.0\n")
    assert project.plan()["fit"] == f"run: code of `{file}` changed"
