"""What a run's graph looked like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.drawing.picture import BoxShape
from towpath.drawing.picture_file import find_picture
from towpath.errors import TowpathError
from towpath.execution.declared_pictures import read_declared_picture

if TYPE_CHECKING:
    from towpath.drawing.picture import GraphPicture
    from towpath.execution.run_record import RecordedRun
    from towpath.workspace import Workspace


def find_run_picture(workspace: Workspace, run: RecordedRun) -> GraphPicture | None:
    """A run's graph as it was when it began, a box for each step of the pipelines in it.

    Of a run that kept none, as the first versions of Towpath did, it is the graph as it is declared
    now, where that has the steps of the run; else None.
    """
    kinds = {name: step.kind for name, step in run.steps.items() if not step.cell_of}
    kept = find_picture(workspace.runs / run.id)
    if kept and kinds.keys() == {n for n, b in kept.boxes.items() if b.shape is not BoxShape.INPUT}:
        return kept
    try:
        declared = read_declared_picture(workspace, run.pipeline, run.environment)
    except (TowpathError, LookupError):
        return None
    return declared.picture if declared.kinds == kinds else None
