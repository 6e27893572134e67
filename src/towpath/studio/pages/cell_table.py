"""The cells of a step with ``each``, or the trials of a search, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.credentials import hide_credentials
from towpath.errors import TowpathError
from towpath.execution import run_folders
from towpath.planning.declared_pipelines import read_declared
from towpath.studio.pages.run_facts import step_took
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun, StepRun
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_ON_A_PAGE = 100
_MOST_ITEMS, _MOST_NUMBERS = 6, 5  # columns
_LONGEST_ERROR = 300


class CellObjective(Struct, frozen=True):
    """The number that says which cell is the best, and whether the least is: as it is declared."""

    name: str
    is_least: bool


class CellRow(Struct, frozen=True):
    """A cell: its items and its numbers stand in the order of the table's columns."""

    name: str
    label: str
    state: str
    items: tuple[str, ...]
    numbers: tuple[str, ...]
    took: str
    error: str
    is_best: bool


class CellTable(Struct, frozen=True):
    """A page of the cells. ``numeric_items`` are those of which all are numbers; ``states`` counts
    all cells, ``chosen`` is the state that is filtered, ``sort`` the column, with a minus before it
    where the greatest stands first."""

    word: str
    items: tuple[str, ...]
    numbers: tuple[str, ...]
    numeric_items: frozenset[str]
    rows: tuple[CellRow, ...]
    states: tuple[tuple[str, int], ...]
    chosen: str
    sort: str
    page: int
    pages: int
    count: int
    most: int | None
    objective: CellObjective | None


def gather_cell_table(
    facts: ProjectFacts, run: RecordedRun, step: StepRun, request: PageRequest
) -> CellTable | None:
    """The cells that `?cells=STATE&by=COLUMN&cells_page=N` asks for; None of a step without."""
    cells = list(run.cells_of(step.name).values())
    if not cells:
        return None
    objective = _declared_objective(facts, run, step)
    numbers = {cell.name: _cell_numbers(cell) for cell in cells}
    items = tuple(dict.fromkeys(name for cell in cells for name in cell.items))[:_MOST_ITEMS]
    columns = _number_columns(numbers, objective)
    best = _best_cell(step, numbers, objective)
    states = Counter(str(cell.state) for cell in cells)
    chosen = request.first_value("cells")
    matching = [cell for cell in cells if chosen not in states or str(cell.state) == chosen]
    sort = request.first_value("by")
    part = request.cut_list(_sort_cells(matching, numbers, sort), _ON_A_PAGE, "cells_page")
    rows = tuple(
        _cell_row(cell, step, items, columns, numbers[cell.name], cell.name == best)
        for cell in part.rows
    )
    return CellTable(
        "trials" if step.kind == "tuning" else "cells", items, columns,
        frozenset(name for name in items if _holds_numbers(cells, name)), rows,
        tuple(states.items()), chosen if chosen in states else "", sort, part.page, part.pages,
        len(cells), step.cells, objective,
    )  # fmt: skip


def _declared_objective(
    facts: ProjectFacts, run: RecordedRun, step: StepRun
) -> CellObjective | None:
    """What is declared now; None where nothing is, or not any more."""
    try:
        declared = read_declared(facts.workspace, run.pipeline).pipeline.steps.get(step.name)
    except (TowpathError, LookupError):
        return None
    owner = declared if step.kind == "tuning" else getattr(declared, "best_by", None)
    for word in ("minimize", "maximize"):
        if reference := getattr(owner, word, None):
            return CellObjective(str(reference), word == "minimize")
    return None


def _holds_numbers(cells: Sequence[StepRun], item: str) -> bool:
    values = [cell.items[item] for cell in cells if item in cell.items]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _cell_numbers(cell: StepRun) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in run_folders.flatten_step(cell).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _number_columns(
    numbers: Mapping[str, Mapping[str, float]], objective: CellObjective | None
) -> tuple[str, ...]:
    """The columns of numbers, that of the objective first."""
    names = list(dict.fromkeys(name for row in numbers.values() for name in row))
    first = _objective_column(names, objective)
    names.sort(key=lambda name: name != first)
    return tuple(names[:_MOST_NUMBERS])


def _objective_column(names: Sequence[str], objective: CellObjective | None) -> str:
    """Its whole reference, or what of it stands behind a step's name."""
    reference = objective.name if objective else ""
    ends = (name for name in names if reference == name or reference.endswith(f".{name}"))
    return next(ends, "")


def _best_cell(
    step: StepRun, numbers: Mapping[str, Mapping[str, float]], objective: CellObjective | None
) -> str:
    """The cell whose result was handed on; while they go on, the best so far."""
    if winner := step.made.facts.get("best"):
        return str(winner)
    names = dict.fromkeys(name for row in numbers.values() for name in row)
    column = _objective_column(list(names), objective)
    values = {cell: row[column] for cell, row in numbers.items() if column in row}
    values = {cell: value for cell, value in values.items() if value == value}  # no NaN
    if not values or objective is None:
        return ""
    return (min if objective.is_least else max)(values, key=lambda cell: values[cell])


def _sort_cells(
    cells: Sequence[StepRun], numbers: Mapping[str, Mapping[str, float]], sort: str
) -> list[StepRun]:
    """By a number or an item; those without it stand last, whichever way."""
    column, is_falling = sort.removeprefix("-"), sort.startswith("-")
    if not column:
        return list(cells)
    keys = {cell.name: numbers[cell.name].get(column, cell.items.get(column)) for cell in cells}
    keys = {name: key for name, key in keys.items() if key is not None and key == key}  # no NaN
    present = [cell for cell in cells if cell.name in keys]
    present.sort(key=lambda cell: _sort_key(keys[cell.name]), reverse=is_falling)
    return [*present, *(cell for cell in cells if cell.name not in keys)]


def _sort_key(value: object) -> tuple[bool, float, str]:
    """Numbers before texts."""
    number = float(value) if isinstance(value, int | float) else None
    return number is None, number or 0.0, str(value)


def _cell_row(
    cell: StepRun,
    step: StepRun,
    items: Sequence[str],
    columns: Sequence[str],
    numbers: Mapping[str, float],
    is_best: bool,
) -> CellRow:
    error = " ".join(cell.error) or (cell.reason if str(cell.state) == "skipped" else "")
    return CellRow(
        cell.name,
        cell.name.removeprefix(step.name).strip("()[]@.") or cell.name,
        str(cell.state),
        tuple(show_number(cell.items[name]) if name in cell.items else "" for name in items),
        tuple(show_number(numbers[name]) if name in numbers else "" for name in columns),
        step_took(cell),
        hide_credentials(error)[:_LONGEST_ERROR],
        is_best,
    )
