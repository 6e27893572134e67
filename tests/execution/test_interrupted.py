"""Runs killed, interrupted, or at once: the store stays whole, the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from command_line import run_python
from running import FOLDER, Project, ran, states
from towpath.execution import run_folders

WAITING = """\
import os
import time
from pathlib import Path


def fit(rows: list, factor: float, notes: str) -> dict:
    (Path(notes) / "began").write_text(str(os.getpid()))
    while not (Path(notes) / "go on").exists():
        time.sleep(0.02)
    return {"mean": factor * sum(rows) / len(rows)}
"""

#: Carries out a plan in which only registering is left, and dies by its own hand at the nth
#: moment at which it starts a program or touches a file. Says how many moments there were.
DYING = """
import os, signal, sys
from pathlib import Path
from towpath.execution import pipeline_run as running
from towpath.execution.step_execution import replay_plan
from towpath.planning.run_request import RunRequest
from towpath.workspace import Workspace

when, passed = int(sys.argv[1]), 0
MOMENTS = ("subprocess.Popen", "os.rename", "os.remove", "os.mkdir", "os.link", "os.chmod")

def hear(event, details):
    global passed
    if event in MOMENTS or (event == "open" and isinstance(details[1], str) and details[1] != "r"):
        passed += 1
        if passed == when:
            os.kill(os.getpid(), signal.SIGKILL)

prepared = running.prepare_run(Workspace(Path.cwd()), RunRequest("training"))
decisions = prepared.decide_steps()
sys.addaudithook(hear)
done = running.conduct_run(prepared, lambda execution: replay_plan(execution, decisions), [])
print(passed, done.exit_code, done.steps["register"].state)
"""

#: Interrupts itself where Python drops what a signal raises, as its own word says, when the step
#: that waits has begun.
INTERRUPTED_UNHEARD = """
import signal, sys
from pathlib import Path
from towpath.backends.prefect.executor import PrefectExecutor
from towpath.execution.pipeline_run import run_pipeline
from towpath.planning.run_request import RunRequest
from towpath.workspace import Workspace

class Finalised:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def listen(event):
    if (event["event"], event.get("step"), event.get("state")) == ("step", "fit", "running"):
        Finalised()

run = run_pipeline(Workspace(Path.cwd()), RunRequest("training"), PrefectExecutor(), [listen])
sys.exit(run.exit_code)
"""


@pytest.fixture
def waiting(project: Project, tmp_path: Path) -> tuple[Project, Path]:
    """A project whose second step waits for a word, and the folder in which it is said."""
    notes = tmp_path / "notes"
    notes.mkdir()
    steps = project.root / FOLDER / "steps.py"
    before, _, rest = steps.read_text().partition("def fit(")
    project.write(
        f"{FOLDER}/steps.py", WAITING + before + "def score(" + rest.partition("def score(")[2]
    )
    pipeline = f"{FOLDER}/pipeline.yaml"
    project.edit(
        pipeline, "    params: [factor]\n", f"    params: [factor]\n    with: {{notes: {notes}}}\n"
    )
    project.commit()
    return project, notes


def begun(notes: Path) -> psutil.Process:
    """The process of the step that waits, once it is there."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if (notes / "began").exists() and (text := (notes / "began").read_text()):
            return psutil.Process(int(text))
        time.sleep(0.02)
    raise AssertionError("the step never began")


def assert_goes_on(project: Project, notes: Path) -> None:
    """The next run takes what ended well, and the end is that of a run nobody disturbed."""
    (notes / "go on").touch()
    run = project.run()
    assert ran(run) == {"fit", "score", "register"}
    assert project.output("score/metrics.json") == {"error": pytest.approx(7.0), "rows": 3}
    assert project.tags() == ["mean@v1.0.0"]
    assert project.git("status", "--porcelain") == "?? dvc.lock\n?? dvc.yaml"
    assert ran(project.run()) == set()
    project.assert_whole()


def test_killed_in_a_step(waiting: tuple[Project, Path]) -> None:
    project, notes = waiting
    process = project.begin("run")
    step = begun(notes)
    (name,) = project.runs()
    assert run_folders.find_run(project.workspace.runs, "last").state == "running"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    step.wait(180)
    found = run_folders.find_run(project.workspace.runs, name)
    assert (found.state, found.steps["fit"].state) == ("interrupted", "interrupted")
    assert found.steps["clean"].state == "done"
    assert not project.artifacts.exists()
    assert_goes_on(project, notes)


