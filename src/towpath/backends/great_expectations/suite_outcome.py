"""What a suite says and what came of it; nothing here knows Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from towpath.config.artifact import Json
from towpath.errors import Place

Severity: TypeAlias = Literal["critical", "warning", "info"]
"""What a failed expectation means: only ``critical`` fails the check."""


@dataclass(frozen=True)
class Expectation:
    """One line of a suite: a type and arguments of Great Expectations, and why it is there."""

    type: str
    arguments: Mapping[str, Any]
    place: Place
    meaning: str = ""
    severity: Severity = "critical"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be there before this can be looked at."""
        names = [self.arguments.get(key) for key in ("column", "column_A", "column_B")]
        if not self.type.startswith("expect_table_"):
            names += list(self.arguments.get("column_list") or ())
        return tuple(name for name in names if isinstance(name, str))


@dataclass(frozen=True)
class Suite:
    """The expectations of one file."""

    name: str
    expectations: tuple[Expectation, ...]
    description: str = ""


@dataclass(frozen=True)
class SampleRow:
    """A row that is not as expected. ``index`` counts from 0; ``values`` is the whole row."""

    index: int
    values: Mapping[str, Json]


@dataclass(frozen=True)
class Result:
    """What came of one expectation.

    ``unexpected`` of ``rows`` rows are not as expected, those without a value left out; ``rows`` is
    None where the expectation is about a whole table or column, whose value is ``observed``.
    Of a column's values held against a set ``unexpected`` counts those that are not in the set,
    ``surplus`` are the first of them, and ``lacking`` the first of the set that do not occur.
    ``samples`` are at most five of those rows, ``error`` why it could not be looked at.
    """

    type: str
    column: str | None
    rule: str
    meaning: str
    severity: Severity
    passed: bool
    rows: int | None = None
    unexpected: int | None = None
    percent: float | None = None
    observed: Json = None
    samples: tuple[SampleRow, ...] = ()
    error: str = ""
    place: str = ""
    columns: tuple[str, ...] = ()
    surplus: tuple[Json, ...] = ()
    lacking: tuple[Json, ...] = ()

    @property
    def counts_rows(self) -> bool:
        """Whether it is about rows, and says how many are not as expected."""
        return self.rows is not None and self.unexpected is not None


@dataclass(frozen=True)
class CheckOutcome:
    """What came of a suite."""

    suite: str
    description: str
    rows: int
    columns: int
    results: tuple[Result, ...] = field(default_factory=tuple)

    @property
    def passed(self) -> bool:
        """Whether every critical expectation holds."""
        return not self.failed

    @property
    def failed(self) -> tuple[Result, ...]:
        """The critical expectations that do not hold."""
        return tuple(r for r in self.results if not r.passed and r.severity == "critical")

    @property
    def warned(self) -> tuple[Result, ...]:
        """The others that do not hold."""
        return tuple(r for r in self.results if not r.passed and r.severity != "critical")

    def document(self) -> dict[str, Json]:
        """The result as a JSON document; the same data and suite give the same document."""
        counts: dict[str, Json] = {
            "expectations": len(self.results),
            "held": sum(result.passed for result in self.results),
            "failed": len(self.failed),
            "warned": len(self.warned),
        }
        return {
            "version": 1,
            "suite": self.suite,
            "description": self.description,
            "passed": self.passed,
            "rows": self.rows,
            "columns": self.columns,
            "counts": counts,
            "expectations": [_result_document(result) for result in self.results],
        }


def _result_document(result: Result) -> dict[str, Json]:
    samples: list[Json] = [asdict(row) for row in result.samples]
    lists: dict[str, Json] = {
        name: list(getattr(result, name)) for name in ("columns", "surplus", "lacking")
    }
    fields: dict[str, Json] = {**asdict(result), **lists, "samples": samples}
    return {key: value for key, value in fields.items() if value not in (None, "", [])}
