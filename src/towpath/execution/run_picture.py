"""What a run's graph looked like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.drawing.picture import BoxShape, GraphPicture, picture_graph
from towpath.drawing.picture_file import find_picture
from towpath.errors import TowpathError
from towpath.planning.pipeline_check import drawable_graph

if TYPE_CHECKING:
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
        graph = drawable_graph(workspace, run.pipeline, run.environment)
        declared_kinds = {name: node.step.kind for name, node in graph.steps.items()}
        return picture_graph(graph, nested=True) if declared_kinds == kinds else None
    except (TowpathError, LookupError):
        return None
