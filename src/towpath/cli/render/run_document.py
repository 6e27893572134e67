"""A run as ``--json`` says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from towpath.execution.run_summary import summarise_run

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun

_DERIVED = ("counts", "metrics", "versions", "author", "checks")


def write_run_document(run: RecordedRun) -> dict[str, Any]:
    """Its record, and beside it what is derived of that: as Studio's pages have it."""
    summary = summarise_run(run)
    derived = {name: getattr(summary, name) for name in _DERIVED}
    return {**structs.asdict(run), **derived, "trial": summary.is_trial}
