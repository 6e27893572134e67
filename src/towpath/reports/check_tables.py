"""What checks and explanations found, a row each: for reports and for pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from towpath.config.artifact import Json
    from towpath.execution.run_record import StepRun

_LISTED = {"quality_check": "expectations", "bias_check": "bounds"}  # where a result lists them


class CheckedRule(Struct, frozen=True):
    """One rule of a check: what it says, with its bound, and what was observed."""

    rule: str
    column: str
    passed: bool
    severity: str
    observed: Json
    unexpected: str = ""


class FeatureImportance(Struct, frozen=True):
    """How much a feature matters; ``share`` is of the greatest, from 0 to 1."""

    name: str
    importance: float
    deviation: float | None
    share: float


def list_checked_rules(step: StepRun) -> list[CheckedRule] | None:
    """What a check held against its data; None for a step that is no check, or has no result."""
    document = step.made.values.get("result")
    if step.kind not in _LISTED or not isinstance(document, Mapping):
        return None
    listed = document.get(_LISTED[step.kind])
    return [_read_rule(row) for row in (listed if isinstance(listed, list) else ())
            if isinstance(row, Mapping)]  # fmt: skip


def _read_rule(row: Mapping[str, Json]) -> CheckedRule:
    rows, unexpected = row.get("rows"), row.get("unexpected")
    return CheckedRule(
        str(row.get("rule") or row.get("type") or ""),
        str(row.get("column") or ""),
        bool(row.get("passed")),
        str(row.get("severity") or ""),
        row.get("error") if row.get("observed") is None else row.get("observed"),
        _count_words(rows, unexpected),
    )


def _count_words(rows: Json, unexpected: Json) -> str:
    if not isinstance(rows, int) or not isinstance(unexpected, int):
        return ""
    return f"{unexpected:,} of {rows:,} rows are not" if unexpected else f"all of {rows:,} rows"


def list_importances(step: StepRun) -> list[FeatureImportance]:
    """What `explain` found, the greatest first; nothing of another step."""
    document = step.made.values.get("importance")
    features = document.get("features") if isinstance(document, Mapping) else None
    if step.kind != "explain" or not isinstance(features, Mapping):
        return []
    values: dict[str, tuple[float, float | None]] = {}
    for name, entry in features.items():
        value = entry.get("importance") if isinstance(entry, Mapping) else None
        deviation = entry.get("deviation") if isinstance(entry, Mapping) else None
        if isinstance(value, int | float):
            values[name] = value, deviation if isinstance(deviation, int | float) else None
    greatest = max((abs(value) for value, _ in values.values()), default=0.0) or 1.0
    return [
        FeatureImportance(name, value, deviation, abs(value) / greatest)
        for name, (value, deviation) in values.items()
    ]
