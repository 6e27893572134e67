"""Every expectation of the catalogue with arguments that do not hold of ``failing_table``."""

from __future__ import annotations

from typing import Any

import numpy
import pandas


def failing_table() -> pandas.DataFrame:
    """A table with texts, numbers, times, gaps and lists."""
    return pandas.DataFrame(
        {
            "sex": ["F", "M", "I", "F", None, "x"],
            "height": [0.1, 0.0, 0.3, numpy.nan, 0.5, -1.0],
            "size": [1, 2, 3, 4, 5, 5],
            "twin": [1, 2, 3, 4, 5, 6],
            "flag": [True, False, True, True, False, True],
            "day": pandas.to_datetime([f"2026-01-0{n}" for n in range(1, 7)]),
            "zoned": pandas.to_datetime([f"2026-01-0{n}" for n in range(1, 7)], utc=True),
            "text": ["{", "a", "", "b", "c", "d"],
            "nothing": [None] * 6,
        },
        index=[10, 11, 12, 13, 14, 15],
    )


FAILING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("expect_column_distinct_values_to_be_in_set", {"column": "sex", "value_set": ["F", "M"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "sex", "value_set": ["F", "Q"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "sex", "value_set": ["F", "Q"]}),
    (
        "expect_column_kl_divergence_to_be_less_than",
        {
            "column": "sex",
            "threshold": 0.01,
            "partition_object": {"values": ["F", "M"], "weights": [0.9, 0.1]},
        },
    ),
    ("expect_column_max_to_be_between", {"column": "size", "max_value": 1}),
    ("expect_column_mean_to_be_between", {"column": "size", "max_value": 1}),
    ("expect_column_median_to_be_between", {"column": "size", "max_value": 1}),
    ("expect_column_min_to_be_between", {"column": "size", "min_value": 3}),
    (
        "expect_column_most_common_value_to_be_in_set",
        {"column": "sex", "value_set": ["Q"], "ties_okay": True},
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "height", "column_B": "size"},
    ),
    ("expect_column_pair_values_to_be_equal", {"column_A": "size", "column_B": "twin"}),
    (
        "expect_column_pair_values_to_be_in_set",
        {"column_A": "size", "column_B": "twin", "value_pairs_set": [[1, 1]]},
    ),
    (
        "expect_column_proportion_of_non_null_values_to_be_between",
        {"column": "sex", "min_value": 1},
    ),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "size", "min_value": 1}),
    (
        "expect_column_quantile_values_to_be_between",
        {"column": "size", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[9, 10]]}},
    ),
    ("expect_column_stdev_to_be_between", {"column": "size", "max_value": 0.1}),
    ("expect_column_sum_to_be_between", {"column": "size", "max_value": 1}),
    ("expect_column_to_exist", {"column": "size", "column_index": 1}),
    ("expect_column_type_to_be", {"column": "size", "type_": "str"}),
    ("expect_column_unique_value_count_to_be_between", {"column": "sex", "max_value": 1}),
    ("expect_column_value_lengths_to_be_between", {"column": "sex", "min_value": 2}),
    ("expect_column_value_lengths_to_equal", {"column": "sex", "value": 2}),
    (
        "expect_column_value_z_scores_to_be_less_than",
        {"column": "size", "threshold": 0.1, "double_sided": True},
    ),
    ("expect_column_values_to_be_between", {"column": "height", "min_value": 0}),
    ("expect_column_values_to_be_dateutil_parseable", {"column": "sex"}),
    ("expect_column_values_to_be_decreasing", {"column": "size"}),
    ("expect_column_values_to_be_in_set", {"column": "sex", "value_set": ["F"]}),
    ("expect_column_values_to_be_in_type_list", {"column": "size", "type_list": ["str"]}),
    ("expect_column_values_to_be_increasing", {"column": "size", "strictly": True}),
    ("expect_column_values_to_be_json_parseable", {"column": "text"}),
    ("expect_column_values_to_be_null", {"column": "sex"}),
    ("expect_column_values_to_be_of_type", {"column": "size", "type_": "str"}),
    ("expect_column_values_to_be_unique", {"column": "size"}),
    (
        "expect_column_values_to_match_json_schema",
        {"column": "text", "json_schema": {"type": "object"}},
    ),
    ("expect_column_values_to_match_regex", {"column": "sex", "regex": "^[A-Z]$"}),
    (
        "expect_column_values_to_match_regex_list",
        {"column": "sex", "regex_list": ["^F$", "^M$"], "match_on": "any"},
    ),
    (
        "expect_column_values_to_match_strftime_format",
        {"column": "sex", "strftime_format": "%Y-%m-%d"},
    ),
    ("expect_column_values_to_not_be_in_set", {"column": "sex", "value_set": ["F"]}),
    ("expect_column_values_to_not_be_null", {"column": "sex"}),
    (
        "expect_column_values_to_not_be_outliers",
        {"column": "height", "method": "iqr", "multiplier": 0.5},
    ),
    ("expect_column_values_to_not_match_regex", {"column": "sex", "regex": "F"}),
    ("expect_column_values_to_not_match_regex_list", {"column": "sex", "regex_list": ["F", "M"]}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["flag", "nothing"]}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["size", "twin"], "sum_total": 2}),
    ("expect_multicolumn_values_to_be_equal", {"column_list": ["size", "twin"]}),
    (
        "expect_select_column_values_to_be_unique_within_record",
        {"column_list": ["size", "twin"]},
    ),
    ("expect_table_column_count_to_be_between", {"max_value": 1}),
    ("expect_table_column_count_to_equal", {"value": 1}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["sex", "size"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["sex", "colour"]}),
    ("expect_table_row_count_to_be_between", {"max_value": 1}),
    ("expect_table_row_count_to_equal", {"value": 1}),
    # The same with what does not look like text: times, numbers, switches, nothing at all.
    ("expect_column_distinct_values_to_be_in_set", {"column": "day", "value_set": ["2026-01-01"]}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "size", "value_set": [1]}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "flag", "value_set": [True]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "nothing", "value_set": ["a"]}),
    (
        "expect_column_distinct_values_to_contain_set",
        {"column": "day", "value_set": ["2025-01-01"]},
    ),
    ("expect_column_distinct_values_to_contain_set", {"column": "size", "value_set": [None, 9]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "height", "value_set": []}),
    ("expect_column_distinct_values_to_equal_set", {"column": "nothing", "value_set": [1]}),
    ("expect_column_max_to_be_between", {"column": "nothing", "max_value": 1}),
    ("expect_column_mean_to_be_between", {"column": "nothing", "max_value": 1}),
    (
        "expect_column_most_common_value_to_be_in_set",
        {"column": "day", "value_set": ["2025-01-01"]},
    ),
    ("expect_column_values_to_be_in_set", {"column": "size", "value_set": [None]}),
    ("expect_column_values_to_be_in_set", {"column": "day", "value_set": ["2025-01-01"]}),
    ("expect_column_values_to_not_be_null", {"column": "nothing"}),
    ("expect_column_unique_value_count_to_be_between", {"column": "nothing", "min_value": 1}),
)
