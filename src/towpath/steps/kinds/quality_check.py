"""Holds data against a suite of expectations, and hands on the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends import great_expectations
from towpath.backends.dvc import Store
from towpath.backends.great_expectations import sentences, suite_page
from towpath.config.artifact import Artifact, Json, Made
from towpath.errors import Fault, Refused, StepFailed
from towpath.steps import formats, own_formats
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.backends.great_expectations import Outcome
    from towpath.config.pipeline_declaration import QualityCheck


def execute(order: Order) -> Made:
    """Check, and make ``data`` (what was checked, untouched), ``result`` and ``page``.

    :raises Refused: where a critical expectation does not hold and the step says ``must_pass``;
        the result and the page then stay in the step's directory.
    """
    data = order.arguments["data"]
    assert isinstance(data, Artifact)
    shown = f"{order.folder}/{_declared(order).expectations}"
    suite = great_expectations.read_suite(order.root / shown, shown)
    store = Store(order.root)
    outcome = run(suite, _table(order, store, data))
    _report(outcome)
    document = outcome.document()
    result, seen = _write(order, document, suite_page.page(outcome, data.name))
    if outcome.failed and _declared(order).must_pass:
        raise Refused(
            *sentences.failure_faults(outcome),
            Fault(f"the check's page is {_relative(seen, order)}"),
        )
    outputs = {"data": data, "result": store.put(result), "page": store.put(seen)}
    result.unlink()
    seen.unlink()
    return Made(outputs, {"result": document}, {"check": _summary(outcome)})


def run(suite: great_expectations.Suite, table: Any) -> Outcome:
    """Hold a table against a suite."""
    from towpath.backends.great_expectations import validation

    return validation.validate_suite(suite, table)


def _declared(order: Order) -> QualityCheck:
    return order.step  # type: ignore[return-value] # only this kind comes here


def _table(order: Order, store: Store, data: Artifact) -> Any:
    asked = formats.Asked(
        data.name,
        declared=order.formats.get("data"),
        options=order.options_of("data"),
        own=order.own_formats,
    )
    if asked.format and asked.format.run:
        return _of_own_format(order, asked.format, store, data)
    if data.files is not None or asked.format is None or not asked.format.is_table:
        hint = f"it can look at tables: {formats.TABLES}"
        raise StepFailed(Fault(f"{data.name} is no table that a check can look at", hint=hint))
    path = store.path(data.digest)
    for note in formats.notes(path, asked):
        print(note)
    return formats.read(path, asked)


def _of_own_format(order: Order, format: formats.Format, store: Store, data: Artifact) -> Any:
    path = order.directory / "inputs" / "data" / data.name
    path.parent.mkdir(parents=True, exist_ok=True)
    store.link(data.digest, path)
    table = own_formats.read_own(order, format, path)
    if not (hasattr(table, "columns") and hasattr(table, "iloc")):
        kind = type(table).__name__
        what = f"{data.name}: {format.run} reads a {kind}, which is no table of pandas"
        raise StepFailed(Fault(what))
    return table


def _report(outcome: Outcome) -> None:
    for result in outcome.results:
        mark = "held  " if result.passed else "FAILED" if result in outcome.failed else "warned"
        print(mark, result.rule if result.passed else sentences.sentence(result))


def _write(order: Order, document: Json, shown: str) -> tuple[Path, Path]:
    order.directory.mkdir(parents=True, exist_ok=True)
    result, target = order.directory / "result.json", order.directory / "page.html"
    result.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    target.write_text(shown, encoding="utf-8")
    return result, target


def _summary(outcome: Outcome) -> Json:
    held = sum(result.passed for result in outcome.results)
    return {
        "passed": outcome.passed,
        "held": held,
        "failed": len(outcome.failed),
        "warned": len(outcome.warned),
    }


def _relative(path: Path, order: Order) -> str:
    return path.relative_to(order.root).as_posix() if path.is_relative_to(order.root) else str(path)
