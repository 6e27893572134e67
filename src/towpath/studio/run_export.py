"""Runs as a table of comma-separated values, for a spreadsheet or a notebook."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.studio.pages.run_facts import RunLine

_FIELDS = ("id", "pipeline", "state", "started", "seconds", "author", "environment", "asked_for",
           "versions", "error")  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_runs_csv(runs: Sequence[RunLine]) -> str:
    """A row a run: what it was, its parameters, its metrics with every digit."""
    params = list(dict.fromkeys(name for run in runs for name in run.params))
    metrics = list(dict.fromkeys(name for run in runs for name in run.metrics))
    heads = [*_FIELDS, *(f"params.{n}" for n in params), *(f"metrics.{n}" for n in metrics)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_guard_cell, heads))
    for run in runs:
        plain = (getattr(run, name) for name in _FIELDS)
        values = [*plain, *(run.params.get(n) for n in params), *map(run.metrics.get, metrics)]
        writer.writerow(map(_guard_cell, values))
    return text.getvalue()


def _guard_cell(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return value
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    # A spreadsheet would carry out what begins so: a name that a stranger chose.
    return f"'{text}" if text.startswith(_FORMULA) else text
