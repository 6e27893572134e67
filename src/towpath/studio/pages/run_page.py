"""A run: its graph with what became of each step, and one step looked at closely."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from towpath.credentials import hide_credentials
from towpath.drawing.picture import GraphBox, GraphPicture, picture_graph
from towpath.errors import TowpathError, UsageError
from towpath.execution import run_folders
from towpath.planning.pipeline_check import drawable_graph
from towpath.studio.graph_view import BoxLook
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.run_curves import CurveChart, gather_curves
from towpath.studio.pages.run_facts import RunLine, line_of_run, step_took
from towpath.studio.shown_values import show_number, show_size

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.execution.run_record import RecordedRun, StepRun
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

MOST_LOG = 256 << 10  # bytes of a log that a page shows: the rest is a link away
_COLOUR = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_BOXES = 400  # of a graph that is drawn
_CELLS = 200  # of a step that are listed


@dataclass(frozen=True)
class StepOutput:
    """What a step made: its name, its file and how large it is."""

    name: str
    file: str
    size: str
    digest: str


@dataclass(frozen=True)
class StepLogText:
    """The end of a step's log; ``skipped`` bytes stand before it."""

    text: str
    skipped: int
    size: int


@dataclass(frozen=True)
class StepLine:
    """A step in the list below the graph."""

    name: str
    kind: str
    state: str
    took: str
    reason: str
    error: tuple[str, ...]
    cells: int | None
    counts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StepPane:
    """One step of a run, looked at closely."""

    line: StepLine
    started: str
    attempt: int
    key: str
    ingredients: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    outputs: tuple[StepOutput, ...]
    values: tuple[tuple[str, str], ...]
    log: StepLogText | None
    cells: tuple[StepLine, ...]
    cells_left: int
    items: Mapping[str, str]


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
        tuple(_step_line(run, step) for step in run.steps.values() if not step.cell_of),
        picture,
        _looks_of_run(run, chosen),
        note,
        _step_pane(facts.workspace.runs / run.id, run, run.steps[chosen]) if chosen else None,
        gather_curves(facts, [run]),
        is_live=not run.state.has_ended,
    )


def find_page_run(facts: ProjectFacts, name: str) -> RecordedRun:
    try:
        run = run_folders.find_run(facts.workspace.runs, name)
    except UsageError as unknown:
        raise NoSuchPage(unknown.faults[0].what) from None
    if run.id != name:
        raise NoSuchPage(f"no run `{name}`")
    return run


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


def _step_line(run: RecordedRun, step: StepRun) -> StepLine:
    cells = run.cells_of(step.name) if step.cells else {}
    counts: dict[str, int] = {}
    for cell in cells.values():
        counts[str(cell.state)] = counts.get(str(cell.state), 0) + 1
    return StepLine(
        step.name, step.kind.replace("_", " "), str(step.state), step_took(step), step.reason,
        tuple(hide_credentials(line) for line in step.error), step.cells,
        tuple((state, f"{count} {state}") for state, count in counts.items()),
    )  # fmt: skip


def _step_pane(folder: Path, run: RecordedRun, step: StepRun) -> StepPane:
    cells = list(run.cells_of(step.name).values()) if step.cells else []
    return StepPane(
        _step_line(run, step),
        step.started,
        step.attempt,
        step.key,
        tuple(_group_ingredients(step.ingredients)),
        tuple(
            StepOutput(name, a.name, show_size(a.size), a.digest)
            for name, a in step.made.outputs.items()
        ),
        tuple(_value_rows(step)),
        read_log_end(folder / step.name / "log.txt"),
        tuple(_step_line(run, cell) for cell in cells[:_CELLS]),
        max(0, len(cells) - _CELLS),
        {name: show_number(value) for name, value in step.items.items()},
    )


_GROUPS = ("parameter", "input", "code", "package")


def _group_ingredients(
    ingredients: Mapping[str, str],
) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """What went into a step's key, by kind; the rest under ``other``."""
    grouped: dict[str, list[tuple[str, str]]] = {group: [] for group in (*_GROUPS, "other")}
    for label, value in ingredients.items():
        head, _, name = label.partition(" ")
        is_grouped = head in grouped and name
        grouped[head if is_grouped else "other"].append((name if is_grouped else label, str(value)))
    return ((group, tuple(rows)) for group, rows in grouped.items() if rows)


def _value_rows(step: StepRun) -> Iterator[tuple[str, str]]:
    facts: Any = step.made.facts.get("metrics")
    rows = dict(run_folders.flatten_leaves(facts, "")) if facts else {}
    for output, value in step.made.values.items():
        rows.update(run_folders.flatten_leaves(value, output))
    for name, value in list(rows.items())[:60]:
        yield name.lstrip("."), show_number(value)


def read_log_end(path: Path) -> StepLogText | None:
    """The end of a log, decoded, without the colours of a terminal; None where there is none."""
    if path.is_symlink() or not path.is_file():  # a step may have put anything there
        return None
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_LOG))
            content = file.read(MOST_LOG)
    except OSError:
        return None
    if size > MOST_LOG:
        content = content.partition(b"\n")[2] or content
    text = _COLOUR.sub(b"", content).decode("utf-8", "replace").replace("\r\n", "\n")
    return StepLogText(hide_credentials(text), size - len(content), size)
