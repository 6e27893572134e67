"""Installed packages that the steps import, there before the steps begin.

A run's fork server imports them, in the order of the steps. Where runs are deployed, the process
that they are forked from imports them while nothing is asked of it, and a run forks the server of
its steps from itself: a model's training waits for scikit-learn longer than for anything else.
Nothing of the project is among them, for its code may be edited between two runs.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.code import installed_packages
from towpath.engine.graph import outline
from towpath.errors import TowpathError
from towpath.spec.pipeline import AnyStep
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
    held = Held(_plain(os.environ), installed_packages.stamp(), deque(of_project(root)))
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
        and _held[-1].installed == installed_packages.stamp()
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
        yield from needs.of_steps(
            nodes, of_steps(workspace, workspace.pipeline(name).folder, nodes)
        )


def of_steps(workspace: Workspace, folder: str, wanted: Iterable[needs.Wanted]) -> needs.Libraries:
    """The modules of installed packages that each function's code imports, by its ``run``."""
    runs = dict.fromkeys(each.step.run for each in wanted if hasattr(each.step, "run"))
    return {run: _imported(workspace, folder, run) for run in runs}


def of_step(workspace: Workspace, folder: str, step: AnyStep) -> tuple[str, ...]:
    """The same for one step."""
    run = getattr(step, "run", None)
    return _imported(workspace, folder, run) if run else ()


def _imported(workspace: Workspace, folder: str, run: str) -> tuple[str, ...]:
    try:
        return workspace.code.libraries(folder, run)
    except TowpathError:  # the step will say so
        return ()
