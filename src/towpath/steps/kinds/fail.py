"""Ends the run as failed, with a message."""

from __future__ import annotations

from towpath.config import expression
from towpath.config.expression import Lookup
from towpath.config.pipeline_declaration import Fail


def failure_message(step: Fail, lookup: Lookup) -> str:
    """The words to fail with; ``lookup`` gives the data behind a reference's base."""
    return expression.parse_message(step.message).fill(lookup)
