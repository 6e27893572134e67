"""Holds a table against a baseline: what its columns were, how complete, and how distributed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from towpath.backends.great_expectations.suite_outcome import Result
from towpath.config.artifact import Json
from towpath.errors import did_you_mean
from towpath.steps.table_profile import (
    MOST_DISTINCT,
    ColumnProfile,
    ProfiledTable,
    TableProfile,
)

if TYPE_CHECKING:
    from towpath.config.check_bounds import BaselineTolerances

_CHANCE = 1.63  # of Kolmogorov and Smirnov, for one of a hundred tables that are no other
_SHOWN = 8


def compare_with_baseline(
    table: ProfiledTable, baseline: TableProfile | None, tolerances: BaselineTolerances
) -> tuple[Result, ...]:
    """What came of each comparison; without a baseline only that there is something to make one of.

    A distribution is another where the distance is above the tolerance, and above what tables of so
    few rows differ by chance.
    """
    profile = table.profile
    empty = "" if profile.rows else "it has none"
    results = [_result("rows", "the table has rows", profile.rows > 0, error=empty)]
    results += _absent_tolerances(profile, baseline, tolerances)
    if baseline is None or not profile.rows:
        return tuple(results)
    if tolerances.rows is not None:
        results.append(_row_result(profile.rows, baseline.rows, tolerances.rows))
    if not tolerances.new_columns:
        new = [name for name in profile.columns if name not in baseline.columns]
        rule = "the columns are those of the baseline"
        listed = ", ".join(f"`{name}`" for name in new[:_SHOWN])
        words = f"there are others: {listed}{', ...' if len(new) > _SHOWN else ''}" if new else ""
        results.append(_result("new_columns", rule, not new, error=words))
    for name, reference in baseline.columns.items():
        results += _column_results(name, reference, table, baseline, tolerances)
    return tuple(results)


def _result(
    check: str, rule: str, passed: bool, column: str | None = None, **findings: Any
) -> Result:
    return Result(f"baseline_{check}", column, rule, "", "critical", bool(passed), **findings)


def _absent_tolerances(
    profile: TableProfile, baseline: TableProfile | None, tolerances: BaselineTolerances
) -> Iterator[Result]:
    """Names under ``columns`` that nothing has: a typo would leave the column with the others'."""
    names = [*profile.columns, *(baseline.columns if baseline else ())]
    for name in tolerances.columns:
        if name not in names:
            near = did_you_mean(name, names)
            words = f"there is no column `{name}`" + (f" ({near})" if near else "")
            rule = f"`{name}`, which has tolerances of its own, is there"
            yield _result("column", rule, passed=False, column=name, error=words)


def _row_result(rows: int, reference: int, tolerance: float) -> Result:
    least, most = math.ceil(reference * (1 - tolerance)), math.floor(reference * (1 + tolerance))
    rule = f"the number of rows is {max(least, 0):,} to {most:,} ({reference:,} in the baseline)"
    return _result("rows", rule, least <= rows <= most, observed=rows)


def _column_results(
    name: str,
    reference: ColumnProfile,
    table: ProfiledTable,
    baseline: TableProfile,
    tolerances: BaselineTolerances,
) -> Iterator[Result]:
    columns = table.profile.columns
    rule = f"`{name}` is there, and is {_KIND_WORDS[reference.kind]}"
    column = columns.get(name)
    if column is None:
        near = did_you_mean(name, [other for other in columns if other not in baseline.columns])
        words = f"there is no column `{name}`" + (f" ({near})" if near else "")
        yield _result("type", rule, passed=False, column=name, error=words)
        return
    same = _is_same_kind(reference.kind, column.kind)
    yield _result("type", rule, same, name, observed=_KIND_WORDS[column.kind])
    own = tolerances.columns.get(name)
    allowed = {
        key: getattr(tolerances, key)
        if own is None or getattr(own, key) is None
        else getattr(own, key)
        for key in ("completeness", "distribution", "new_values")
    }
    if baseline.rows:
        yield _completeness_result(
            name, column.present / table.profile.rows, reference.present / baseline.rows,
            allowed["completeness"],
        )  # fmt: skip
    if same:
        yield from _distribution_results(name, reference, column, table, allowed)


_KIND_WORDS = {
    "boolean": "true or false", "integer": "whole numbers", "number": "numbers", "text": "text",
    "time": "times", "other": "of several types", "empty": "without a value",
}  # fmt: skip


def _is_same_kind(reference: str, kind: str) -> bool:
    # A column without a value has any kind: how complete it is, is another question. Numbers may
    # happen to be whole.
    kinds = (reference, kind)
    return "empty" in kinds or kind == reference or kinds == ("number", "integer")


