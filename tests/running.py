"""A small project on disk, and runs of it: in this process as a program would, or as a person."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_line import BegunCommand, begin_towpath, call_towpath
from thread_executor import run_in_threads
from towpath.backends.dvc import Store
from towpath.backends.prefect.executor import PrefectExecutor
from towpath.errors import TowpathError
from towpath.execution import pipeline_run as running
from towpath.execution.run_record import ExecutionState, RecordedRun
from towpath.planning.run_request import RunRequest
from towpath.workspace import Workspace

FOLDER = "flows/training"

PIPELINE = """\
description: Fits a mean, and registers it if it is near enough.
params:
  factor: {default: 2, above: 0, description: What each number is multiplied by}
  limit: 100
inputs:
  raw: data/raw.json
steps:
  clean:
    run: clean
    inputs: [raw]
    outputs: [rows.json]
  fit:
    kind: training
    run: fit
    inputs: [clean.rows]
    params: [factor]
    outputs: [model.json]
  score:
    kind: evaluation
    run: score
    inputs: [fit.model, clean.rows]
    outputs: [metrics.json]
  good:
    kind: condition
    if: score.metrics.error <= limit
    then: [register]
    else: [reject]
  register:
    kind: register_model
    as: mean
    inputs: [fit.model, score.metrics]
  reject:
    kind: fail
    message: error {score.metrics.error:.1f} is above {limit}
"""

STEPS = '''\
"""Plain functions."""

LEAST = 0


def positive(number):
    """A helper of one step."""
    return number > LEAST


def error_of(mean, rows):
    """A helper of another."""
    return sum(abs(row - mean) for row in rows)


def clean(raw: list) -> list:
    return [number for number in raw if positive(number)]


def fit(rows: list, factor: float) -> dict:
    return {"mean": factor * sum(rows) / len(rows)}


def score(model: dict, rows: list) -> dict:
    return {"error": error_of(model["mean"], rows), "rows": len(rows)}
'''

ALL = ("clean", "fit", "score")


@dataclass(frozen=True)
class Said:
    """What a command answered: its exit code, and both streams without colour."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        document = json.loads(self.out)
        assert document["towpath"] == 1
        return document


