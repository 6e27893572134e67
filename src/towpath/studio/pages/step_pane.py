"""One step of a run, looked at closely: why it ran, what it printed, made and hangs on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.credentials import hide_credentials
from towpath.execution import run_folders
from towpath.execution.run_record import EVENTS, RecordedRun, StepRun
from towpath.quantities import readable_size
from towpath.reports.check_tables import (
    CheckedRule,
    FeatureImportance,
    list_checked_rules,
    list_importances,
)
from towpath.steps.callback_questions import list_open_questions
from towpath.studio.pages.cell_table import CellTable, gather_cell_table
from towpath.studio.pages.log_search import LogSearch, search_log
from towpath.studio.pages.run_facts import StepLine, line_of_step
from towpath.studio.pages.step_log import LEVELS, LogLine, StepLogText, read_log_end, read_log_from
from towpath.studio.pages.step_output import StepOutput, list_outputs
from towpath.studio.shown_values import (
    finite_number,
    parse_time,
    raw_text,
    show_duration,
    show_number,
)

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_RULES = 200  # of a check that are listed
_MOST_VALUES = 60  # of a step that are listed


class StepLogPart(Struct, frozen=True):
    """What is shown of a log: its end, of which the lines of ``level`` and graver ones; or what was
    searched in it. ``maker`` is the run that made a result which was taken, and has its log."""

    end: StepLogText | None
    level: str
    search: LogSearch | None
    maker: str
    is_part: bool = False  # it does not grow

    @property
    def lines(self) -> tuple[LogLine, ...]:
        return self.end.lines_from(self.level) if self.end else ()


class StepTry(Struct, frozen=True):
    """An attempt at a step, and what ended it, as far as its record says."""

    number: int
    started: str
    error: str


class QuestionField(Struct, frozen=True):
    """A value that an answer has: ``type`` as it is declared, ``default`` where it may be left."""

    name: str
    type: str
    choices: tuple[str, ...]
    default: str
    is_required: bool
    description: str


class StepQuestion(Struct, frozen=True):
    """What a step that waits asks a person; ``command`` answers it."""

    token: str
    message: str
    until: str
    fields: tuple[QuestionField, ...]
    command: str


class StepPane(Struct, frozen=True):
    """One step of a run, looked at closely."""

    line: StepLine
    started: str
    attempt: int
    tries: tuple[StepTry, ...]
    spent: tuple[tuple[str, str], ...]
    began_after: str
    reason_word: str
    made_in: str
    key: str
    ingredients: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    outputs: tuple[StepOutput, ...]
    values: tuple[tuple[str, str], ...]
    log: StepLogPart
    cells: CellTable | None
    cell_of: str
    items: Mapping[str, str]
    checked_rules: tuple[CheckedRule, ...]
    importances: tuple[FeatureImportance, ...]
    question: StepQuestion | None


def gather_step_pane(
    facts: ProjectFacts, run: RecordedRun, step: StepRun, request: PageRequest
) -> StepPane:
    """What became of ``step``; ``request`` may ask for a part of its log."""
    values = run_folders.flatten_step(step)
    return StepPane(
        line_of_step(run, step),
        step.started,
        step.attempt,
        tuple(_list_tries(step)),
        tuple(_spent_rows(step)),
        _tell_delay(run.started, step.started),
        _name_reason(step),
        _maker_of(facts, step),
        step.key,
        tuple(_group_ingredients(step.ingredients)),
        tuple(list_outputs(facts, run, step, request.is_static)),
        tuple((n, show_number(v)) for n, v in islice(values.items(), _MOST_VALUES)),
        _log_part(facts, run, step, request),
        gather_cell_table(facts, run, step, request),
        step.cell_of,
        {name: show_number(value) for name, value in step.items.items()},
        tuple(list_checked_rules(step) or ())[:_RULES],
        tuple(list_importances(step))[:_RULES],
        _find_question(facts, run, step),
    )


def _list_tries(step: StepRun) -> Iterator[StepTry]:
    """The attempts at a step, where there was more than one."""
    if step.attempt < 2:
        return
    for failed in step.failed_attempts:
        yield StepTry(failed.number, failed.started, hide_credentials(failed.error))
    yield StepTry(step.attempt, step.started, hide_credentials(" ".join(step.error)))


def _spent_rows(step: StepRun) -> Iterator[tuple[str, str]]:
    """Time and memory, in words. Of a result that was taken they are those of its making."""
    if step.seconds >= 0.05:
        yield "took", _show_spent(step.seconds)
    own = _read_figure(step.made.facts.get("function_seconds"))
    if own is not None:
        yield "its function", _show_spent(own)
        if step.function_seconds is not None and step.seconds > own + 0.05:
            yield "start, reading, writing", _show_spent(step.seconds - own)
    usage: Any = step.made.facts.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    if (seconds := _read_figure(usage.get("cpu_seconds"))) is not None:
        yield "processor", _show_spent(seconds)
    if (memory := _read_figure(usage.get("peak_memory"))) is not None:
        yield "most memory", readable_size(memory)


_MESSAGES = ("notify", "stop", "fail")  # of these the reason is what they say
_RAN = ("done", "failed", "running")


def _name_reason(step: StepRun) -> str:
    if str(step.state) not in _RAN:
        return "why"
    says = dict.fromkeys(_MESSAGES, "it says") | {"condition": "it found"}
    return says.get(step.kind, "why it ran")


def _read_figure(value: object) -> float | None:
    """A time or a size of a record; None for what is none, infinite, or beyond any machine's."""
    figure = finite_number(value)
    return figure if figure is not None and 0 <= figure < 1e18 else None


