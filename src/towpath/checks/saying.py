"""What a failed check says to a person: column, rule, count, and rows to look at."""

from __future__ import annotations

from towpath.checks.outcome import Outcome, Result, Row
from towpath.errors import Fault, Place
from towpath.spec.artifact import Json


def faults(outcome: Outcome) -> tuple[Fault, ...]:
    """One fault for each critical expectation that does not hold, at its line in the suite."""
    return tuple(Fault(sentence(result), _place(result.place)) for result in outcome.failed)


def sentence(result: Result) -> str:
    """A result in one sentence, with the rows that are not as expected."""
    said = f"expected that {result.rule}"
    if result.error:
        return f"{said}, but {result.error}"
    if result.unexpected is None:
        return said if result.observed is None else f"{said}, but it is {shown(result.observed)}"
    are = "is" if result.unexpected == 1 else "are"
    count = f"{result.unexpected:,} of {result.rows:,} rows {are} not ({percent(result)})"
    samples = "; ".join(_sample(row, result) for row in result.samples)
    return f"{said}, but {count}" + (f": {samples}" if samples else "")


def percent(result: Result) -> str:
    """The share of unexpected rows, with as many digits as it takes to see it."""
    return f"{result.percent or 0:.3g} %"


def shown(value: Json) -> str:
    """A value in a sentence, cut where it is long."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _sample(row: Row, result: Result) -> str:
    """A row by its number from 0, as pandas counts, with the values that matter."""
    names = [name for name in result.columns if name in row.values] or list(row.values)[:4]
    values = ", ".join(f"{name} {row.values[name]}" for name in names)
    return f"row {row.index}: {values}"


def _place(text: str) -> Place | None:
    file, _, line = text.rpartition(":")
    return Place(file, int(line)) if line.isdigit() else None
