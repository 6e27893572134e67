"""Values side by side, of runs or of versions: the best of them, and changes from the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from towpath.studio.shown_values import best_number, finite_number, show_change, show_number

if TYPE_CHECKING:
    from towpath.studio.project_facts import ProjectFacts

_MOST_ROWS = 400  # of a section: a run may have a thousand cells


class ComparedCell(Struct, frozen=True):
    """A run's value, and how it differs from that of the first run, where that is a metric;
    ``moment`` is the ISO time that the value is."""

    value: str
    is_best: bool = False
    change: str = ""
    verdict: str = ""
    moment: str = ""


class ComparedRow(Struct, frozen=True):
    """A value of each run; of many runs ``cells`` is empty, and ``count`` says how many values
    there are."""

    name: str
    cells: tuple[ComparedCell, ...]
    count: int


class ComparedSection(Struct, frozen=True):
    title: str
    rows: tuple[ComparedRow, ...]
    equal: tuple[tuple[str, str], ...]
    left_out: int


class ValueRow(Protocol):
    """A thing of several runs or versions, None where one has no such thing."""

    @property
    def section(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def values(self) -> tuple[Any, ...]: ...


def make_section(
    facts: ProjectFacts, title: str, different: Sequence[ValueRow], equal: Sequence[ValueRow],
    columns: int,
) -> ComparedSection:  # fmt: skip
    """A section of a comparison; of more than there are ``columns`` for (0) only the number of
    values is told."""
    rows = tuple(_compare_row(facts, row, columns) for row in different[:_MOST_ROWS])
    alike = tuple((row.name, show_digest(row.values[0])) for row in equal[:_MOST_ROWS])
    return ComparedSection(title, rows, alike, max(0, len(different) - _MOST_ROWS))


def _compare_row(facts: ProjectFacts, row: ValueRow, columns: int) -> ComparedRow:
    name = row.name.removeprefix("package ")
    count = len(set(map(str, row.values)))
    if not columns:
        return ComparedRow(name, (), count)
    if row.section == "metrics":
        return ComparedRow(name, tuple(_compare_metric(facts, name, row.values)), count)
    return ComparedRow(name, tuple(_show_cell(row, value) for value in row.values), count)


def _show_cell(row: ValueRow, value: object) -> ComparedCell:
    if (row.section, row.name) == ("record", "time"):
        return ComparedCell(str(value or ""), moment=str(value or ""))
    is_size = (row.section, row.name) == ("record", "size") and value is not None
    return ComparedCell(f"{show_number(value)} B" if is_size else show_digest(value))


def _compare_metric(
    facts: ProjectFacts, name: str, values: Sequence[object]
) -> Iterator[ComparedCell]:
    numbers = [finite_number(value) for value in values]
    best = best_number(numbers, facts.metric_policy.find_sign(name))
    for index, (value, number) in enumerate(zip(values, numbers, strict=True)):
        change = show_change(numbers[0], number) if index else ""
        verdict = facts.judge_metric(name, numbers[0], number) if change else ""
        is_best = best is not None and number == best
        yield ComparedCell(show_digest(value), is_best, change, verdict)


def show_digest(value: object) -> str:
    """A value as a person reads it; of a digest its beginning."""
    text = show_number(value)
    return text[:12] if len(text) >= 32 and text.isalnum() else text
