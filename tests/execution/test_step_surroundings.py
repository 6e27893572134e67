"""What a step has around it and others have not: variables, secrets, packages of its own."""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import pytest

from running import FOLDER, Project, reasons, states
from towpath.errors import UserError
from towpath.planning.pipeline_check import find_pipeline_faults

TOKEN = "hush-9+8/very-secret"

PIPELINE = """
steps:
  fetch:
    run: fetch
    env: {MODE: fast, DEPTH: 3, DRY: true}
    secrets: [API_TOKEN]
    outputs: [seen.json]
  shown:
    kind: command
    command: [bash, -c, 'echo "in the shell: $KEY" | tee /dev/stderr']
    secrets: {KEY: API_TOKEN}
    code: []
  plain:
    run: plain
    outputs: [none.json]
  leaks:
    run: leaks
    secrets: [API_TOKEN]
    outputs: [told.txt]
  raises:
    run: raises
    secrets: [API_TOKEN]
"""
STEPS = """
import base64, os, sys

AT_IMPORT = os.environ.get("MODE")

def fetch() -> dict:
    token = os.environ["API_TOKEN"]
    print("as it is", token, repr(token), base64.b64encode(token.encode()).decode())
    sys.stdout.write("in " + token[:9]); sys.stdout.flush(); print(token[9:], "parts")
    os.system("echo from a program $API_TOKEN")
    return {"mode": AT_IMPORT, "depth": os.environ["DEPTH"], "dry": os.environ["DRY"]}

def plain() -> dict:
    return {"mode": os.environ.get("MODE")}

def leaks() -> str:
    return "the token is " + os.environ["API_TOKEN"]

def raises():
    raise ValueError("refused: " + os.environ["API_TOKEN"])
"""


def everything_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_variables_and_secrets_of_a_step(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.declare(PIPELINE, STEPS)
    project.commit()
    monkeypatch.delenv("API_TOKEN", raising=False)
    refused = project.refused()
    assert isinstance(refused, UserError)
    assert [str(fault) for fault in refused.faults] == [
        f"step `{step}` needs the secret `{name}`: API_TOKEN is not set"
        " (set that variable where the run begins)"
        for step, name in
        (("fetch", "API_TOKEN"), ("shown", "KEY"), ("leaks", "API_TOKEN"), ("raises", "API_TOKEN"))
    ]  # fmt: skip
    monkeypatch.setenv("API_TOKEN", TOKEN)
    run = project.run()
    assert states(run) == {
        "fetch": "done", "shown": "done", "plain": "done", "leaks": "failed", "raises": "failed",
    }  # fmt: skip
    assert run.steps["fetch"].made.values["seen"] == {"mode": "fast", "depth": "3", "dry": "true"}
    assert run.steps["plain"].made.values["none"] == {"mode": None}
    assert reasons(run)["leaks"] == "output `told` holds the secret `API_TOKEN`"
    assert reasons(run)["raises"] == "ValueError: refused: ***"
    folder = project.workspace.runs / run.id
    log = (folder / "fetch" / "log.txt").read_text()
    assert log.splitlines() == [
        "as it is *** '***' ***", "in *** parts", "from a program ***",
    ]  # fmt: skip
    assert "in the shell: ***" in (folder / "shown" / "log.txt").read_text()
    kept = everything_below(project.root / ".towpath")
    for form in (TOKEN, base64.b64encode(TOKEN.encode()).decode()):
        assert form.encode() not in kept
    # What is reused needs no secret, and another secret is no other result.
    project.edit(f"{FOLDER}/pipeline.yaml", PIPELINE[PIPELINE.index("  leaks:") :], "")
    monkeypatch.delenv("API_TOKEN")
    assert set(states(project.run()).values()) == {"reused"}
    project.edit(f"{FOLDER}/pipeline.yaml", "MODE: fast", "MODE: slow")
    assert project.plan()["fetch"] == "run: its declaration changed"


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
    project.write(f"{FOLDER}/requirements-fit.txt", "tinypkgg==1.0\n-e .\nno name\n-r other.txt\n")
    said = [str(fault) for fault in find_pipeline_faults(project.workspace, "training")]
    file = f"{FOLDER}/requirements-fit.txt"
    assert said == [
        f"{file}:2: `-e .` is code, whose changes no key would hold: name a package by its version",
        f"{file}:3: `no name` names no package",
        f"{file}:4: there is no other.txt",
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
