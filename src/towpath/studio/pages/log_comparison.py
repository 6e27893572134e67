"""The logs of one step of two runs, side by side, with what differs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_facts import RunLine, find_page_run, line_of_run
from towpath.studio.pages.step_log import LogLine, StepLogText, read_log_end

if TYPE_CHECKING:
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
    folders = [facts.workspace.runs / run.id for run in runs]
    shared = (name for name in runs[0].steps if name in runs[1].steps)
    steps = tuple(n for n in shared if all((f / n / "log.txt").is_file() for f in folders))
    step = request.first_value("step") or next(iter(steps), "")
    if not step:
        return LogComparison(lines, steps, "", (), False, 0)
    if step not in steps:
        raise NoSuchPage(f"not both runs have a log of a step `{step}`")
    pairs, is_cut = _compare_logs([read_log_end(folder / step / "log.txt") for folder in folders])
    differing = sum(pair.kind != "same" for pair in pairs)
    return LogComparison(lines, steps, step, tuple(_fold_equal(pairs)), is_cut, differing)


def _compare_logs(logs: Sequence[StepLogText | None]) -> tuple[tuple[LogPair, ...], bool]:
    """The lines of two logs beside each other; and whether only the ends of them were read."""
    left, right = (log.lines[-_MOST_LINES:] if log else () for log in logs)
    is_cut = any(log and (log.skipped or len(log.lines) > _MOST_LINES) for log in logs)
    return tuple(_pair_lines(left, right)), is_cut


def _pair_lines(left: Sequence[LogLine], right: Sequence[LogLine]) -> Iterator[LogPair]:
    """The lines of two logs, those that are the same but for times and names of runs together."""
    first_texts, other_texts = (
        [_CHANGING.sub("#", line.text[:1000]) for line in lines] for lines in (left, right)
    )
    matcher = difflib.SequenceMatcher(None, first_texts, other_texts)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from (LogPair("same", *pair) for pair in zip(left[a:b], right[c:d], strict=True))
            continue
        for index in range(max(b - a, d - c)):
            first = left[a + index] if a + index < b else None
            other = right[c + index] if c + index < d else None
            kind = "changed" if first and other else "left" if first else "right"
            yield LogPair(kind, first, other)


def _fold_equal(pairs: Sequence[LogPair]) -> Iterator[LogPair]:
    """All but the equal lines that have no other near them."""
    differing = [index for index, pair in enumerate(pairs) if pair.kind != "same"]
    around = range(-_NEIGHBOURS, _NEIGHBOURS + 1)
    near = {index + offset for index in differing for offset in around}
    for is_near, group in groupby(enumerate(pairs), key=lambda place: place[0] in near):
        members = [pair for _, pair in group]
        yield from members if is_near else [LogPair("folded", folded=len(members))]
