"""Tables held against expectations, by Great Expectations itself."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys

import numpy
import pandas
import pytest
from expectation_list import list_expectations
from failing_expectations import FAILING, failing_table

from towpath.backends.great_expectations import suite_file, validation
from towpath.backends.great_expectations.suite_outcome import (
    Expectation,
    Suite,
    failure_faults,
    render_page,
    result_sentence,
)
from towpath.delivery.gates.kinds.expectations import sentence_of as in_a_gate
from towpath.errors import Place


def table():
    return pandas.DataFrame(
        {
            "sex": ["F", "M", "I", "F", None, "x"],
            "height": [0.1, 0.0, 0.3, numpy.nan, 0.5, -1.0],
            "size": [1, 2, 3, 4, 5, 5],
            "day": pandas.to_datetime(["2026-01-0" + str(n) for n in range(1, 7)]),
        },
        index=[10, 11, 12, 13, 14, 15],
    )


def held(type, **arguments):
    severity = arguments.pop("severity", "critical")
    expectation = Expectation(type, arguments, Place("raw.yaml", 3), "", severity)
    outcome = validation.validate_suite(Suite("raw", (expectation,)), table())
    return outcome, outcome.results[0]


CASES = [
    (
        "expect_column_values_to_be_between",
        {"column": "height", "min_value": 0, "strict_min": True},
        (False, 6, 2, 40.0, [1, 5]),
        "expected that `height` is above 0, but 2 of 6 rows are not (40 %): "
        "row 1: height 0.0; row 5: height -1.0",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "height", "min_value": 0, "mostly": 0.5},
        (True, 6, 1, 20.0, [5]),
        "",
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "sex", "value_set": ["F", "M", "I"]},
        (False, 6, 1, 20.0, [5]),
        "expected that `sex` is one of F, M, I, but 1 of 6 rows is not (20 %): row 5: sex x",
    ),
    (
        "expect_column_values_to_not_be_null",
        {"column": "sex"},
        (False, 6, 1, 16.666667, [4]),
        "expected that `sex` has a value, but 1 of 6 rows is not (16.7 %): row 4: sex None",
    ),
    (
        "expect_column_values_to_be_unique",
        {"column": "size"},
        (False, 6, 2, 33.333333, [4, 5]),
        "expected that each value of `size` occurs once, but 2 of 6 rows are not (33.3 %): "
        "row 4: size 5; row 5: size 5",
    ),
    (
        "expect_column_values_to_not_be_null",
        {"column": "height", "row_condition": 'sex == "F"', "condition_parser": "pandas"},
        (False, 2, 1, 50.0, [3]),
        "expected that `height` has a value, where sex == \"F\", "
        "but 1 of 2 rows is not (50 %): row 3: height None",
    ),
    (
        "expect_column_mean_to_be_between",
        {"column": "size", "max_value": 1},
        (False, None, None, None, []),
        "expected that the mean of `size` is at most 1, but it is 3.333333333333",
    ),
    (
        "expect_table_row_count_to_be_between",
        {"min_value": 10},
        (False, None, None, None, []),
        "expected that the number of rows is at least 10, but it is 6",
    ),
    (
        "expect_table_columns_to_match_ordered_list",
        {"column_list": ["sex", "height"]},
        (False, None, None, None, []),
        "expected that the columns are sex, height, but it is sex, height, size, day",
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "size", "column_B": "height"},
        (False, 6, 1, 16.666667, [3]),
        "expected that `size` is above `height`, but 1 of 6 rows is not (16.7 %): "
        "row 3: size 4, height None",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "heigth", "min_value": 0},
        (False, None, None, None, []),
        "expected that `heigth` is at least 0, "
        "but there is no column `heigth` (did you mean `height`?)",
    ),
    (
        "expect_column_kl_divergence_to_be_less_than",
        {"column": "sex", "threshold": 10,
         "partition_object": {"values": ["F", "M", "I", "x"], "weights": [0.4, 0.2, 0.2, 0.2]}},
        (True, None, None, None, []),
        "",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("type", "arguments", "found", "said"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)]
)
def test_an_expectation_and_what_is_said_of_it(type, arguments, found, said):
    outcome, result = held(type, **arguments)
    passed, rows, unexpected, percent, indices = found
    assert (result.passed, result.rows, result.unexpected) == (passed, rows, unexpected)
    assert result.percent == percent
    assert [row.index for row in result.samples] == indices
    assert outcome.passed is passed
    if said:
        assert result_sentence(result) == said
        assert str(failure_faults(outcome)[0]) == f"raw.yaml:3: {said}"


def test_an_expectation_that_cannot_be_looked_at_has_failed():
    outcome, result = held("expect_column_mean_to_be_between", column="sex", min_value=0)
    assert not outcome.passed
    assert result.error
    outcome, result = held("expect_column_values_to_be_between", column="sex", min_value=0)
    assert not outcome.passed
    outcome, result = held("expect_column_values_to_be_unique", column="size", mostly=7)
    assert not outcome.passed
    assert result.error


def outcome_of(cases, frame, severity="critical"):
    expectations = (
        Expectation(type, arguments, Place("raw.yaml", number), "", severity)
        for number, (type, arguments) in enumerate(cases, 1)
    )
    return validation.validate_suite(Suite("raw", tuple(expectations)), frame)


def test_every_expectation_that_fails_is_said_in_words_everywhere():
    """On the run's log, on the page, in the document, in a gate; of no rows as well."""
    known = {
        name for name, kind in suite_file.read_catalogue().items() if name and not kind.database
    }
    assert {type for type, _ in FAILING} == known
    for frame in (failing_table(), failing_table().iloc[:0]):
        outcome = outcome_of(FAILING, frame)
        assert frame.empty or not [result.type for result in outcome.results if result.passed]
        for result in outcome.results:
            assert result_sentence(result).startswith("expected that ")
            if not result.passed:
                assert ", but " in result_sentence(result)
                assert ", but " in in_a_gate(result)
        assert "</html>" in render_page(outcome, "raw.csv")
        json.dumps(outcome.document())
        assert len(outcome_of(FAILING, frame, "warning").warned) == len(outcome.failed)