@dataclass(frozen=True)
class Project:
    """A project whose one pipeline is ``training``."""

    root: Path

    @property
    def workspace(self) -> Workspace:
        """A fresh look at the project, as each command has."""
        return Workspace(self.root)

    @property
    def store(self) -> Store:
        return Store(self.root)

    @property
    def artifacts(self) -> Path:
        """Where the outputs of a default run stand."""
        return self.root / "artifacts" / "training"

    def write(self, path: str, text: str) -> Path:
        """A file of the project; text loses its common indent."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def declare(self, pipeline: str, steps: str | None = None) -> None:
        """Another pipeline, and its functions."""
        self.write(f"{FOLDER}/pipeline.yaml", pipeline)
        if steps is not None:
            self.write(f"{FOLDER}/steps.py", steps)

    def edit(self, path: str, before: str, after: str) -> None:
        """Change a file that holds ``before`` once."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{before!r} is {text.count(before)} times in {path}"
        file.write_text(text.replace(before, after), encoding="utf-8")

    def code(self, before: str, after: str) -> None:
        """Change the functions."""
        self.edit(f"{FOLDER}/steps.py", before, after)

    def run(self, **asked: Any) -> RecordedRun:
        """A run in this process, without Prefect."""
        return running.run_pipeline(self.workspace, RunRequest("training", **asked), run_in_threads)

    def run_by_prefect(self, **asked: Any) -> RecordedRun:
        """The same as a flow of Prefect's."""
        request = RunRequest("training", **asked)
        return running.run_pipeline(self.workspace, request, PrefectExecutor())

    def refused(self, **asked: Any) -> TowpathError:
        """What a run that cannot begin raises."""
        before = self.runs()
        try:
            self.run(**asked)
        except TowpathError as error:
            assert self.runs() == before, "a run that cannot begin leaves no record"
            return error
        raise AssertionError("it ran")

    def plan(self, **asked: Any) -> dict[str, str]:
        """What would become of each step, in the plan's words: ``run: never run here``."""
        prepared = running.prepare_run(self.workspace, RunRequest("training", **asked))
        return {n: f"{d.verdict}: {d.reason}" for n, d in prepared.decide_steps().items()}

    def runs(self) -> list[str]:
        """The names of the runs recorded."""
        folder = self.workspace.runs
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def output(self, path: str) -> Any:
        """A JSON output in the work tree."""
        return json.loads((self.artifacts / path).read_text(encoding="utf-8"))

    def git(self, *words: str) -> str:
        """Stock Git in the project's folder; its answer."""
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str = "work") -> None:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def tags(self) -> list[str]:
        """The registry's versions."""
        return self.git("tag", "--list").split()

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """The command line in a new Python, as a person calls it in the project's folder."""
        return start(self.root, *words, **environment)

    def begin(self, *words: str, **environment: str) -> BegunCommand:
        """The same, forked from a process that has everything imported."""
        return begin_towpath(self.root, *words, **{"COLUMNS": "100", **environment})

    def towpath(self, *words: str, **environment: str) -> Said:
        """The same to its end."""
        done = call_towpath(self.root, *words, **{"COLUMNS": "100", **environment})
        return Said(done.returncode, done.stdout, done.stderr)

    def assert_whole(self) -> None:
        """Nothing is half-written: objects are what their names say, entries have their bytes."""
        cache = self.store.layout.cache
        for file in (cache / "files" / "md5").glob("??/*"):
            assert self.store.has(file.parent.name + file.name), file
        for file in (cache / "towpath" / "entries").glob("??/*.json"):
            key = file.parent.name + file.name.partition(".")[0]
            assert self.store.entry(key), file


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """The command line in a folder, in a new Python; ``environment`` is added to this process's."""
    return subprocess.Popen(
        [sys.executable, "-m", "towpath", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_question(project: Project, step: str) -> dict[str, Any]:
    """What a step of kind `callback` asks, as soon as it does."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for question in project.towpath("answer", "--json").json["questions"]:
            if question["step"] == step:
                return dict(question)
    raise AssertionError(f"{step} asks nothing")


def end(process: subprocess.Popen[str] | BegunCommand) -> Said:
    """What a command answered."""
    out, err = process.communicate(timeout=120)
    assert process.returncode is not None
    return Said(process.returncode, out, err)


def states(run: RecordedRun) -> dict[str, str]:
    """Each step's state."""
    return {name: str(step.state) for name, step in run.steps.items()}


def ran(run: RecordedRun) -> set[str]:
    """The steps that were carried out; choosing a branch is no work."""
    done = (ExecutionState.DONE, ExecutionState.FAILED, ExecutionState.REFUSED)
    return {n for n, s in run.steps.items() if s.state in done and s.kind != "condition"}


def reasons(run: RecordedRun) -> dict[str, str]:
    """Each step's reason."""
    return {name: step.reason for name, step in run.steps.items()}


def plain(text: str) -> str:
    """Text without what changes from run to run: times, run names, and the space for them."""
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "<run>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    return re.sub(r" +", " ", re.sub(r" +(\d+\.\ds\b|\(\d+\.\ds own\))", "", text))


def make(root: Path, files: Mapping[str, str] | None = None) -> Project:
    """A project in a folder, not yet in Git."""
    project = Project(root)
    given = {
        "towpath.yaml": "name: small\n",
        "data/raw.json": "[1, 2, -3, 4]",
        f"{FOLDER}/pipeline.yaml": PIPELINE,
        f"{FOLDER}/steps.py": STEPS,
        ".gitignore": ".towpath/\nartifacts/\n__pycache__/\n",
        ".dvc/config": "",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }
    for path, text in {**given, **(files or {})}.items():
        project.write(path, text)
    return project
