"""The columns of the table of runs: which there are, which are shown, and their values; and all of
them as comma-separated values, for a spreadsheet or a notebook."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.config.artifact import Json
    from towpath.studio.pages.run_facts import RunLine

_MOST_METRICS, _MOST_PARAMS = 6, 6  # shown unless others are chosen
_MOST_OFFERED = 80  # of a kind
_PLAIN = {
    "pipeline": "pipeline", "asked_for": "asked", "author": "by", "environment": "for",
    "versions": "version", "error": "error", "seconds": "took", "started": "started",
}  # fmt: skip
_SHOWN = ("pipeline", "versions", "seconds", "started")


class RunColumn(Struct, frozen=True):
    """A column: ``key`` names it in an address, such as ``metrics.mse``; ``kind`` is ``metrics``,
    ``params`` or ``run``."""

    key: str
    title: str
    kind: str

    @property
    def is_number(self) -> bool:
        return self.kind != "run" or self.key == "seconds"

    def read_value(self, run: RunLine) -> Json:
        """A run's value; None where it has none."""
        if self.kind == "metrics":
            return run.metrics.get(self.title)
        if self.kind == "params":
            return run.params.get(self.title)
        value = getattr(run, self.key)
        return ", ".join(value) if isinstance(value, tuple) else value

    def show_value(self, run: RunLine) -> str:
        return run.took if self.key == "seconds" else show_number(self.read_value(run))


class ColumnChoice(Struct, frozen=True):
    """The columns there are, by kind, and those that are shown."""

    shown: tuple[RunColumn, ...]
    offered: tuple[tuple[str, tuple[RunColumn, ...]], ...]
    is_chosen: bool
    left_out: int


def choose_columns(
    keys: Sequence[str], every: Sequence[RunLine], shown: Sequence[RunLine]
) -> ColumnChoice:
    """The columns that ``keys`` name; without any, metrics that most of the shown runs have and
    parameters in which they differ: of others there is nothing to be seen in a table."""
    metrics = Counter(name for run in every for name in run.metrics)
    params = Counter(name for run in every for name in run.params)
    offered = (
        ("Metrics", _offer_columns("metrics", metrics)),
        ("Parameters", _offer_columns("params", params)),
        ("Run", tuple(RunColumn(key, title, "run") for key, title in _PLAIN.items())),
    )
    left_out = max(0, len(metrics) - _MOST_OFFERED) + max(0, len(params) - _MOST_OFFERED)
    columns_by_key = {column.key: column for _, columns in offered for column in columns}
    chosen = [key for key in dict.fromkeys(keys) if key in columns_by_key]
    shown_keys = chosen or _usual_keys(shown)
    shown_columns = tuple(columns_by_key[key] for key in shown_keys if key in columns_by_key)
    return ColumnChoice(shown_columns, offered, bool(chosen), left_out)


def _offer_columns(kind: str, counter: Counter[str]) -> tuple[RunColumn, ...]:
    names = (name for name, _ in counter.most_common(_MOST_OFFERED))
    return tuple(RunColumn(f"{kind}.{name}", name, kind) for name in names)


def _usual_keys(runs: Sequence[RunLine]) -> list[str]:
    counter = Counter(name for run in runs for name in run.metrics)
    metrics = [f"metrics.{name}" for name, _ in counter.most_common(_MOST_METRICS)]
    names = dict.fromkeys(name for run in runs for name in run.params)
    differing = [n for n in names if len({show_number(run.params.get(n)) for run in runs}) > 1]
    begin, *rest = _SHOWN
    return [begin, *metrics, *(f"params.{name}" for name in differing[:_MOST_PARAMS]), *rest]


def find_column(key: str, runs: Sequence[RunLine]) -> RunColumn | None:
    """The column that a word names: a whole key, or a metric or a parameter by its name."""
    if key in _PLAIN or key in ("state", "id"):
        return RunColumn(key, _PLAIN.get(key, key), "run")
    for kind in ("metrics", "params"):
        name = key.removeprefix(f"{kind}.")
        if any(name in getattr(run, kind) for run in runs):
            return RunColumn(f"{kind}.{name}", name, kind)
    return None


def sort_runs(runs: Sequence[RunLine], sort: str) -> list[RunLine]:
    """By a column, ``-`` before it for the highest first; runs that have no value stand last."""
    column = find_column(sort.removeprefix("-"), runs)
    if column is None:
        return list(runs)
    values = {run.id: column.read_value(run) for run in runs}
    is_numeric = any(isinstance(value, int | float) for value in values.values())
    kind = int | float if is_numeric else str
    having = [run for run in runs if _can_order(values[run.id], kind)]
    lacking = [run for run in runs if not _can_order(values[run.id], kind)]
    having.sort(key=lambda run: values[run.id], reverse=sort.startswith("-"))  # type: ignore[arg-type,return-value]
    return having + lacking


def _can_order(value: object, kind: object) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return isinstance(value, kind) and not is_nan and value != ""  # type: ignore[arg-type]


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
