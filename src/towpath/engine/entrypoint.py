"""`towpath.flow`: what a pipeline's ``flow.py`` gives to Prefect."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.engine import keys
from towpath.engine.execution import touched
from towpath.engine.flow import build
from towpath.engine.graph import outline
from towpath.engine.record import Run, State
from towpath.engine.request import Request
from towpath.engine.run import conduct, prepare, warmed
from towpath.errors import StepFailed
from towpath.spec.pipeline import QualityCheck
from towpath.steps import process
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from prefect import Flow

    from towpath.engine.execution import Execution
    from towpath.spec.declared import Declared


def flow(file: str) -> Flow[..., Any]:
    """The Prefect flow of the pipeline that is declared beside ``file``.

    In ``flows/training/flow.py``: ``training = flow(__file__)``; then ``prefect.yaml`` names
    ``flows/training/flow.py:training``.
    """
    folder = Path(file).resolve().parent
    workspace = Workspace.find(folder)
    declared = workspace.pipeline(folder.name)
    body = partial(_run, workspace.root, folder.name, _ahead(workspace, declared))
    return build.build(declared.pipeline, body, workspace.project.runner)


@dataclass(frozen=True)
class Ahead:
    """A fork server that was started before the flow began, and when (ns since 1970)."""

    server: ExitStack
    since: int


def _ahead(workspace: Workspace, declared: Declared) -> Ahead | None:
    """In the process of a deployed run: import the steps' modules while Prefect sets itself up.

    A check's module takes seconds and is seldom needed, since data that passed is not checked
    again: it comes when its step asks for it.
    """
    if not os.environ.get("PREFECT__FLOW_RUN_ID"):
        return None
    build.without_heartbeat()
    ahead = Ahead(ExitStack(), time.time_ns())
    nodes = [n for n in outline(declared).nodes.values() if not isinstance(n.step, QualityCheck)]
    ahead.server.enter_context(process.warm(workspace.root, declared.folder, nodes))
    return ahead


def _run(
    root: Path, pipeline: str, ahead: Ahead | None, params: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a deployed flow: a run as `towpath run` makes it, inside Prefect's own."""
    workspace = Workspace(root)
    prepared = prepare(workspace, Request(pipeline, _given(workspace, pipeline, params)))

    def carry_out(execution: Execution) -> None:
        with (
            ahead.server
            if ahead and _is_current(ahead, execution)
            else warmed(execution, execution.graph.nodes)
        ):
            build.schedule(execution)

    return _answer(conduct(prepared, carry_out, [build.run_log()]))


def _is_current(ahead: Ahead, execution: Execution) -> bool:
    """Whether no code was edited since a server imported it; if it was, that server ends."""
    reader, graph = execution.workspace.code, execution.graph
    files = {f for node in graph.nodes.values() for f in keys.sources(graph, node, reader)}
    if any(touched(execution.workspace.root / file, ahead.since) for file in files):
        ahead.server.close()
        return False
    return True


def _given(workspace: Workspace, pipeline: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that differ from the declared defaults.

    Prefect makes a float of each number; where the default is an integer, so is 50.0.
    """
    defaults = {n: p.default for n, p in workspace.pipeline(pipeline).pipeline.params.items()}
    given = {
        name: int(value)
        if isinstance(defaults.get(name), int) and isinstance(value, float) and value.is_integer()
        else value
        for name, value in params.items()
    }
    return {name: value for name, value in given.items() if defaults.get(name) != value}


def _answer(run: Run) -> dict[str, Any]:
    if run.state is not State.DONE:
        raise StepFailed(*run.error)
    return {"run": run.id, "metrics": run.values}
