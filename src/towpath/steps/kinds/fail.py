"""Ends the run as failed, with a message."""

from __future__ import annotations

from towpath.config import message_template
from towpath.config.output_reference import Lookup
from towpath.config.pipeline_declaration import Fail


def failure_message(step: Fail, lookup: Lookup) -> str:
    """The words to fail with; ``lookup`` gives the data behind a reference's base."""
    return message_template.parse_message(step.message).fill(lookup)
