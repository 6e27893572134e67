"""When a step that failed is tried again, in a run and for itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.errors import StepFailed

if TYPE_CHECKING:
    from towpath.spec.pipeline import Retry
    from towpath.steps.order import Order


def find_pauses(retry: Retry | None) -> Iterator[float]:
    """The seconds before each further attempt, without what is added at random."""
    for number in range((retry.attempts if retry else 1) - 1):
        assert retry
        yield retry.delay * retry.backoff**number


def is_worth_another(error: object, retry: Retry, order: Order) -> bool:
    """Whether what ended an attempt is worth another; never where the run was interrupted."""
    from towpath.steps import process

    if process.is_stopped(order):
        return False
    names = error.causes if isinstance(error, StepFailed) else ()
    return not retry.errors or not set(names).isdisjoint(retry.errors)