def _show_spent(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if 0 < seconds < 0.1 else show_duration(seconds)


def _tell_delay(earlier: str, later: str) -> str:
    """How long after the one the other came; "" where that is not known."""
    begin, end = parse_time(earlier), parse_time(later)
    return _show_spent((end - begin).total_seconds()) if begin and end and begin < end else ""


def _find_question(facts: ProjectFacts, run: RecordedRun, step: StepRun) -> StepQuestion | None:
    if step.kind != "callback" or run.state.has_ended or step.state.has_ended:
        return None
    for question in list_open_questions(facts.workspace.root):
        if (question.run, question.step) == (run.id, step.name):
            fields = tuple(
                QuestionField(
                    name, param.accepted_type, tuple(map(raw_text, param.choices or ())),
                    "" if param.default is None else raw_text(param.default), param.required,
                    param.description or "",
                )
                for name, param in question.fields.items()
            )  # fmt: skip
            return StepQuestion(
                question.token, question.message, question.until, fields, question.command
            )
    return None


_MAKER = re.compile(r"made by (\d{8}-\d{6}-[0-9a-f]{4})\b")


def _maker_of(facts: ProjectFacts, step: StepRun) -> str:
    """The run that made a result which was taken, where this machine has it."""
    match = _MAKER.match(step.reason) if str(step.state) == "reused" else None
    is_here = match and (facts.workspace.runs / match[1] / EVENTS).is_file()
    return match[1] if match and is_here else ""


def _log_part(
    facts: ProjectFacts, run: RecordedRun, step: StepRun, request: PageRequest
) -> StepLogPart:
    """`?from=BYTE&line=NUMBER` begins there; `find=WORDS` searches, `level=LEVEL` chooses."""
    path = facts.workspace.runs / run.id / step.name / "log.txt"
    words, level = request.first_value("find")[:200].strip(), request.first_value("level")
    maker = _maker_of(facts, step)
    if maker and not (facts.workspace.runs / maker / step.name / "log.txt").is_file():
        maker = ""
    begin, number = (_read_whole(request.first_value(name)) for name in ("from", "line"))
    if words:
        search = search_log(path, words, begin, number or 1)
        return StepLogPart(None, "", search, maker, is_part=True)
    is_part = bool(request.query.get("from"))
    shown = read_log_from(path, begin, number or None) if is_part else read_log_end(path)
    return StepLogPart(shown, level if level in LEVELS else "", None, maker, is_part)


def _read_whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


_GROUPS = ("parameter", "input", "code", "package")


def _group_ingredients(
    ingredients: Mapping[str, str],
) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """What went into a step's key, by kind; the rest under ``other``."""
    grouped: dict[str, list[tuple[str, str]]] = {group: [] for group in (*_GROUPS, "other")}
    for label, value in ingredients.items():
        head, _, name = label.partition(" ")
        is_grouped = head in grouped and name
        grouped[head if is_grouped else "other"].append((name if is_grouped else label, str(value)))
    return ((group, tuple(rows)) for group, rows in grouped.items() if rows)
