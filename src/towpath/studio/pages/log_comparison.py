"""The logs of one step of two runs, side by side, with what differs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.run_facts import RunLine, find_page_run, line_of_run
from towpath.studio.pages.step_log import LogLine, read_log_end

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.execution.run_record import RecordedRun
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_MOST_LINES = 1500  # of each log, its last: what compares them slows with their square
_NEIGHBOURS = 3  # equal lines that stay beside others
_CHANGING = re.compile(
    r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?|\b\d+(?:\.\d+)? ?(?:ms|s|sec|seconds|min)\b|"
    r"\b\d{8}-\d{6}-[0-9a-f]{4}\b|0x[0-9a-f]+"
)


class LogPair(Struct, frozen=True):
    """Two lines that stand beside each other: ``kind`` is ``same``, ``changed``, ``left`` or
    ``right``; or ``folded`` equal lines that are not shown."""

    kind: str
    left: LogLine | None = None
    right: LogLine | None = None
    folded: int = 0


class LogComparison(Struct, frozen=True):
    """``steps`` are those of which both runs have a log; ``cut`` where only its end is compared."""

    runs: tuple[RunLine, ...]
    steps: tuple[str, ...]
    step: str
    pairs: tuple[LogPair, ...]
    is_cut: bool
    differing: int


def gather_log_comparison(facts: ProjectFacts, request: PageRequest) -> LogComparison:
    """The page of two runs' logs: `?run=A&run=B`, and `&step=S`."""
    names = list(dict.fromkeys(request.query.get("run", ())))[:2]
    runs = [find_page_run(facts, name) for name in names]
    lines = tuple(map(line_of_run, runs))
    if len(runs) < 2:
        return LogComparison(lines, (), "", (), False, 0)
    steps = tuple(_steps_with_logs(facts, runs))
    step = request.first_value("step") or next(iter(steps), "")
    if not step:
        return LogComparison(lines, steps, "", (), False, 0)
    if step not in steps:
        raise NoSuchPage(f"not both runs have a log of a step `{step}`")
    pairs, is_cut = _compare_logs([facts.workspace.runs / run.id / step for run in runs])
    differing = sum(pair.kind != "same" for pair in pairs)
    return LogComparison(lines, steps, step, tuple(_fold_equal(pairs)), is_cut, differing)


def _compare_logs(folders: Sequence[Path]) -> tuple[tuple[LogPair, ...], bool]:
    """The lines of two logs beside each other; and whether only the ends of them were read."""
    logs = [read_log_end(folder / "log.txt") for folder in folders]
    left, right = (log.lines if log else () for log in logs)
    is_cut = any(log and (log.skipped or len(log.lines) > _MOST_LINES) for log in logs)
    return tuple(_pair_lines(left[-_MOST_LINES:], right[-_MOST_LINES:])), is_cut


def _steps_with_logs(facts: ProjectFacts, runs: Sequence[RecordedRun]) -> Iterator[str]:
    for name in runs[0].steps:
        logs = [facts.workspace.runs / run.id / name / "log.txt" for run in runs]
        if name in runs[1].steps and all(log.is_file() for log in logs):
            yield name


def _pair_lines(left: Sequence[LogLine], right: Sequence[LogLine]) -> Iterator[LogPair]:
    """The lines of two logs, those that are the same but for times and names of runs together."""
    matcher = difflib.SequenceMatcher(None, _comparable_texts(left), _comparable_texts(right))
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from (LogPair("same", *pair) for pair in zip(left[a:b], right[c:d], strict=True))
            continue
        for index in range(max(b - a, d - c)):
            first = left[a + index] if a + index < b else None
            other = right[c + index] if c + index < d else None
            kind = "changed" if first and other else "left" if first else "right"
            yield LogPair(kind, first, other)


def _comparable_texts(lines: Sequence[LogLine]) -> list[str]:
    return [_CHANGING.sub("#", line.text[:1000]) for line in lines]


def _fold_equal(pairs: Sequence[LogPair]) -> Iterator[LogPair]:
    """All but the equal lines that have no other near them."""
    differing = [index for index, pair in enumerate(pairs) if pair.kind != "same"]
    near = {
        index + offset for index in differing for offset in range(-_NEIGHBOURS, _NEIGHBOURS + 1)
    }
    folded = 0
    for index, pair in enumerate(pairs):
        if index in near:
            if folded:
                yield LogPair("folded", folded=folded)
            folded = 0
            yield pair
        else:
            folded += 1
    if folded:
        yield LogPair("folded", folded=folded)
