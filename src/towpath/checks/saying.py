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
    if not result.counts_rows:
        return f"{said}, but {of_the_whole(result)}"
    are = "is" if result.unexpected == 1 else "are"
    count = f"{result.unexpected:,} of {result.rows:,} rows {are} not ({percent(result)})"
    samples = "; ".join(_sample(row, result) for row in result.samples)
    return f"{said}, but {count}" + (f": {samples}" if samples else "")


def of_the_whole(result: Result) -> str:
    """What an expectation about a whole table or column found instead."""
    parts = []
    if result.surplus:
        more = (result.unexpected or 0) - len(result.surplus)
        also = f" and {more:,} more" if more > 0 else ""
        parts.append(f"takes {shown(list(result.surplus))}{also}")
    if result.lacking:
        parts.append(f"lacks {shown(list(result.lacking))}")
    if parts:
        return f"it {' and '.join(parts)}"
    if result.observed is None or result.observed == []:
        return "it does not hold" if _is_measured(result) else "there is no value"
    return f"it is {shown(result.observed)}"


def without_values(result: Result) -> str:
    """The same for who may not see the data: what the suite names, and numbers of values."""
    parts = []
    if result.surplus:
        count = result.unexpected or len(result.surplus)
        parts.append(f"takes {count:,} other value{'s' if count > 1 else ''}")
    if result.lacking:
        parts.append(f"lacks {shown(list(result.lacking))}")
    return f"it {' and '.join(parts)}" if parts else "it does not hold"


def _is_measured(result: Result) -> bool:
    """Whether nothing observed says nothing of the data: it is a distance, a set, a place."""
    return any(word in result.type for word in ("divergence", "distinct", "to_exist"))


def percent(result: Result) -> str:
    """The share of unexpected rows, with as many digits as it takes to see it."""
    return f"{result.percent or 0:.3g} %"


def shown(value: Json) -> str:
    """A value in a sentence, cut where it is long."""
    text = ", ".join(map(_spelled, value)) if isinstance(value, list) else _spelled(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _spelled(value: Json) -> str:
    return "no value" if value is None else str(value)


def _sample(row: Row, result: Result) -> str:
    """A row by its number from 0, as pandas counts, with the values that matter."""
    names = [name for name in result.columns if name in row.values] or list(row.values)[:4]
    values = ", ".join(f"{name} {row.values[name]}" for name in names)
    return f"row {row.index}: {values}"


def _place(text: str) -> Place | None:
    file, _, line = text.rpartition(":")
    return Place(file, int(line)) if line.isdigit() else None