SETS = [
    ("be_in", "sex", ["F", "M"], "takes only F, M, but it takes I, x"),
    ("contain", "sex", ["F", "Q"], "takes at least F, Q, but it lacks Q"),
    ("equal", "sex", ["F", "Q"], "takes just F, Q, but it takes I, M, x and lacks Q"),
    ("contain", "nothing", ["a"], "takes at least a, but it lacks a"),
    ("contain", "size", [None], "takes at least no value, but it lacks no value"),
    ("equal", "flag", [], "takes just nothing, but it takes False, True"),
    ("contain", "day", ["2026-01-01"], ""),
    ("contain", "zoned", ["2026-01-01"], ""),
]


def test_of_a_set_it_is_said_what_lacks():
    kinds = {"be_in": "be_in_set", "contain": "contain_set", "equal": "equal_set"}
    cases = [
        (f"expect_column_distinct_values_to_{kinds[kind]}", {"column": column, "value_set": values})
        for kind, column, values, _ in SETS
    ]
    results = outcome_of(cases, failing_table()).results
    for result, (_, column, _, said) in zip(results, SETS, strict=True):
        assert result.passed is not bool(said)
        if said:
            assert result_sentence(result) == f"expected that `{column}` {said}"
    assert in_a_gate(results[2]).endswith("but it takes 3 other values and lacks Q")


def test_one_odd_cell_makes_no_other_column_of_dates():
    day = datetime.datetime(2024, 1, 1)
    frame = pandas.DataFrame({"day": [day, day, "n/a"], "text": ["2024-01-01", 3, None]})
    forbidden = {"column": "day", "value_set": ["2024-01-01"]}
    between = "expect_column_values_to_be_between"
    cases = [
        ("expect_column_values_to_not_be_in_set", forbidden),
        ("expect_column_values_to_be_in_set", {**forbidden, "mostly": 0.6}),
        (between, {"column": "day", "min_value": 5}),
        (between, {"column": "text", "min_value": "2024-01-01"}),
    ]
    banned, allowed, number, text = outcome_of(cases, frame).results
    assert not banned.passed
    assert banned.unexpected == 2
    assert allowed.passed
    assert number.error == "`day` holds dates, and 5 is none"
    assert text.error == "`text` holds `3`, which is no date as 2026-01-31 is one"


