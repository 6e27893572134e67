"""Installed packages that deployed runs import, there before a run begins.

The process that runs are forked from imports them while nothing is asked of it, and a run forks
the server of its steps from itself: a model's training waits for scikit-learn longer than for
anything else. Nothing of the project is among them, for its code may be edited between two runs.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.code import distributions
from towpath.engine.graph import outline
from towpath.errors import TowpathError
from towpath.spec.pipeline import FunctionStep
from towpath.steps import needs
from towpath.steps.servers import SEEDED
from towpath.workspace import Workspace

_OF_A_RUN = "PREFECT"
"""How the variables begin that differ from run to run; no package of a step reads them."""


@dataclass(frozen=True)
class Held:
    """What this process had when it began to import: an environment, and what is installed."""

    environment: Mapping[str, str]
    installed: str
    waiting: deque[str]

    def bring_one(self) -> None:
        """Import the next."""
        needs.bring(self.waiting.popleft())


_held: list[Held] = []


def hold(root: Path) -> Held:
    """Begin: from now on this process, and those forked from it, are such ones."""
    held = Held(_plain(os.environ), distributions.stamp(), deque(of_project(root)))
    needs.calm()
    _held.append(held)
    return held


def here() -> bool:
    """Whether a run in this process may fork the server of its steps from itself.

    Not where packages were installed since, nor where the run has variables of its own, which a
    package may read when it is imported, nor beside threads, whose locks a fork would take along.
    """
    return (
        bool(_held)
        and _held[-1].installed == distributions.stamp()
        and _held[-1].environment == _plain(os.environ)
        and threading.active_count() == 1
    )


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    found = {n: value for n, value in environment.items() if not n.startswith(_OF_A_RUN)}
    return {**SEEDED, **found}


def of_project(root: Path) -> tuple[str, ...]:
    """The modules that the steps of a project need, in the order of their pipelines and steps."""
    return tuple(dict.fromkeys(_needed(root)))


def _needed(root: Path) -> Iterator[str]:
    workspace = Workspace(root)
    for name in workspace.pipelines:
        try:
            nodes = outline(workspace.pipeline(name)).nodes.values()
        except TowpathError:  # the run will say so
            continue
        yield from (need for need in needs.of_steps(nodes) if not needs.is_project_s(need))
        folder = workspace.pipeline(name).folder
        for step in (node.step for node in nodes):
            if isinstance(step, FunctionStep):
                yield from _imported(workspace, folder, step.run)


def _imported(workspace: Workspace, folder: str, run: str) -> tuple[str, ...]:
    try:
        return workspace.code.libraries(folder, run)
    except TowpathError:
        return ()
