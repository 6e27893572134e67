"""A suite and what came of it, as types, in sentences and as a page; nothing knows Great
Expectations here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from towpath.config.artifact import Json
from towpath.errors import Fault, Place
from towpath.plain_data import list_fields

# What a failed expectation means: only ``critical`` fails the check.
Severity: TypeAlias = Literal["critical", "warning", "info"]
Arguments: TypeAlias = Mapping[str, Any]

_APART = ("column", "mostly", "row_condition", "condition_parser")


class Expectation(Struct, frozen=True):
    """One line of a suite: a type and arguments of Great Expectations, and why it is there."""

    type: str
    arguments: Mapping[str, Any]
    place: Place
    meaning: str = ""
    severity: Severity = "critical"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be there before this can be looked at."""
        # They are looked for first, so that a missing column is told in our words, with a near one.
        names = [self.arguments.get(key) for key in ("column", "column_A", "column_B")]
        if not self.type.startswith("expect_table_"):
            names += list(self.arguments.get("column_list") or ())
        return tuple(name for name in names if isinstance(name, str))


class Suite(Struct, frozen=True):
    name: str
    expectations: tuple[Expectation, ...]
    description: str = ""


class SampleRow(Struct, frozen=True):
    """A row that is not as expected. ``index`` counts from 0; ``values`` is the whole row."""

    index: int
    values: Mapping[str, Json]


class Result(Struct, frozen=True):
    """What came of one expectation. ``unexpected`` of ``rows`` rows with a value are not as
    expected; ``rows`` is None of one about a whole table or column, whose value is ``observed``. Of
    a column's values held against a set, ``surplus`` are the first that are not in it
    (``unexpected`` counts them), ``lacking`` the first that do not occur. ``samples`` are at most
    five rows, ``error`` why it could not be looked at."""

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


class CheckOutcome(Struct, frozen=True):
    suite: str
    description: str
    rows: int
    columns: int
    results: tuple[Result, ...] = field(default_factory=tuple)

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def held(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.passed)

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(r for r in self.results if not r.passed and r.severity == "critical")

    @property
    def warned(self) -> tuple[Result, ...]:
        return tuple(r for r in self.results if not r.passed and r.severity != "critical")

    def document(self) -> dict[str, Json]:
        """The result as a JSON document; the same data and suite give the same document."""
        counts: dict[str, Json] = {
            "expectations": len(self.results), "held": len(self.held), "failed": len(self.failed),
            "warned": len(self.warned),
        }  # fmt: skip
        return {
            "version": 1,  # of this form: it is kept as an output of the step, for years
            "suite": self.suite, "description": self.description, "passed": self.passed,
            "rows": self.rows, "columns": self.columns, "counts": counts,
            "expectations": [_result_document(result) for result in self.results],
        }  # fmt: skip


def _result_document(result: Result) -> dict[str, Json]:
    fields = {k: list(v) if isinstance(v, tuple) else v for k, v in list_fields(result).items()}
    return {key: value for key, value in fields.items() if value not in (None, "", [])}


def describe_rule(type: str, arguments: Arguments) -> str:
    """What is expected, as the end of a sentence, with columns in backquotes."""
    sentence = _SENTENCES.get(type)
    others = [f"{key} {_list_values(v)}" for key, v in arguments.items() if key not in _APART]
    rest = ", ".join(others)
    name = type.removeprefix("expect_").replace("_", " ")
    subject = f"`{arguments['column']}`: " if "column" in arguments else ""
    rule = f"{subject}{name} ({rest})" if rest else f"{subject}{name}"
    if sentence:  # an argument that is not given is left out, as it may be by its own default
        rule = sentence.format_map(defaultdict(str, _sentence_parts(arguments)))
    if "mostly" in arguments and arguments["mostly"] != 1:
        rule += f", in at least {arguments['mostly'] * 100:g} % of rows"
    if "row_condition" in arguments:
        rule += f", where {arguments['row_condition']}"
    return rule


