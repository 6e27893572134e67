"""The lines of a log as HTML, text first escaped, then dressed in classes; and those that it has
grown by, for a page that follows it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from markupsafe import Markup
from msgspec import Struct

from towpath.config.foreign_paths import require_name
from towpath.control_characters import escape_markup
from towpath.errors import Malformed
from towpath.execution import run_record
from towpath.steps.metric_log import METRIC_FILE
from towpath.studio.pages.step_log import LogLine, read_log_from


def draw_log_lines(lines: Sequence[LogLine]) -> Markup:
    """Each line an element: its number, an anchor that a link can name, and the sign of a level.
    The numbers are no part of what is copied, and no stop of the tabulator."""
    return Markup("".join(map(_draw_line, lines)))


def _draw_line(line: LogLine) -> str:
    looks = " ".join(filter(None, (
        "line", line.level and f"level-{line.level}", "cause" if line.is_cause else "",
        "partial" if line.is_partial else "",
    )))  # fmt: skip
    anchor, number = "", '<i class="no"></i>'
    if line.number is not None:
        anchor = f' id="L{line.number}"'
        number = (
            f'<a class="no" href="#L{line.number}" tabindex="-1" aria-hidden="true">'
            f"{line.number}</a>"
        )
    # Where the line says its level itself, that is its sign.
    is_marked = line.is_cause and line.level not in line.text[:80].lower()
    if is_marked and line.level in ("error", "warning"):
        number += f'<b class="sign-{line.level}">{line.level}</b>'
    spans = ((span.look, escape_markup(span.text, kept="\t")) for span in line.spans)
    texts = (f'<span class="{look}">{text}</span>' if look else text for look, text in spans)
    return f'<span class="{looks}"{anchor}>{number}{"".join(texts)}\n</span>'


class LogGrowth(Struct, frozen=True):
    """``html`` are the lines that came; ``next`` and ``line`` say where those after it begin, 0
    where lines are not counted. ``metrics`` grows with what the steps of the run log."""

    html: str
    next: int
    line: int
    metrics: int


def read_log_growth(
    runs: Path, names: Mapping[str, str], begin: int, line: int
) -> LogGrowth | None:
    """What came after byte ``begin`` of the log of a step of a run that ``names`` say. None where
    there is no such run, or the log is another by now."""
    try:
        run, step = require_name(names["run"]), require_name(names["step"])
    except Malformed:
        return None
    # The record is not read: this is asked for each second, by each page that follows.
    folder = runs / run
    if not (folder / run_record.EVENTS).is_file() or folder.is_symlink():
        return None
    metrics = _sum_metrics(folder)
    if (folder / step).is_symlink():
        return None
    log = read_log_from(folder / step / "log.txt", begin, line or None)
    if log is None:
        return None if begin else LogGrowth("", 0, line, metrics)
    return LogGrowth(str(draw_log_lines(log.lines)), log.next_place, log.next_number or 0, metrics)


def _sum_metrics(folder: Path) -> int:
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                total += (folder / entry.name / METRIC_FILE).lstat().st_size
    return total
