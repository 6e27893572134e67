"""A run: its graph with what became of each step, and one step looked at closely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from towpath.drawing.picture import GraphBox, GraphPicture, picture_graph
from towpath.errors import TowpathError
from towpath.planning.pipeline_check import drawable_graph
from towpath.studio.graph_view import BoxLook
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.run_curves import CurveChart, gather_curves
from towpath.studio.pages.run_facts import (
    RunLine,
    StepLine,
    find_page_run,
    line_of_run,
    line_of_step,
    step_took,
)
from towpath.studio.pages.step_pane import StepPane, gather_step_pane
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun, StepRun
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_BOXES = 400  # of a graph that is drawn


@dataclass(frozen=True)
class RunPage:
    run: RunLine
    origin: tuple[tuple[str, str], ...]
    params: tuple[tuple[str, str, bool], ...]
    metrics: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str, str], ...]
    steps: tuple[StepLine, ...]
    picture: GraphPicture | None
    looks: Mapping[str, BoxLook]
    graph_note: str
    pane: StepPane | None
    curves: tuple[CurveChart, ...]
    is_live: bool


def gather_run(facts: ProjectFacts, request: PageRequest) -> RunPage:
    """The page of a run; of a step of it where the address names one."""
    run = find_page_run(facts, request.names["run"])
    step_name = request.names.get("step", "")
    if step_name and step_name not in run.steps:
        raise NoSuchPage(f"run {run.id} has no step `{step_name}`")
    picture, note = _picture_of_run(facts, run)
    chosen = step_name or _first_of_interest(run)
    line = line_of_run(run)
    return RunPage(
        line,
        tuple(_origin_rows(run)),
        tuple((n, show_number(v), n in run.tried) for n, v in run.params.items()),
        tuple((name, show_number(value)) for name, value in line.metrics.items()),
        tuple(_input_rows(run)),
        tuple(line_of_step(run, step) for step in run.steps.values() if not step.cell_of),
        picture,
        _looks_of_run(run, chosen),
        note,
        gather_step_pane(facts, run, run.steps[chosen], request) if chosen else None,
        gather_curves(facts, [run]),
        is_live=not run.state.has_ended,
    )


def _first_of_interest(run: RecordedRun) -> str:
    """What a person opens the page for: what failed, what runs, else the last that did work."""
    for states in (("failed", "refused", "interrupted"), ("running",)):
        for step in run.steps.values():
            if step.state in states:
                return step.name
    worked = [step.name for step in run.steps.values() if step.state == "done" and not step.cell_of]
    return worked[-1] if worked else next(iter(run.steps), "")


def _picture_of_run(facts: ProjectFacts, run: RecordedRun) -> tuple[GraphPicture | None, str]:
    """The graph as it is declared now, where that has the steps of the run; else a word."""
    try:
        graph = drawable_graph(facts.workspace, run.pipeline, run.environment)
        kinds = {name: node.step.kind for name, node in graph.steps.items()}
    except (TowpathError, LookupError):
        kinds = None
    if not run.steps:
        return None, "The run has no steps."
    if kinds != {name: step.kind for name, step in run.steps.items() if not step.cell_of}:
        return None, "The pipeline is declared otherwise now, or not at all: its steps are listed."
    picture = picture_graph(graph, nested=True)
    if len(picture.boxes) > _BOXES:
        return (
            None,
            f"{len(picture.boxes)} boxes are more than anybody reads: the steps are listed.",
        )
    boxes = {name: _count_cells(box, run, name) for name, box in picture.boxes.items()}
    return replace(picture, boxes=boxes), ""


def _count_cells(box: GraphBox, run: RecordedRun, name: str) -> GraphBox:
    cells = len(run.cells_of(name)) if name in run.steps else 0
    if not cells:
        return box
    ended = sum(cell.state.has_ended for cell in run.cells_of(name).values())
    kind = box.kind.partition(" x")[0].partition(", each")[0]
    return replace(box, kind=f"{kind}, {ended} of {run.steps[name].cells or cells}")


def _looks_of_run(run: RecordedRun, chosen: str) -> dict[str, BoxLook]:
    chosen_box = run.steps[chosen].cell_of or chosen if chosen else ""
    return {
        step.name: BoxLook(
            str(step.state), _box_note(step), f"runs/{run.id}/{step.name}/",
            is_selected=step.name == chosen_box,
        )
        for step in run.steps.values()
        if not step.cell_of
    }  # fmt: skip


def _box_note(step: StepRun) -> str:
    if step.kind == "condition" and "chosen" in step.made.facts:
        return "yes" if step.made.facts["chosen"] else "no"
    return step_took(step) if step.state in ("done", "failed") else ""


def _origin_rows(run: RecordedRun) -> Iterator[tuple[str, str]]:
    if run.environment:
        yield "for", run.environment
    for name in ("user", "host", "commit", "python", "towpath"):
        if value := run.origin.get(name):
            yield name, str(value)[:12] if name == "commit" else str(value)


def _input_rows(run: RecordedRun) -> Iterator[tuple[str, str, str]]:
    for name, digest in run.inputs.items():
        source = run.sources.get(name)
        details = source if isinstance(source, Mapping) else {}
        where = next(
            (str(details[k]) for k in ("version", "path", "pipeline") if details.get(k)), ""
        )
        yield name, where, str(digest)
