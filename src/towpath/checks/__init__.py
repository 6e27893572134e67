"""Data held against expectations: suites in YAML, Great Expectations behind one door."""

from towpath.checks.outcome import Expectation, Outcome, Result, Suite
from towpath.checks.suite_file import read_suite, suite_faults

__all__ = ["Expectation", "Outcome", "Result", "Suite", "read_suite", "suite_faults"]
