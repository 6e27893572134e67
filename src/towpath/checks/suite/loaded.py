"""To import this is to have Great Expectations imported, the lean way."""

from towpath.checks.suite.lean import great_expectations

great_expectations()
