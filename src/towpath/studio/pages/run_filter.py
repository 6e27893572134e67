"""Which runs an address asks for: by pipeline, state, dates, words, and an expression."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from towpath.audit.search_query import Kind, Vocabulary, parse_query
from towpath.errors import TowpathError
from towpath.execution import run_folders
from towpath.studio.pages.run_facts import RUN_LINES, RunLine

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_PATIENCE = 0.2  # seconds in which records are read for one page
_ALWAYS_READ = 100  # runs that an address names, as many as a page of the table has
_DAY = re.compile(r"\d{4}-\d\d-\d\d")

# What an expression can name of a run, in the language of a search for versions.
_TABLES: Mapping[str, Kind] = {"metrics": "number", "params": "any", "data": "any"}
_RUN_FIELDS: Mapping[str, tuple[Kind, Callable[[RunLine], Any]]] = {
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


class RunFilter(Struct, frozen=True):
    """What is asked for, as the address says it; "" is anything. ``since`` and ``until`` are days,
    both included, in UTC; ``where`` is an expression such as `metrics.mse < 5`."""

    pipeline: str = ""
    state: str = ""
    words: str = ""
    where: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of_request(cls, request: PageRequest) -> RunFilter:
        since, until = request.first_value("from"), request.first_value("to")
        return cls(
            request.first_value("pipeline"),
            request.first_value("state"),
            request.first_value("q").strip(),
            request.first_value("where").strip(),
            since if _DAY.fullmatch(since) else "",
            until if _DAY.fullmatch(until) else "",
        )

    @property
    def is_empty(self) -> bool:
        return self == RunFilter()

    def as_query(self) -> dict[str, str]:
        """The same for an address."""
        return {
            "pipeline": self.pipeline, "state": self.state, "q": self.words, "where": self.where,
            "from": self.since, "to": self.until,
        }  # fmt: skip

    def keep_runs(self, runs: Sequence[RunLine]) -> list[RunLine]:
        """Those that are asked for. Raises UsageError for an expression that is none."""
        kept = [run for run in runs if self._is_asked(run)]
        if not self.where:
            return kept
        # Of all of them, so that a name is known though it is in none of those that are left.
        names = {t: frozenset(name for run in runs for name in getattr(run, t)) for t in _TABLES}
        words = ("run", 'metrics.mse < 5 and state == "done"')
        vocabulary = Vocabulary(*words, _RUN_FIELDS, _TABLES, _RUN_ALIASES, names, getattr)
        query = parse_query(self.where, vocabulary)
        return [run for run in kept if query.test(run)]

    def _is_asked(self, run: RunLine) -> bool:
        day = run.started[:10]
        return (
            self.pipeline in ("", run.pipeline)
            and self.state in ("", run.state)
            and (not self.since or day >= self.since)
            and (not self.until or day <= self.until)
            and _holds_words(run, self.words)
        )


def _holds_words(run: RunLine, words: str) -> bool:
    """Whether a run has every word: in its name, what it was asked, its versions, its errors."""
    if not words:
        return True
    shown = (run.id, run.pipeline, run.asked_for, run.author, run.environment, run.error)
    text = " ".join((*shown, *run.versions)).lower()
    return all(word in text for word in words.lower().split())


class FoundRuns(Struct, frozen=True):
    """The runs of a filter, the newest first. ``unread`` records were not looked at, for a page
    does not take longer than it may: what was read is kept, and the next look goes on. ``fault``
    and ``hint`` say what is wrong with the expression."""

    runs: tuple[RunLine, ...] = ()
    every: tuple[RunLine, ...] = ()
    total: int = 0
    unread: int = 0
    fault: str = ""
    hint: str = ""
    states: tuple[str, ...] = field(default=())


def list_found_runs(
    facts: ProjectFacts, run_filter: RunFilter, patience: float | None = None
) -> FoundRuns:
    """The runs that a filter asks for. Records are read for ``patience`` seconds; where nothing is
    said of it, that is short in a server, and a site of files has all of them."""
    if patience is None:
        patience = _PATIENCE if facts.beside else math.inf
    names = run_folders.list_run_names(facts.workspace.runs)
    lines, unread = _read_in_time(facts, names[::-1], patience)
    states = tuple(dict.fromkeys(run.state for run in lines))
    try:
        kept = tuple(run_filter.keep_runs(lines))
    except TowpathError as wrong:
        fault = wrong.faults[0]
        return FoundRuns((), lines, len(names), unread, fault.what, fault.hint or "", states)
    return FoundRuns(kept, lines, len(names), unread, states=states)


def find_named_runs(
    facts: ProjectFacts, names: Sequence[str], patience: float | None = None
) -> FoundRuns:
    """The runs of these names, for which ``patience`` is the time to read: where nothing is said of
    it, that is short in a server once they are more than a page of them."""
    if patience is None:
        patience = _PATIENCE if facts.beside and len(names) > _ALWAYS_READ else math.inf
    lines, unread = _read_in_time(facts, names, patience)
    return FoundRuns(lines, lines, len(names), unread)


def _read_in_time(
    facts: ProjectFacts, names: Sequence[str], patience: float
) -> tuple[tuple[RunLine, ...], int]:
    runs, end = facts.workspace.runs, time.monotonic() + patience
    lines: list[RunLine] = []
    unread = 0
    for folder in (f"{runs}/{name}" for name in names):
        if time.monotonic() > end and not RUN_LINES.has_line(folder):
            unread += 1
        elif line := RUN_LINES.read_line(folder):
            lines.append(line)
    return tuple(lines), unread
