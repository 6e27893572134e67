"""Killed at each step, and run again: the same end as if nothing had happened."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconcile_children import Children, kill_at
from reconcile_project import Project
from towpath.registry import stage_tags

STEPS = ("approval", "copy", "gates", "prepare", "smoke", "switch", "record", "tag", "done")
STAGES = """
  dev:
  prod:
    deploy: {to: files, path: deploy/prod}
    gates: {small: {kind: metric, metric: mse, below: 9, when: deploy}}
"""


def _prepared(make: Callable[..., Project]) -> Project:
    """A project with a version in prod, and another wanted there."""
    project = make(STAGES)
    first = project.register(b"one", metrics={"mse": 4.0})
    project.up_to("prod", first)
    second = project.register(b"two", metrics={"mse": 3.0})
    project.up_to("dev", second)
    project.promote(second, "prod")
    return project


def _copied(project: Project, name: str) -> Project:
    """The same once more, with its stages."""
    root = project.root.with_name(name)
    shutil.copytree(project.root, root, symlinks=True)
    return Project(root)


def _killed_at(children: Children, project: Project, step: str) -> None:
    """Reconcile in a process that is killed, as by `kill -9`, before a step."""
    asked = {"root": str(project.root), "stage": "prod", "step": step}
    assert children.run(kill_at, **asked) == -signal.SIGKILL, f"it ended before {step}"


def _end(project: Project) -> dict[str, Any]:
    """Everything that a reconcile leaves, without the times."""
    store = project.root / ".towpath/stages/prod"
    record = json.loads((store / "towpath/deployed/abalone.json").read_text())
    for one in (record, *record["previous"]):
        del one["time"], one["promotion"]
        one["approval"]["where"] = None
    tags = [one for one in stage_tags.read_stage_tags(project.repository) if one.stage == "prod"]
    versions = [stage_tags.version_of(project.repository, one) for one in tags]
    return {
        "record": record,
        "objects": _files(store / "files"),
        "target": _files(project.root / "deploy"),
        "current": (project.root / "deploy/prod/abalone/current").readlink().as_posix(),
        "tags": [(one.tag.name, str(version)) for one, version in zip(tags, versions, strict=True)],
    }


def _files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_killed_at_each_step_and_again(
    make_project: Callable[..., Project], children: Children
) -> None:
    whole = _prepared(make_project)
    projects = {step: _copied(whole, f"killed-{step}") for step in STEPS}
    seen: list[str] = []
    whole.apply("prod", listener=lambda _s, _m, step: seen.append(step))
    assert tuple(seen) == STEPS
    expected = _end(whole)
    for step, project in projects.items():
        _killed_at(children, project, step)
        incumbent = project.root / "deploy/prod/abalone/current/model.bin"
        before_switch = STEPS.index(step) <= STEPS.index("switch")
        assert incumbent.read_bytes() == (b"one" if before_switch else b"two")
        applied = project.apply("prod")
        assert applied.exit_code == 0, (step, applied.outcomes)
        assert _end(project) == expected, step
        assert project.apply("prod").outcomes == ()


@pytest.mark.parametrize("step", ["switch", "record", "tag"])
def test_killed_while_a_model_is_taken_out(
    make_project: Callable[..., Project], children: Children, step: str
) -> None:
    project = make_project("{prod: {deploy: {to: files, path: deploy/prod}}}")
    project.up_to("prod", project.register(b"one"))
    project.promote(None, "prod")
    _killed_at(children, project, step)
    assert project.apply("prod").exit_code == 0
    assert project.plan("prod").changes == ()
    assert not (project.root / "deploy/prod/abalone/current").exists()
    assert stage_tags.read_current_tags(project.repository, "prod") == {}
