"""Ends the run as failed, with a message."""

from __future__ import annotations

from towpath.spec import template
from towpath.spec.pipeline import Fail
from towpath.spec.reference import Lookup


def message(step: Fail, lookup: Lookup) -> str:
    """The words to fail with; ``lookup`` gives the data behind a reference's base."""
    return template.parse(step.message).fill(lookup)
