"""Holds data against a suite of expectations, and hands on the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.backends import great_expectations
from towpath.backends.dvc import Store
from towpath.backends.great_expectations import suite_outcome
from towpath.config.artifact import Artifact, Json, Made
from towpath.errors import Fault, Refused, StepFailed
from towpath.steps import formats, project_functions
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.backends.great_expectations import CheckOutcome
    from towpath.config.pipeline_declaration import QualityCheck


def execute(order: Order) -> Made:
    """Check, and make ``data`` (what was checked, untouched), ``result`` and ``page``.

    :raises Refused: where a critical expectation does not hold and the step says ``must_pass``;
        the result and the page then stay in the step's directory.
    """
    data = order.arguments["data"]
    assert isinstance(data, Artifact)
    shown = f"{order.folder}/{_declared_step(order).expectations}"
    suite = great_expectations.read_suite(order.root / shown, shown)
    store = Store(order.root)
    outcome = run_suite(suite, _read_table(order, store, data))
    _print_report(outcome)
    document = outcome.document()
    result, page_file = _write_results(
        order, document, suite_outcome.render_page(outcome, data.name)
    )
    if outcome.failed and _declared_step(order).must_pass:
        raise Refused(
            *suite_outcome.failure_faults(outcome),
            Fault(f"the check's page is {_shown_path(page_file, order)}"),
        )
    outputs = {"data": data, "result": store.put(result), "page": store.put(page_file)}
    result.unlink()
    page_file.unlink()
    return Made(outputs, {"result": document}, {"check": _summarise_check(outcome)})


def run_suite(suite: great_expectations.Suite, table: Any) -> CheckOutcome:
    """Hold a table against a suite."""
    from towpath.backends.great_expectations import validation

    return validation.validate_suite(suite, table)


def _declared_step(order: Order) -> QualityCheck:
    return order.step  # type: ignore[return-value] # only this kind comes here


def _read_table(order: Order, store: Store, data: Artifact) -> Any:
    request = formats.ReadRequest(
        data.name,
        declared=order.formats.get("data"),
        options=order.options_of("data"),
        own=order.own_formats,
    )
    if request.format and request.format.run:
        return _of_own_format(order, request.format, store, data)
    if data.files is not None or request.format is None or not request.format.is_table:
        hint = f"it can look at tables: {formats.TABLES}"
        raise StepFailed(Fault(f"{data.name} is no table that a check can look at", hint=hint))
    path = store.path(data.digest)
    for note in formats.reading_notes(path, request):
        print(note)
    return formats.read_file(path, request)


def _of_own_format(order: Order, format: formats.Format, store: Store, data: Artifact) -> Any:
    path = order.directory / "inputs" / "data" / data.name
    path.parent.mkdir(parents=True, exist_ok=True)
    store.copy_to(data.digest, path)
    table = project_functions.read_own(order, format, path)
    if not (hasattr(table, "columns") and hasattr(table, "iloc")):
        kind = type(table).__name__
        what = f"{data.name}: {format.run} reads a {kind}, which is no table of pandas"
        raise StepFailed(Fault(what))
    return table


def _print_report(outcome: CheckOutcome) -> None:
    for result in outcome.results:
        mark = "held  " if result.passed else "FAILED" if result in outcome.failed else "warned"
        print(mark, result.rule if result.passed else suite_outcome.result_sentence(result))


def _write_results(order: Order, document: Json, shown: str) -> tuple[Path, Path]:
    order.directory.mkdir(parents=True, exist_ok=True)
    result, target = order.directory / "result.json", order.directory / "page.html"
    result.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    target.write_text(shown, encoding="utf-8")
    return result, target


def _summarise_check(outcome: CheckOutcome) -> Json:
    held = sum(result.passed for result in outcome.results)
    return {
        "passed": outcome.passed,
        "held": held,
        "failed": len(outcome.failed),
        "warned": len(outcome.warned),
    }


def _shown_path(path: Path, order: Order) -> str:
    return path.relative_to(order.root).as_posix() if path.is_relative_to(order.root) else str(path)
