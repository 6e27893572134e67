"""A run's graph: what became of each step, of each cell, and of the pipelines in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from towpath.drawing.picture import GraphBox
from towpath.execution.run_picture import find_run_picture
from towpath.execution.run_record import (
    BAD_STATES,
    LOUDEST_STATES,
    RecordedRun,
    StepRun,
    fold_cells,
    fold_states,
    group_cells,
)
from towpath.studio.graph_view import BoxLook, CellTile
from towpath.studio.pages.drawn_graph import (
    MOST_BOXES,
    DrawnGraph,
    FoldedGraph,
    fold_for_page,
    frame_looks,
    frames_hidden_in,
    list_controls,
    read_address,
    refuse_boxes,
)
from towpath.studio.pages.run_facts import step_took
from towpath.studio.shown_values import show_duration

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_MOST_TILES = 240  # cells of a step that are drawn where it is unfolded


def gather_run_graph(
    facts: ProjectFacts, run: RecordedRun, chosen: str, request: PageRequest
) -> DrawnGraph:
    """The graph as it was when the run began; where nothing knows it, a word."""
    whole = find_run_picture(facts.workspace, run) if run.steps else None
    if whole is None:
        note = "The pipeline is declared otherwise now, or not at all: its steps are listed."
        return DrawnGraph(None, {}, note=note if run.steps else "The run has no steps.")
    step = request.names.get("step", "")
    page = f"runs/{run.id}/{step}/" if step else f"runs/{run.id}/"
    address = read_address(request, page)
    folded = fold_for_page(whole, address, request.is_static)
    if len(folded.picture.boxes) > MOST_BOXES:
        return DrawnGraph(None, {}, note=refuse_boxes(len(folded.picture.boxes)))
    looks = _RunLooks(run, chosen, folded, request.is_static).make_looks()
    loops = [name for name, step in run.steps.items() if step.cells and name in whole.boxes]
    controls = () if request.is_static else list_controls(folded, loops)
    boxes = {name: _name_kind(box, run) for name, box in folded.picture.boxes.items()}
    picture = replace(folded.picture, boxes=boxes)
    return DrawnGraph(picture, looks, controls, folded.address.zoom, folded.note)


def _name_kind(box: GraphBox, run: RecordedRun) -> GraphBox:
    step = run.steps.get(box.name)
    if step is None or not step.cells:
        return box
    kind = box.kind.partition(" x")[0].partition(", each")[0]
    return replace(box, kind=f"{kind} x{step.cells}")


class _RunLooks:
    """What each box of a run's graph shows beside its name."""

    def __init__(self, run: RecordedRun, chosen: str, folded: FoldedGraph, is_static: bool) -> None:
        self._run, self._folded, self._is_static = run, folded, is_static
        self._address = folded.address
        self._chosen = (run.steps[chosen].cell_of or chosen) if chosen else ""
        self._cell = chosen
        self._cells = group_cells(run)
        whole_steps = (s for s in run.steps.values() if not s.cell_of and s.state != "reused")
        self._longest = max((step.seconds for step in whole_steps), default=0.0)

    def make_looks(self) -> dict[str, BoxLook]:
        picture = self._folded.picture
        looks = frame_looks(picture, self._address, self._is_static)
        steps = self._run.steps
        hidden: dict[str, list[StepRun]] = {}
        for name, box in frames_hidden_in(self._folded.whole, picture).items():
            if name in steps and box == name:
                looks[name] = self._step_look(steps[name])
            elif name in steps:
                hidden.setdefault(box, []).append(steps[name])
        for name, members in hidden.items():
            looks[name] = self._group_look(looks.get(name, BoxLook()), members)
            if name in self._folded.alike:
                looks[name] = self._unfold_tiles(looks[name], name, members)
        for name in picture.frames:
            members = [s for n, s in steps.items() if n.startswith(f"{name}.") and not s.cell_of]
            look = self._group_look(looks.get(name, BoxLook()), members)
            looks[name] = replace(look, is_selected=False)
        return looks

    def _step_look(self, step: StepRun) -> BoxLook:
        cells = self._cells.get(step.name, [])
        look = BoxLook(
            str(step.state), _step_note(step), self._address_of(step),
            is_selected=step.name == self._chosen, note_room=True,
            share=step.seconds / self._longest if self._longest and step.seconds else 0.0,
        )  # fmt: skip
        if not cells and not step.cells:
            return look
        # The cells are what is seen; of a search more may come than there are, until it has ended.
        state = str(fold_cells(step, cells)) if cells else look.state
        count = len(cells) if step.state.has_ended else step.cells or 0
        note = _group_note(cells, count) or look.note
        look = replace(look, state=state, counts=_count_all(cells), share=0.0, note=note)
        return self._unfold_tiles(look, step.name, cells)

    def _unfold_tiles(self, look: BoxLook, name: str, members: Sequence[StepRun]) -> BoxLook:
        if self._is_static:
            return look
        if name not in self._address.opened:
            return replace(look, toggle=self._address.unfold(name))
        tiles = tuple(self._draw_tiles(members))
        left_out = len(members) - len(tiles)
        return replace(look, toggle=self._address.fold(name), tiles=tiles, left_out=left_out)

    def _draw_tiles(self, cells: Sequence[StepRun]) -> Iterable[CellTile]:
        # What a person looks for stays in sight: the chosen one, and those that failed.
        rest = cells[_MOST_TILES:]
        loud = [c for c in rest if c.state in LOUDEST_STATES or c.name == self._cell][:_MOST_TILES]
        for cell in (*cells[: _MOST_TILES - len(loud)], *loud):
            address, is_chosen = self._address_of(cell), cell.name == self._cell
            yield CellTile(cell.name, str(cell.state), address, is_chosen)

    def _address_of(self, step: StepRun) -> str:
        return self._address.at_page(f"runs/{self._run.id}/{step.name}/")

    def _group_look(self, look: BoxLook, members: Sequence[StepRun]) -> BoxLook:
        counts = _count_all(members)
        seconds = sum(step.seconds for step in members if step.state in ("done", "failed"))
        took = show_duration(seconds) if seconds >= 0.05 else ""
        state = fold_states(step.state for step in members) or ""
        return replace(
            look, state=state, counts=counts, note_room=True,
            note=_group_note(members, len(members)) or took,
            is_selected=any(step.name == self._chosen for step in members),
        )  # fmt: skip


def _count_all(steps: Iterable[StepRun]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(str(step.state) for step in steps).items())


def _group_note(steps: Sequence[StepRun], number: int) -> str:
    """What there is to say of many in a word: how many failed, else how far they are."""
    failed = sum(step.state in BAD_STATES for step in steps)
    if failed:
        return f"{failed} failed"
    ended = sum(step.state.has_ended for step in steps)
    return f"{ended} of {number}" if ended < number else ""


def _step_note(step: StepRun) -> str:
    if step.kind == "condition" and "chosen" in step.made.facts:
        return "yes" if step.made.facts["chosen"] else "no"
    return step_took(step) if step.state in ("done", "failed") else ""
