"""Holds data against a suite of expectations or a baseline, and hands on the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from towpath.backends import great_expectations
from towpath.backends.dvc import Store
from towpath.backends.great_expectations import suite_outcome
from towpath.backends.great_expectations.suite_outcome import CheckOutcome
from towpath.config.artifact import Artifact, Json, Made
from towpath.errors import Fault, Malformed, Refused, StepFailed
from towpath.steps import baseline_check, check_results, formats, project_functions, table_profile
from towpath.steps.formats import jsons
from towpath.steps.table_profile import (
    ProfiledTable,
    ReadParts,
    TableProfile,
    profile_table,
    read_profile,
)
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.check_bounds import BaselineTolerances
    from towpath.config.pipeline_declaration import QualityCheck


def execute(order: Order) -> Made:
    """Check, and make ``data`` (what was checked, untouched), ``result`` and ``page``; with
    ``baseline`` also the counts of the data, for later ones to be held against.

    :raises Refused: where a critical expectation does not hold and the step says ``must_pass``;
        what it made then stays in the step's directory.
    """
    step: QualityCheck = order.step  # type: ignore[assignment] # only this kind comes here
    store = Store(order.root)
    data = order.arguments["data"]
    assert isinstance(data, Artifact)
    outcome, documents = CheckOutcome("baseline", "", 0, 0), dict[str, Json]()
    table = None
    if step.expectations:
        suite_path = f"{order.folder}/{step.expectations}"
        suite = great_expectations.read_suite(order.root / suite_path, suite_path)
        table = _read_table(order, store, data)
        outcome = run_suite(suite, table)
    if step.baseline:
        baseline = _read_baseline(order, store)
        parts = _table_parts(order, store, data, table)
        profiled = profile_table(parts, _edges_of(baseline), _names_of(baseline))
        outcome = _with_baseline(outcome, profiled, baseline, step.baseline)
        documents["baseline"] = profiled.profile.document()
    check_results.print_results(outcome)
    documents["result"] = outcome.document()
    page = suite_outcome.render_page(outcome, data.name)
    files = check_results.write_results(order, documents, page)
    if outcome.failed and step.must_pass:
        raise Refused(*_failure_faults(outcome, files, order))
    made = check_results.store_results(order, files, documents, outcome)
    return replace(made, outputs={"data": data, **made.outputs})


def _failure_faults(
    outcome: CheckOutcome, files: Mapping[str, Path], order: Order
) -> Iterator[Fault]:
    yield from suite_outcome.failure_faults(outcome)
    yield Fault(f"the check's page is {_shown_path(files['page'], order)}")
    if "baseline" in files and any(r.type.startswith("baseline_") for r in outcome.failed):
        what = f"what the data is now is in {_shown_path(files['baseline'], order)}"
        yield Fault(what, hint="if that is as it should be, let it be the `baseline` from now on")


# Against a baseline: the counts that a check has made of other data.


def _read_baseline(order: Order, store: Store) -> TableProfile | None:
    """The profile that an input holds; None where there is none yet."""
    baseline = order.arguments.get("baseline")
    if isinstance(baseline, Artifact):
        name, document = baseline.name, _read_document(order, store, baseline)
    else:
        name, document = "the baseline", baseline.value if baseline else None
    if document is None:
        print("there is no baseline yet: this check makes the first")
        return None
    try:
        return read_profile(document)
    except Malformed as wrong:
        hint = "a quality_check with `baseline` makes one, as its output `baseline`"
        raise StepFailed(f"{name} is no baseline: {wrong.faults[0].what}", hint=hint) from None


def _read_document(order: Order, store: Store, baseline: Artifact) -> Json:
    format = formats.find_format(baseline.name, order.formats.get("baseline"))
    if baseline.files is not None or format is not formats.FORMATS["json"]:
        hint = "a quality_check with `baseline` makes one, as its output `baseline`"
        raise StepFailed(f"{baseline.name} is no baseline: it is no JSON", hint=hint)
    document: Json = jsons.parse_document(store.path(baseline.digest).read_bytes(), baseline.name)
    return document


def _edges_of(baseline: TableProfile | None) -> dict[str, tuple[float, ...]]:
    columns = baseline.columns if baseline else {}
    return {name: column.numbers.edges for name, column in columns.items() if column.numbers}


def _names_of(baseline: TableProfile | None) -> dict[str, tuple[str, ...]]:
    columns = baseline.columns if baseline else {}
    return {name: tuple(c.categories.counts) for name, c in columns.items() if c.categories}


def _with_baseline(
    outcome: CheckOutcome,
    table: ProfiledTable,
    baseline: TableProfile | None,
    tolerances: BaselineTolerances,
) -> CheckOutcome:
    results = baseline_check.compare_with_baseline(table, baseline, tolerances)
    profile = table.profile
    suite = outcome.suite if outcome.results else "a baseline" if baseline else "no baseline yet"
    return CheckOutcome(
        f"{suite} and a baseline" if outcome.results and baseline else suite,
        outcome.description,
        profile.rows,
        len(profile.columns),
        (*outcome.results, *results),
    )


def _table_parts(order: Order, store: Store, data: Artifact, table: Any) -> ReadParts:
    """The table in parts: the whole where it was read already, or its format knows no parts."""
    request = formats.argument_request(order, "data", data.name)
    if table is not None or (request.format and request.format.run):
        whole_table = _read_table(order, store, data) if table is None else table
        return lambda: [whole_table]
    path = _table_path(request, store, data)
    for note in formats.reading_notes(path, request):
        print(note)
    return lambda: formats.read_file_parts(path, request, table_profile.ROWS_AT_ONCE)


def run_suite(suite: great_expectations.Suite, table: Any) -> CheckOutcome:
    """Hold a table against a suite."""
    from towpath.backends.great_expectations import validation

    return validation.validate_suite(suite, table)


def _table_path(request: formats.ReadRequest, store: Store, data: Artifact) -> Path:
    if data.files is not None or request.format is None or not request.format.is_table:
        hint = f"it can look at tables: {formats.TABLES}"
        raise StepFailed(f"{data.name} is no table that a check can look at", hint=hint)
    return store.path(data.digest)


def _read_table(order: Order, store: Store, data: Artifact) -> Any:
    request = formats.argument_request(order, "data", data.name)
    if request.format and request.format.run:
        return _of_own_format(order, request.format, store, data)
    path = _table_path(request, store, data)
    for note in formats.reading_notes(path, request):
        print(note)
    return formats.read_file(path, request)


def _of_own_format(order: Order, format: formats.Format, store: Store, data: Artifact) -> Any:
    table = project_functions.read_own(order, format, order.place_input(store, "data", data))
    if not (hasattr(table, "columns") and hasattr(table, "iloc")):
        kind = type(table).__name__
        raise StepFailed(f"{data.name}: {format.run} reads a {kind}, which is no table of pandas")
    return table


def _shown_path(path: Path, order: Order) -> str:
    return path.relative_to(order.root).as_posix() if path.is_relative_to(order.root) else str(path)