def _completeness_result(name: str, share: float, reference: float, tolerance: float) -> Result:
    least = max(reference - tolerance, 0.0)
    rule = (
        f"`{name}` has a value in at least {_percent(least)} of rows "
        f"({_percent(reference)} in the baseline)"
    )
    # A millionth, for what the subtraction of two shares leaves behind.
    passed = share >= least - 1e-9
    return _result("completeness", rule, passed, name, observed=f"{_percent(share)}")


def _distribution_results(
    name: str,
    reference: ColumnProfile,
    column: ColumnProfile,
    table: ProfiledTable,
    allowed: dict[str, float],
) -> Iterator[Result]:
    if reference.numbers and column.numbers and name in table.at_edges:
        old, new = reference.numbers.counts, table.at_edges[name]
        sizes = sum(old), sum(new)
        distance = max(map(abs, _steps_apart(old, new)), default=0.0)
        where = _where_apart(reference.numbers.edges, old, new)
    elif reference.categories and (column.categories or name in table.of_names):
        # More texts than are counted are none the less others than the baseline's.
        counts = column.categories.counts if column.categories else table.of_names[name]
        shares = _category_shares(reference, counts, column.present)
        sizes = reference.present, column.present
        category = max(shares, key=lambda text: abs(shares[text][1] - shares[text][0]))
        before, after = shares[category]
        distance = abs(after - before)
        subject = "others" if category is None else f"'{category}'"
        where = f"{subject} {_percent(after)}, and {_percent(before)} before"
        if len(reference.categories.counts) == reference.categories.distinct:  # it names them all
            others = shares[None][1]
            yield _new_values_result(name, reference, column, others, allowed["new_values"])
    else:
        return
    if allowed["distribution"] < 1:
        yield _distance_result(name, distance, allowed["distribution"], sizes, where)


def _distance_result(
    name: str, distance: float, tolerance: float, sizes: tuple[int, int], where: str
) -> Result:
    chance = min(_CHANCE * math.sqrt(sum(1 / size for size in sizes)), 1.0)
    limit = max(tolerance, chance)
    rule = f"the distribution of `{name}` is at most {limit:.3g} from the baseline's"
    if chance > tolerance:
        rule += f" (of so few rows; {tolerance:g} of more)"
    observed: Json = f"{distance:.3g} from it" + (f": {where}" if where else "")
    return _result("distribution", rule, distance <= limit, name, observed=observed)


def _steps_apart(old: tuple[int, ...], new: tuple[int, ...]) -> list[float]:
    """The difference of the two distribution functions at each edge."""
    pairs = zip(accumulate(old), accumulate(new), strict=True)
    return [above / sum(new) - below / sum(old) for below, above in pairs][:-1]


def _where_apart(edges: tuple[float, ...], old: tuple[int, ...], new: tuple[int, ...]) -> str:
    apart = _steps_apart(old, new)
    place = max(range(len(apart)), key=lambda number: abs(apart[number]))
    before, after = sum(old[: place + 1]) / sum(old), sum(new[: place + 1]) / sum(new)
    return f"{_percent(after)} are at most {edges[place]:.6g}, and were {_percent(before)}"


def _category_shares(
    reference: ColumnProfile, new: Mapping[str, int], present: int
) -> dict[str | None, tuple[float, float]]:
    """The shares of each category of the baseline's, before and now; under None that of all that it
    does not name."""
    assert reference.categories
    old = reference.categories.counts
    shares: dict[str | None, tuple[float, float]] = {
        text: (count / reference.present, new.get(text, 0) / present) for text, count in old.items()
    }
    rest = present - sum(new.get(text, 0) for text in old)
    others = reference.categories.other / reference.present, rest / present
    return {**shares, None: others}


def _new_values_result(
    name: str, reference: ColumnProfile, column: ColumnProfile, share: float, tolerance: float
) -> Result:
    """``share`` is that of the rows whose value the baseline does not have."""
    assert reference.categories
    rule = f"`{name}` takes values of the baseline"
    if tolerance:
        rule += f", in at least {_percent(1 - tolerance)} of rows"
    if share <= tolerance:
        return _result("new_values", rule, True, name, observed=_percent(share))
    if not column.categories:
        error = f"{_percent(share)} of its values are others: it has more than {MOST_DISTINCT:,}"
        return _result("new_values", rule, False, name, error=error)
    known = reference.categories.counts
    new = {text: n for text, n in column.categories.counts.items() if text not in known}
    common = sorted(new, key=lambda text: (-new[text], text))[:_SHOWN]
    return _result("new_values", rule, False, name, surplus=tuple(common), unexpected=len(new))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