def test_interrupted_by_the_keyboard(waiting: tuple[Project, Path]) -> None:
    project, notes = waiting
    process = project.begin("run")
    step = begun(notes)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)  # a busy machine takes its time to flush
    step.wait(180)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted in" in err
    assert out == ""
    found = run_folders.find_run(project.workspace.runs, "last")
    assert (found.state, found.exit_code) == ("interrupted", 130)
    assert_goes_on(project, notes)


def test_an_interrupt_that_python_drops_ends_the_run_all_the_same(
    waiting: tuple[Project, Path],
) -> None:
    project, notes = waiting
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_UNHEARD], cwd=project.root, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 130, process.stderr
    assert "Exception ignored in" in process.stderr
    run = run_folders.find_run(project.workspace.runs, "last")
    assert (run.state, run.steps["fit"].state) == ("interrupted", "interrupted")
    assert_goes_on(project, notes)


def test_two_runs_at_once(waiting: tuple[Project, Path]) -> None:
    project, notes = waiting
    both = [project.begin("run", "--json") for _ in range(2)]
    begun(notes)
    deadline = time.monotonic() + 180
    while len(project.runs()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    (notes / "go on").touch()
    said = [json.loads(process.communicate(timeout=180)[0])["run"] for process in both]
    assert [run["exit_code"] for run in said] == [0, 0]
    assert said[0]["id"] != said[1]["id"]
    assert project.tags() == ["mean@v1.0.0"]
    assert [run["steps"]["register"]["made"]["facts"]["version"] for run in said] == (
        ["mean@v1.0.0", "mean@v1.0.0"]
    )
    assert project.output("score/metrics.json") == {"error": pytest.approx(7.0), "rows": 3}
    assert ran(project.run()) == set()
    project.assert_whole()


def dying(project: Project, when: int) -> subprocess.CompletedProcess[str]:
    """Register and die at a moment; 0 for never."""
    return run_python(project.root, DYING, str(when))


def standing(project: Project) -> dict[str, str]:
    """All that a run leaves but its records: files, refs, what Git thinks of it."""
    kept = [
        project.root / "dvc.yaml",
        project.root / "dvc.lock",
        *project.artifacts.rglob("*.json"),
    ]
    found = {path.relative_to(project.root).as_posix(): path.read_text() for path in kept}
    found["refs"] = project.git("for-each-ref", "--format=%(refname)")
    found["status"] = project.git("status", "--porcelain")
    found["check"] = project.git("fsck", "--strict", "--no-dangling")
    return found


@pytest.mark.parametrize("remote", [False, True])
def test_killed_in_registering(project: Project, tmp_path: Path, remote: bool) -> None:
    """At every moment: the next run ends where a run that nobody disturbed ends."""
    assert ran(project.run(end="score")) == {"clean", "fit", "score"}
    if remote:
        project.git("clone", "-q", "--bare", str(project.root), str(tmp_path / "origin.git"))
        project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
        project.git("fetch", "-q")

    def copy(name: str) -> Project:
        subprocess.run(["cp", "-a", project.root, tmp_path / name], check=True)
        return Project(tmp_path / name)

    calm = copy("calm")
    moments, code, state = dying(calm, 0).stdout.split()
    assert (code, state) == ("0", "done")
    wanted = standing(calm)
    assert int(moments) > 20
    for when in range(1, int(moments) + 1, 14 if remote else 6):
        shaken = copy(f"killed {when}")
        died = dying(shaken, when)
        # How often it looks at the API and at locks differs: it may end before that moment.
        if died.returncode == 0 and when > int(died.stdout.split()[0]) > int(moments) * 0.8:
            break
        assert died.returncode == -signal.SIGKILL
        _, code, state = dying(shaken, 0).stdout.split()
        assert (code, state) in {("0", "done"), ("0", "reused")}
        assert standing(shaken) == wanted, when
        assert states(shaken.run())["register"] == "reused"
        shaken.assert_whole()
