"""Installed packages that the steps import: a run has them imported before the steps begin.

Nothing of the project is among them, for its code may be edited between two runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from towpath.errors import TowpathError
from towpath.spec.pipeline import AnyStep
from towpath.steps import needs
from towpath.workspace import Workspace


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
