"""A run: its graph with what became of each step, and one step looked at closely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.execution.run_record import EVENTS, RecordedRun
from towpath.execution.run_summary import list_run_inputs, list_run_origin
from towpath.studio.pages.data_page import name_data_page
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_curves import CurveChart, gather_curves
from towpath.studio.pages.run_facts import (
    RunLine,
    StepLine,
    find_page_run,
    find_run_before,
    line_of_run,
    line_of_step,
)
from towpath.studio.pages.run_graph import gather_run_graph
from towpath.studio.pages.step_pane import StepPane, gather_step_pane
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.studio.pages.drawn_graph import DrawnGraph
    from towpath.studio.project_facts import ProjectFacts


class RunPage(Struct, frozen=True):
    """``log_size`` is how many bytes of the record it tells, at least; ``before`` is the run to
    compare it with, "" for none."""

    run: RunLine
    origin: tuple[tuple[str, str], ...]
    params: tuple[tuple[str, str, bool], ...]
    metrics: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str, str, str], ...]
    steps: tuple[StepLine, ...]
    graph: DrawnGraph
    pane: StepPane | None
    curves: tuple[CurveChart, ...]
    is_live: bool
    log_size: int
    before: str


def gather_run(facts: ProjectFacts, request: PageRequest) -> RunPage:
    """The page of a run; of a step of it where the address names one."""
    # Before it is read: what comes in between is told twice, and never missed.
    log_size = 0
    with suppress(OSError, ValueError):
        log_size = (facts.workspace.runs / request.names["run"] / EVENTS).stat().st_size
    run = find_page_run(facts, request.names["run"])
    step_name = request.names.get("step", "")
    if step_name and step_name not in run.steps:
        raise NoSuchPage(f"run {run.id} has no step `{step_name}`")
    chosen = step_name or _first_of_interest(run)
    line = line_of_run(run, is_compared=False)
    return RunPage(
        line,
        tuple(_origin_rows(run)),
        tuple((n, show_number(v), n in run.tried) for n, v in run.params.items()),
        tuple((name, show_number(value)) for name, value in line.metrics.items()),
        tuple(_input_rows(run)),
        tuple(line_of_step(run, step) for step in run.steps.values() if not step.cell_of),
        gather_run_graph(facts, run, chosen, request),
        gather_step_pane(facts, run, run.steps[chosen], request) if chosen else None,
        gather_curves(facts, [run]),
        is_live=not run.state.has_ended,
        log_size=log_size,
        before="" if request.is_static else find_run_before(facts, run),
    )


def _first_of_interest(run: RecordedRun) -> str:
    """What a person opens the page for: what failed, what runs, else the last that did work."""
    for states in (("failed", "refused", "interrupted"), ("running",)):
        for step in run.steps.values():
            if step.state in states:
                return step.name
    worked = [step.name for step in run.steps.values() if step.state == "done" and not step.cell_of]
    return worked[-1] if worked else next(iter(run.steps), "")


def _origin_rows(run: RecordedRun) -> Iterator[tuple[str, str]]:
    if run.environment:
        yield "for", run.environment
    for name, value in list_run_origin(run):
        yield name, value[:12] if name == "commit" else value


def _input_rows(run: RecordedRun) -> Iterator[tuple[str, str, str, str]]:
    """Of each input its name, where it was, its digest, and the address of its page."""
    for read in list_run_inputs(run):
        is_data = read.place and "@" not in read.place
        address = f"data/{name_data_page(read.place)}/" if is_data else ""
        yield read.name, read.source, read.digest, address
