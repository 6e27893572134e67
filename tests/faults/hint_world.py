"""A registry that things go wrong in, and the person who does what a hint says.

One world is built and copied for each case. A hint's commands are looked for in its very words,
their placeholders are filled in, and they are run as a person copies them; ``towpath`` runs in
this process, since a process of its own takes longer than the command.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from audit_project import Project, begin
from towpath.cli import main as command_line
from towpath.delivery import promotion

POLICY = """\
name: abalone
stages:
  dev: {deploy: {to: files, path: deploy/dev}}
  prod:
"""
STAGE_FILE = "registry/stages/dev/abalone.yaml"
RECORD = "registry/models/abalone/v1.1.0.yaml"
EVIDENCE = "registry/evidence/abalone/v1.1.0-dev.md"
KINDS = ("verify", "doctor", "reconcile")

Hand = Callable[[Project], object]
"""What somebody does with their hands in a project."""


@dataclass(frozen=True)
class Finding:
    """What a command found: in words, and what it says to do."""

    what: str
    hint: str


@dataclass(frozen=True)
class Case:
    """Something that goes wrong, and how its hint is followed.

    ``ask`` is the command that finds it, ``finds`` a part of its words. ``steps`` are regular
    expressions, each found in the hint and run as it stands there, or what a person does by hand
    where the hint asks for that. ``fills`` are the placeholders of the hint. ``stays`` says that
    the hint only tells how to decide: the finding stays until somebody did.
    """

    trouble: Hand
    finds: str
    steps: tuple[str | Hand, ...]
    ask: tuple[str, ...] = ("verify", "--json")
    fills: tuple[tuple[str, str], ...] = ()
    remote: bool = False
    stays: bool = False
    exits: tuple[int, ...] = field(default=(0,))


def build(folder: Path) -> Project:
    """A project whose dev ran v1.0.0 and runs v1.1.0, with a clone's origin beside it."""
    made = begin(folder / "abalone", POLICY)
    made.promote(made.register(b"one"), "dev")
    made.promote(made.register(b"two", parameters={"learning_rate": 0.08}), "dev")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "origin.git")],
                   check=True)  # fmt: skip
    made.git("push", "-q", "../origin.git", "main", "refs/tags/*:refs/tags/*")
    return made


def copy(world: Project, folder: Path, remote: bool = False) -> Project:
    """The same once more; with a remote where it is asked for."""
    shutil.copytree(world.root.parent, folder, symlinks=True)
    project = Project(folder / world.root.name)
    if remote:
        project.git("remote", "add", "origin", "../origin.git")
        towpath(project, "fetch")
    return project


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def towpath(project: Project, *words: str) -> tuple[int, str, str]:
    """A command in the project's folder: its exit code, what it printed, what it said."""
    out, err = io.StringIO(), io.StringIO()
    with _inside(project.root), redirect_stdout(out), redirect_stderr(err):
        code = command_line._run_guarded(list(words))
    assert code != 70, err.getvalue()
    return code, out.getvalue(), err.getvalue()


def look(project: Project, *words: str) -> list[Finding]:
    """What a command finds in the project now, or refuses to go on for."""
    code, out, err = towpath(project, *words)
    if "--json" not in words:
        return _refusals(err) if code else []
    document = json.loads(out.partition("\n")[0])
    return list(_findings(document))


def _refusals(said: str) -> list[Finding]:
    """The faults that a command printed for people: a hint stands under its fault."""
    found: list[Finding] = []
    for line in said.splitlines():
        label, _, rest = line.strip().partition(": ")
        if label == "hint" and found:
            found = [Finding(f.what, f.hint or rest) for f in found]
        elif rest:
            found.append(Finding(rest, ""))
    return found


def _findings(node: object) -> Iterator[Finding]:
    """Everything in a document that has a hint, wherever it stands."""
    if isinstance(node, dict):
        what = node.get("what") or node.get("said") or node.get("words")
        if isinstance(node.get("hint"), str) and isinstance(what, str):
            yield Finding(what, node["hint"])
        for inner in node.values():
            yield from _findings(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _findings(inner)


def run(project: Project, line: str) -> None:
    """One command, as a person copies it out of a hint; what it proposes is approved."""
    if line.startswith("towpath "):
        code, out, err = towpath(project, *shlex.split(line)[1:])
        assert code == 0, f"{line}: {out}{err}"
        if branch := re.search(r"promote/\S+", out + err):
            merge(project, branch[0])
            towpath(project, "reconcile", "--apply")
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, cwd=project.root, capture_output=True, text=True,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"


def merge(project: Project, branch: str) -> None:
    """Bo approves what Ada proposed."""
    project.be("bo")
    if branch.startswith("promote/"):
        promotion.approve_promotion(project.workspace, branch)
    else:
        project.git("merge", "-q", "--no-ff", "-m", "approved", branch)
    project.be("ada")


def explain(project: Project, path: str) -> None:
    """A note that Ada writes and Bo merges."""
    project.git("switch", "-qc", "note")
    project.write(path, "It was me, and it will not happen again.\n")
    project.commit("say what happened")
    project.git("switch", "-q", "main")
    merge(project, "note")
    project.git("branch", "-qD", "note")


def reachable(project: Project) -> set[str]:
    """Every commit, tag and blob of a record that some ref keeps."""
    refs = ("--exclude=refs/towpath/candidates/*", "--all")  # a candidate becomes a version
    return set(project.git("rev-list", *refs, "--objects", "--no-object-names").split())
