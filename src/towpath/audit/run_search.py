"""Search: the runs of which an expression holds, in the language of a search for versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from towpath.audit.search_query import Kind, Vocabulary, parse_query

_TABLES: Mapping[str, Kind] = {"metrics": "number", "params": "any", "data": "any"}


class SearchableRun(Protocol):
    """What a search reads of a run; ``data`` are the digests of its inputs."""

    @property
    def id(self) -> str: ...
    @property
    def pipeline(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def started(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def author(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def is_trial(self) -> bool: ...
    @property
    def versions(self) -> tuple[str, ...]: ...
    @property
    def error(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, Any]: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


Run = TypeVar("Run", bound=SearchableRun)
_RUN_FIELDS: Mapping[str, tuple[Kind, Callable[[SearchableRun], Any]]] = {
    "run": ("text", lambda run: run.id),
    "pipeline": ("text", lambda run: run.pipeline),
    "state": ("text", lambda run: run.state),
    "started": ("time", lambda run: run.started),
    "seconds": ("number", lambda run: run.seconds),
    "author": ("author", lambda run: run.author),
    "environment": ("text", lambda run: run.environment),
    "trial": ("bool", lambda run: run.is_trial),
    "registered": ("bool", lambda run: bool(run.versions)),
    "error": ("text", lambda run: run.error),
}
_RUN_ALIASES = {"parameters": "params", "param": "params", "metric": "metrics", "inputs": "data",
                "time": "started", "user": "author", "took": "seconds"}  # fmt: skip


def search_runs(runs: Iterable[Run], text: str) -> list[Run]:
    """The runs of which ``text`` holds, in their order.

    Raises ``UsageError``, with the near name, for an expression that cannot be understood.
    """
    searched = list(runs)
    query = parse_query(text, _run_vocabulary(searched))
    return [run for run in searched if query.test(run)]


def _run_vocabulary(runs: Sequence[SearchableRun]) -> Vocabulary:
    names = {
        table: frozenset(name for run in runs for name in getattr(run, table)) for table in _TABLES
    }
    return Vocabulary(
        "run", 'metrics.mse < 5 and state == "done"', _RUN_FIELDS, _TABLES, _RUN_ALIASES, names,
        getattr,
    )  # fmt: skip