def test_a_date_is_held_against_what_the_column_holds():
    frame = pandas.DataFrame(
        {
            "naive": pandas.to_datetime(["2026-01-01 10:00", "2026-01-31 10:00", None]),
            "zoned": pandas.to_datetime(["2026-01-01 23:30", "2026-01-31 00:00", None]).tz_localize(
                "Europe/Vienna"
            ),
            "date": [datetime.date(2026, 1, 1), datetime.date(2026, 1, 31), None],
            "text": ["2026-01-01", "2026-01-31T10:00:00", None],
            "other": ["1.1.2026", "31.1.2026", None],
            "number": [1, 2, 3],
        }
    )
    between = "expect_column_values_to_be_between"
    columns = ("naive", "zoned", "date", "text")
    inside = {"min_value": "2026-01-01", "max_value": "2026-02-01"}
    cases = [(between, {"column": name, **inside}) for name in columns]
    cases += [
        (f"expect_column_{which}_to_be_between", {"column": name, **inside})
        for name in ("naive", "zoned", "date")
        for which in ("min", "max")
    ]
    cases += [
        (
            "expect_column_values_to_be_in_set",
            {"column": "date", "value_set": ["2026-01-01", "2026-01-31"]},
        ),
        ("expect_column_values_to_match_regex", {"column": "text", "regex": "^2026"}),
    ]
    assert [r.error or r.type for r in outcome_of(cases, frame).results if not r.passed] == []

    late = {"max_value": "2026-01-15", "strict_max": True}
    results = outcome_of([(between, {"column": name, **late}) for name in columns], frame).results
    assert [(r.unexpected, r.samples[0].index, r.error) for r in results] == [(1, 1, "")] * 4
    refused = [
        ({"column": "other", **late}, "`other` holds `1.1.2026`, which is no date as 2026-01-31"),
        ({"column": "number", **late}, "`number` holds numbers, and `2026-01-15` is a date"),
        ({"column": "naive", "min_value": 5}, "`naive` holds dates, and 5 is none"),
        ({"column": "naive", "min_value": "soon"}, "`naive` holds dates, and `soon` is none"),
        (
            {"column": "naive", "min_value": "2026-01-01T00:00:00Z"},
            "`naive` holds times without a zone, and `2026-01-01T00:00:00Z` has one",
        ),
    ]
    results = outcome_of([(between, arguments) for arguments, _ in refused], frame).results
    assert all(r.error.startswith(said) for r, (_, said) in zip(results, refused, strict=True))


def test_at_most_five_rows_are_shown():
    frame = pandas.DataFrame({"a": range(1000)})
    expectation = Expectation(
        "expect_column_values_to_be_between", {"column": "a", "max_value": 10}, Place("raw.yaml", 1)
    )
    [result] = validation.validate_suite(Suite("raw", (expectation,)), frame).results
    assert (result.unexpected, [row.index for row in result.samples]) == (989, [11, 12, 13, 14, 15])


def test_a_warning_does_not_fail_the_check():
    outcome, result = held("expect_column_to_exist", column="no", severity="warning")
    assert (outcome.passed, result.passed, len(outcome.warned)) == (True, False, 1)


def test_the_document_is_plain_json_and_repeats():
    expectations = tuple(
        Expectation(type, arguments, Place("raw.yaml", n))
        for n, (type, arguments, *_) in enumerate(CASES)
    )
    suite = Suite("raw", expectations, "About it.")
    documents = [json.dumps(validation.validate_suite(suite, table()).document()) for _ in range(2)]
    assert documents[0] == documents[1]
    assert json.loads(documents[0])["counts"]["expectations"] == len(CASES)


def test_the_page_shows_data_as_text_and_not_as_markup():
    frame = pandas.DataFrame({"<b>": ["<script>alert(1)</script>"]})
    expectation = Expectation(
        "expect_column_values_to_be_in_set",
        {"column": "<b>", "value_set": ["<i>"]},
        Place("raw.yaml", 1),
        "<u>meaning</u>",
    )
    shown = render_page(
        validation.validate_suite(Suite("<s>", (expectation,)), frame), "<data>.csv"
    )
    for markup in ("<script", "<b>:", "<i>", "<u>", "<s>", "<data>"):
        assert markup not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_the_list_of_expectations_is_that_of_great_expectations():
    kept = json.loads(suite_file.EXPECTATIONS.read_text())
    assert kept == list_expectations(), (
        "run python tests/backends/great_expectations/expectation_list.py"
    )


def test_what_is_left_out_at_import_is_there_for_others():
    text = """
import os, sys
from towpath.backends.great_expectations.validation import gx
assert gx is sys.modules["great_expectations"]
assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
assert "scipy.stats" not in sys.modules and "sqlalchemy" not in sys.modules
import altair, scipy.stats, sqlalchemy
assert altair.Chart and scipy.stats.norm.mean() == 0 and sqlalchemy.create_engine
"""
    subprocess.run([sys.executable, "-c", text], check=True)
