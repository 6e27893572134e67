"""Holds the outcomes of groups against each other: in labels, and in predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.backends.dvc import Store
from towpath.backends.great_expectations import suite_outcome
from towpath.backends.great_expectations.suite_outcome import CheckOutcome, Result
from towpath.config.artifact import Json, Made
from towpath.config.bias_names import AFTER_TRAINING, ALL_MEASURES, RATIO
from towpath.errors import Fault, Refused
from towpath.steps import check_results
from towpath.steps.bias_measures import (
    RATES,
    BiasMeasure,
    OutcomeCounts,
    Proportion,
    measure_bias,
)
from towpath.steps.bias_tables import GroupTally, group_name, tally_groups
from towpath.steps.kinds import batch_transform
from towpath.steps.table_profile import ROWS_AT_ONCE
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import BiasCheck

OTHERS = "the others"


def execute(order: Order) -> Made:
    """Measure, and make ``result`` (JSON) and ``page`` (HTML).

    :raises Refused: where a measure is out of its bound and the step says ``must_pass``; the result
        and the page then stay in the step's directory.
    """
    step: BiasCheck = order.step  # type: ignore[assignment] # only this kind comes here
    store = Store(order.root)
    data, parts = batch_transform.read_table_parts(order, store, ROWS_AT_ONCE)
    predict = _find_predictor(order, store)
    tally = tally_groups(parts, step, predict)
    comparisons = tuple(_compare_groups(tally, step, predicted=bool(predict or step.prediction)))
    outcome = _judge_bounds(tally, comparisons, step)
    _print_report(outcome, comparisons)
    document = _result_document(outcome, tally, comparisons, step)
    page = suite_outcome.render_page(outcome, data.name, _page_tables(tally, comparisons, step))
    files = check_results.write_results(order, {"result": document}, page)
    if outcome.failed and step.must_pass:
        page_path = files["page"].relative_to(order.root).as_posix()
        raise Refused(*suite_outcome.failure_faults(outcome), Fault(f"the page is {page_path}"))
    return check_results.store_results(order, files, {"result": document}, outcome)


def _find_predictor(order: Order, store: Store) -> Callable[[Any], Any] | None:
    if "model" not in order.arguments:
        return None
    model = batch_transform.read_order_model(order, store)
    return lambda part: model.predict(batch_transform.select_features(model, part))


class GroupComparison(Struct, frozen=True):
    """A group of a column against its reference, by measure."""

    column: str
    group: str
    reference: str
    measures: Mapping[str, BiasMeasure]


def _compare_groups(
    tally: GroupTally, step: BiasCheck, *, predicted: bool
) -> Iterator[GroupComparison]:
    for column, outcomes in tally.outcomes.items():
        reference = _choose_reference(outcomes, step)
        for group, counts in outcomes.items():
            if group == reference:
                continue
            others = [c for name, c in outcomes.items() if name != group]
            against = outcomes[reference] if reference else sum(others, OutcomeCounts())
            measures = measure_bias(counts, against, predicted=predicted)
            yield GroupComparison(column, group, reference or OTHERS, measures)


def _choose_reference(outcomes: Mapping[str, OutcomeCounts], step: BiasCheck) -> str | None:
    """The declared group; of two the larger, as the one says what the other does; else none."""
    if step.reference is not None:
        return group_name(step.reference)
    return max(outcomes, key=lambda name: outcomes[name].rows) if len(outcomes) == 2 else None


# Against their bounds.


def _judge_bounds(
    tally: GroupTally, comparisons: tuple[GroupComparison, ...], step: BiasCheck
) -> CheckOutcome:
    results = [
        _bound_result(comparison, name, comparison.measures[name], step)
        for comparison in comparisons
        for name in step.bounds
    ]
    if results and all(result.error for result in results):
        what = f"a group has at least {step.least_rows} rows on which a bound can be judged"
        error = "none has, and what cannot be judged has not passed"
        results.append(Result("bias_rows", None, what, "", "critical", False, error=error))
    suite = f"{len(step.bounds)} bounds" if len(step.bounds) != 1 else "1 bound"
    return CheckOutcome(suite, step.description or "", tally.rows, tally.columns, tuple(results))


def _bound_result(
    comparison: GroupComparison, name: str, measure: BiasMeasure, step: BiasCheck
) -> Result:
    bound = step.bounds[name]
    words = [] if bound.at_least is None else [f"at least {bound.at_least:.4g}"]
    words += [] if bound.at_most is None else [f"at most {bound.at_most:.4g}"]
    subject = f"{comparison.group} against {comparison.reference}"
    rule = f"`{comparison.column}`, {subject}: {_measure_words(name)} is {' and '.join(words)}"
    kind = f"bias_{name}"
    if measure.rows < step.least_rows:
        error = f"it rests on {measure.rows:,} rows, too few to say ({_value_words(measure)})"
        return Result(kind, comparison.column, rule, "", "warning", False, error=error)
    if measure.value is None:
        error = "it has no value: what it is divided by is 0"
        return Result(kind, comparison.column, rule, "", "critical", False, error=error)
    # A billionth, for what the difference of two shares leaves behind.
    least = -math.inf if bound.at_least is None else bound.at_least - 1e-9
    most = math.inf if bound.at_most is None else bound.at_most + 1e-9
    passed = least <= measure.value <= most
    observed = _value_words(measure)
    low, high = measure.interval or (math.inf, -math.inf)
    if not passed and low <= most and least <= high:
        observed += ": by chance it may be within"
    return Result(kind, comparison.column, rule, "", "critical", passed, observed=observed)


def _measure_words(name: str) -> str:
    return f"{name.replace('_', ' ')} ({ALL_MEASURES[name]})"


def _value_words(measure: BiasMeasure) -> str:
    if measure.value is None:
        return "no value"
    value_text = f"{measure.value:.3g}"
    if measure.interval is None:
        return value_text
    low, high = measure.interval
    return f"{value_text}, with 95 % between {low:.3g} and {high:.3g}"


def _print_report(outcome: CheckOutcome, comparisons: tuple[GroupComparison, ...]) -> None:
    for comparison in comparisons:
        print(f"{comparison.column}: {comparison.group} against {comparison.reference}")
        for name, measure in comparison.measures.items():
            print(f"    {_measure_words(name)}: {_value_words(measure)}")
    check_results.print_results(outcome)


# What is kept.


def _result_document(
    outcome: CheckOutcome,
    tally: GroupTally,
    comparisons: tuple[GroupComparison, ...],
    step: BiasCheck,
) -> dict[str, Json]:
    rates = _shown_rates(comparisons)
    groups: dict[str, Json] = {
        column: {
            group: {"rows": counts.rows, **{r: _rate_document(RATES[r](counts)) for r in rates}}
            for group, counts in outcomes.items()
        }
        for column, outcomes in tally.outcomes.items()
    }
    measures: dict[str, Any] = {}
    for comparison in comparisons:
        measures.setdefault(comparison.column, {})[comparison.group] = {
            "against": comparison.reference,
            **{n: _measure_document(n, m, step) for n, m in comparison.measures.items()},
        }
    return {
        "version": 1, "passed": outcome.passed, "rows": tally.rows, "label": step.label,
        "positive": list(step.positive) if step.positive else [1],
        "least_rows": step.least_rows, "confidence": 0.95,
        "counts": check_results.summarise_results(outcome), "worst": _find_worst(comparisons, step),
        "groups": groups, "measures": measures,
        "bounds": outcome.document()["expectations"],
    }  # fmt: skip


def _shown_rates(comparisons: tuple[GroupComparison, ...]) -> list[str]:
    predicted = any(set(AFTER_TRAINING) & c.measures.keys() for c in comparisons)
    return list(RATES) if predicted else list(RATES)[:1]


def _rate_document(rate: Proportion) -> Json:
    low, high = rate.interval or (None, None)
    return {
        "value": _rounded(rate.share), "low": _rounded(low), "high": _rounded(high),
        "rows": rate.rows,
    }  # fmt: skip


def _measure_document(name: str, measure: BiasMeasure, step: BiasCheck) -> Json:
    low, high = measure.interval or (None, None)
    return {
        "clarify": ALL_MEASURES[name], "value": _rounded(measure.value), "low": _rounded(low),
        "high": _rounded(high), "rows": measure.rows, "small": measure.rows < step.least_rows,
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    # The last digits of a logarithm depend on the machine, and the same data gives the same result.
    return None if value is None else round(value, 12)


def _find_worst(comparisons: tuple[GroupComparison, ...], step: BiasCheck) -> dict[str, Json]:
    """The value of each measure that is farthest from what it is where groups are alike."""
    worst: dict[str, Json] = {}
    for name in comparisons[0].measures if comparisons else ():
        values = [
            measure.value
            for comparison in comparisons
            if (measure := comparison.measures[name]).rows >= step.least_rows
            and measure.value is not None
        ]
        worst[name] = _rounded(max(values, key=lambda v: _distance(name, v), default=None))
    return worst


def _distance(name: str, value: float) -> float:
    if name != RATIO:
        return abs(value)
    return abs(math.log(value)) if value else math.inf


def _page_tables(
    tally: GroupTally, comparisons: tuple[GroupComparison, ...], step: BiasCheck
) -> str:
    parts = []
    rates = _shown_rates(comparisons)
    for column, outcomes in tally.outcomes.items():
        rows = [
            [group, f"{counts.rows:,}", *(_rate_cell(RATES[rate](counts), step) for rate in rates)]
            for group, counts in outcomes.items()
        ]
        heads = [column, "rows", *(rate.replace("_", " ") for rate in rates)]
        parts.append(_page_table(f"Groups of {column}", heads, rows))
        compared = [c for c in comparisons if c.column == column]
        heads = ["measure", *(f"{c.group} against {c.reference}" for c in compared)]
        names = compared[0].measures if compared else ()
        rows = [
            [_measure_words(name), *(_measure_cell(c.measures[name], step) for c in compared)]
            for name in names
        ]
        parts.append(
            _page_table(f"Measures of {column}, with their intervals of 95 %", heads, rows)
        )
    return "".join(parts)


def _rate_cell(rate: Proportion, step: BiasCheck) -> str:
    if rate.share is None or rate.interval is None:
        return "no rows"
    low, high = rate.interval
    small = f"; of {rate.rows} rows" if rate.rows < step.least_rows else ""
    return f"{100 * rate.share:.3g} % ({100 * low:.3g} to {100 * high:.3g}{small})"


def _measure_cell(measure: BiasMeasure, step: BiasCheck) -> str:
    if measure.value is None:
        return "no value"
    low, high = measure.interval or (None, None)
    between = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
    small = f"; of {measure.rows} rows" if measure.rows < step.least_rows else ""
    return f"{measure.value:.3g}{between}{small}"


def _page_table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = [
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(c)}</td>' for c in row[1:])}</tr>"
        for row in rows
    ]
    table = f"<table><tr>{head}</tr>{''.join(lines)}</table>"
    return f'<section><h2>{escape(title)}</h2>\n<div class="rows">{table}</div></section>\n'