def _list_values(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    shown = [_spell_value(item) for item in value[:8]]
    return ", ".join(shown) + (", ..." if len(value) > 8 else "") or "nothing"


# Each argument by its name, columns in backquotes; and what `_sentence_parts` adds.
_SENTENCES: Mapping[str, str] = {
    "expect_column_values_to_be_between": "{column} is {bounds}",
    "expect_column_values_to_not_be_null": "{column} has a value",
    "expect_column_values_to_be_null": "{column} has no value",
    "expect_column_values_to_be_unique": "each value of {column} occurs once",
    "expect_column_values_to_be_in_set": "{column} is one of {value_set}",
    "expect_column_values_to_not_be_in_set": "{column} is none of {value_set}",
    "expect_column_values_to_be_of_type": "{column} is of type {type_}",
    "expect_column_values_to_be_in_type_list": "{column} is of type {type_list}",
    "expect_column_values_to_match_regex": "{column} matches {regex}",
    "expect_column_values_to_not_match_regex": "{column} does not match {regex}",
    "expect_column_values_to_match_strftime_format": "{column} is a time as {strftime_format}",
    "expect_column_value_lengths_to_be_between": "the length of {column} is {bounds}",
    "expect_column_value_lengths_to_equal": "the length of {column} is {value}",
    "expect_column_to_exist": "{column} is there{position}",
    "expect_column_min_to_be_between": "the least {column} is {bounds}",
    "expect_column_max_to_be_between": "the greatest {column} is {bounds}",
    "expect_column_mean_to_be_between": "the mean of {column} is {bounds}",
    "expect_column_median_to_be_between": "the median of {column} is {bounds}",
    "expect_column_stdev_to_be_between": "the standard deviation of {column} is {bounds}",
    "expect_column_sum_to_be_between": "the sum of {column} is {bounds}",
    "expect_column_unique_value_count_to_be_between": (
        "the number of values of {column} is {bounds}"
    ),
    "expect_column_proportion_of_unique_values_to_be_between": (
        "the share of values of {column} that occur once is {bounds}"
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": (
        "the share of rows in which {column} has a value is {bounds}"
    ),
    "expect_column_distinct_values_to_be_in_set": "{column} takes only {value_set}",
    "expect_column_distinct_values_to_equal_set": "{column} takes just {value_set}",
    "expect_column_distinct_values_to_contain_set": "{column} takes at least {value_set}",
    "expect_column_most_common_value_to_be_in_set": "the commonest {column} is one of {value_set}",
    "expect_column_pair_values_a_to_be_greater_than_b": "{column_A} is {order} {column_B}",
    "expect_column_pair_values_to_be_equal": "{column_A} equals {column_B}",
    "expect_compound_columns_to_be_unique": "no two rows agree in {columns}",
    "expect_table_row_count_to_be_between": "the number of rows is {bounds}",
    "expect_table_row_count_to_equal": "the number of rows is {value}",
    "expect_table_column_count_to_be_between": "the number of columns is {bounds}",
    "expect_table_column_count_to_equal": "the number of columns is {value}",
    "expect_table_columns_to_match_ordered_list": "the columns are {column_list}",
    "expect_table_columns_to_match_set": "the columns, in any order, are {column_set}",
}


def _sentence_parts(arguments: Arguments) -> Mapping[str, str]:
    quoted = {key: f"`{arguments.get(key, '')}`" for key in ("column", "column_A", "column_B")}
    index = arguments.get("column_index")
    low, high = arguments.get("min_value"), arguments.get("max_value")
    above = "above" if arguments.get("strict_min") else "at least"
    below = "below" if arguments.get("strict_max") else "at most"
    bounds = [] if low is None else [f"{above} {low}"]
    bounds += [] if high is None else [f"{below} {high}"]
    return {
        **{key: _list_values(value) for key, value in arguments.items()},
        **quoted,
        "bounds": " and ".join(bounds),
        "columns": ", ".join(f"`{name}`" for name in arguments.get("column_list") or ()),
        "order": "at least" if arguments.get("or_equal") else "above",
        "position": "" if index is None else f", as column {index}",
    }


def failure_faults(outcome: CheckOutcome) -> tuple[Fault, ...]:
    """One fault for each critical expectation that does not hold, at its line in the suite."""
    return tuple(Fault(result_sentence(r), _parse_place(r.place)) for r in outcome.failed)


def result_sentence(result: Result) -> str:
    """A result in one sentence, with the rows that are not as expected."""
    expected = f"expected that {result.rule}"
    if result.error:
        return f"{expected}, but {result.error}"
    if not result.counts_rows:
        return f"{expected}, but {of_the_whole(result)}"
    are = "is" if result.unexpected == 1 else "are"
    count = f"{result.unexpected:,} of {result.rows:,} rows {are} not ({percent_text(result)})"
    samples = "; ".join(_sample_words(row, result) for row in result.samples)
    return f"{expected}, but {count}" + (f": {samples}" if samples else "")


def of_the_whole(result: Result) -> str:
    """What an expectation about a whole table or column found instead."""
    parts = []
    if result.surplus:
        more = (result.unexpected or 0) - len(result.surplus)
        also = f" and {more:,} more" if more > 0 else ""
        parts.append(f"takes {show_observed(list(result.surplus))}{also}")
    if result.lacking:
        parts.append(f"lacks {show_observed(list(result.lacking))}")
    if parts:
        return f"it {' and '.join(parts)}"
    if result.observed is None or result.observed == []:
        # Of a distance, a set or a place nothing observed says nothing of the data.
        is_measured = any(word in result.type for word in ("divergence", "distinct", "to_exist"))
        return "it does not hold" if is_measured else "there is no value"
    return f"it is {show_observed(result.observed)}"


def without_values(result: Result) -> str:
    """The same for who may not see the data: what the suite names, and numbers of values."""
    parts = []
    if result.surplus:
        count = result.unexpected or len(result.surplus)
        parts.append(f"takes {count:,} other value{'s' if count > 1 else ''}")
    if result.lacking:
        parts.append(f"lacks {show_observed(list(result.lacking))}")
    return f"it {' and '.join(parts)}" if parts else "it does not hold"


def percent_text(result: Result) -> str:
    """The share of unexpected rows, with as many digits as it takes to see it."""
    return f"{result.percent or 0:.3g} %"


def show_observed(value: Json) -> str:
    """A value in a sentence, cut where it is long."""
    text = ", ".join(map(_spell_value, value)) if isinstance(value, list) else _spell_value(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _spell_value(value: Json) -> str:
    return "no value" if value is None else str(value)


def _sample_words(row: SampleRow, result: Result) -> str:
    # By its number from 0, as pandas counts, so that `frame.iloc[...]` finds it.
    names = [name for name in result.columns if name in row.values] or list(row.values)[:4]
    values = ", ".join(f"{name} {row.values[name]}" for name in names)
    return f"row {row.index}: {values}"


def _parse_place(text: str) -> Place | None:
    file, _, line = text.rpartition(":")
    return Place(file, int(line)) if line.isdigit() else None


# The result as a page of HTML that needs nothing but itself.

_QUOTED = re.compile("`([^`]+)`")
_WORDS = {"held": "held", "failed": "failed", "warned": "warning"}


def render_page(outcome: CheckOutcome, data: str, tables: str = "") -> str:
    """A page of HTML that needs nothing but itself; ``tables`` is HTML that stands below what is
    out of order, and above what holds."""
    verdict = "passed" if outcome.passed else "failed"
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    body = "".join((*_head_lines(outcome, data, verdict), *_group_sections(outcome, tables)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(data)}: {verdict}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body class="{verdict}">\n<main>\n{body}</main>\n</body>\n</html>\n'
    )


def _head_lines(outcome: CheckOutcome, data: str, verdict: str) -> Iterator[str]:
    yield f'<header><p class="verdict">{verdict}</p><h1>{escape(data)}</h1>'
    yield f'<p class="about">{outcome.rows:,} rows, {outcome.columns:,} columns, held against '
    yield f"<b>{escape(outcome.suite)}</b></p>"
    if outcome.description:
        yield f'<p class="description">{escape(outcome.description)}</p>'
    yield '<ul class="counts">'
    counts = {"held": outcome.held, "warned": outcome.warned, "failed": outcome.failed}
    for word, results in counts.items():
        word_class = word if results else "none"
        yield f'<li class="{word_class}"><b>{len(results)}</b> {_WORDS[word]}</li>'
    yield "</ul></header>\n"


def _group_sections(outcome: CheckOutcome, tables: str) -> Iterator[str]:
    groups = ("Failed", outcome.failed), ("Warnings", outcome.warned), ("Held", outcome.held)
    for title, results in groups:
        if title == "Held":
            yield tables
        if results:
            yield f"<section><h2>{title}</h2>\n"
            yield from (_result_card(result) for result in results)
            yield "</section>\n"


def _result_card(result: Result) -> str:
    state = "held" if result.passed else "failed" if result.severity == "critical" else "warned"
    parts = [f'<article class="{state}"><h3>{_code_quoted(result.rule)}</h3>']
    if result.meaning:
        parts.append(f'<p class="meaning">{escape(result.meaning)}</p>')
    parts.append(f'<p class="found">{_result_finding(result)}</p>')
    if result.samples:
        parts.append(_sample_table(result))
    parts.append(
        f'<p class="source">{escape(result.type)} · {escape(result.place)}</p></article>\n'
    )
    return "".join(parts)


def _code_quoted(text: str) -> str:
    return _QUOTED.sub(r"<code>\1</code>", escape(text))


def _result_finding(result: Result) -> str:
    if result.error:
        return f"<b>{_code_quoted(result.error)}</b>"
    if not result.counts_rows:  # said of the column, not of its rows
        if not result.passed:
            return f"<b>{escape(of_the_whole(result))}</b>"
        shown = escape(show_observed(result.observed))
        return "" if result.observed is None else f"it is {shown}"
    if not result.unexpected:
        return f"all of {result.rows:,} rows"
    share = min(100.0, max(0.5, result.percent or 0))  # a few in a million are still to be seen
    bar = f'<span class="bar"><span style="width:{share:.3g}%"></span></span>'
    count = f"<b>{result.unexpected:,}</b> of {result.rows:,} rows are not"
    return f"{bar}{count} ({percent_text(result)})"


def _sample_table(result: Result) -> str:
    names = list(result.samples[0].values)
    mark = {name: ' class="meant"' if name == result.column else "" for name in names}
    head = "".join(f"<th{mark[name]}>{escape(name)}</th>" for name in names)
    lines = []
    for row in result.samples:
        cells = (f"<td{mark[name]}>{_value_cell(row.values[name])}</td>" for name in names)
        lines.append(f"<tr><th>{row.index:,}</th>{''.join(cells)}</tr>")
    return f'<div class="rows"><table><tr><th>row</th>{head}</tr>{"".join(lines)}</table></div>'


def _value_cell(value: Json) -> str:
    return '<span class="empty">no value</span>' if value is None else escape(show_observed(value))
