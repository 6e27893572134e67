"""Data held against expectations: suites in YAML, Great Expectations behind one door."""

from towpath.backends.great_expectations.suite_file import read_suite, suite_faults
from towpath.backends.great_expectations.suite_outcome import (
    CheckOutcome,
    Expectation,
    Result,
    Suite,
)

__all__ = ["CheckOutcome", "Expectation", "Result", "Suite", "read_suite", "suite_faults"]
