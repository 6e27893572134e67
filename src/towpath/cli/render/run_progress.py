"""A run as a person sees it: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Group
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from towpath.cli.render import terminal
from towpath.execution.run_record import Event, ExecutionState, RecordedRun, StepRun, fold_event

_LOOKS: Mapping[ExecutionState, tuple[str, str]] = {
    ExecutionState.WAITING: ("·", "dim"),
    ExecutionState.RUNNING: ("●", "yellow"),
    ExecutionState.DONE: ("✓", "green"),
    ExecutionState.REUSED: ("↺", "cyan"),
    ExecutionState.SKIPPED: ("-", "dim"),
    ExecutionState.FAILED: ("✗", "bold red"),
    ExecutionState.REFUSED: ("✗", "bold red"),
    ExecutionState.INTERRUPTED: ("!", "red"),
}
_MANY = 40  # steps; a longer table shows only what moves
_OWN_TIME = 0.5  # seconds that a step takes besides its function, from which both are shown


def state_sign(state: ExecutionState) -> Text:
    """A state's sign in its colour."""
    sign, style = _LOOKS[state]
    return Text(sign, style=style)


def state_label(state: ExecutionState) -> Text:
    """A state's sign and word in its colour."""
    sign, style = _LOOKS[state]
    return Text(f"{sign} {state}", style=style)


def steps_table(run: RecordedRun, begun: Mapping[str, float] | None = None) -> Table:
    """A row for each step: its sign, name, kind, time, and what there is to say."""
    step_table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    width = max((len(s.name) for s in run.steps.values()), default=0)
    functions = any(map(_own_time, run.steps.values()))
    for step in _shown_steps(run):
        since = (
            time.monotonic() - begun[step.name] if begun and step.name in begun else step.seconds
        )
        sign = (
            Spinner("dots", style="yellow")
            if begun and step.state is ExecutionState.RUNNING
            else state_sign(step.state)
        )
        times = Text(terminal.readable_duration(since), justify="right")
        own = [Text(_own_time(step), style="dim")] if functions else []
        row = Text(step.name.ljust(width)), Text(step.kind, style="dim"), times, *own
        step_table.add_row(sign, *row, Text(step_remark(step), style=_remark_style(step)))
    return step_table


def _own_time(step: StepRun) -> str:
    """The time of its function, where the step took longer: it waited for imports, say."""
    own = step.function_seconds
    if own is None or step.seconds - own < _OWN_TIME:
        return ""
    return f"({own:.1f}s own)" if own < 60 else f"({terminal.readable_duration(own)} own)"


def _shown_steps(run: RecordedRun) -> list[StepRun]:
    steps = list(run.steps.values())
    if len(steps) <= _MANY:
        return steps
    return [
        s
        for s in steps
        if s.state not in (ExecutionState.WAITING, ExecutionState.DONE, ExecutionState.REUSED)
    ][-_MANY:]


def _remark_style(step: StepRun) -> str:
    return "red" if step.state in (ExecutionState.FAILED, ExecutionState.REFUSED) else "dim"


def step_remark(step: StepRun) -> str:
    """What there is to say of a step: why, or what it made."""
    if step.state in (ExecutionState.FAILED, ExecutionState.REFUSED, ExecutionState.SKIPPED):
        return step.reason
    if step.state is ExecutionState.REUSED:
        return _registered_version(step) or "; ".join(
            filter(None, (f"reused, {step.reason}", _check_warning(step)))
        )
    if step.state is ExecutionState.RUNNING:
        again = f"attempt {step.attempt}; " if step.attempt > 1 else ""
        return again + step.reason
    return _registered_version(step) or _metric_words(step) or _check_warning(step) or step.reason


def _check_warning(step: StepRun) -> str:
    """What a check that need not pass has found."""
    check_result = step.made.facts.get("check")
    failed = check_result.get("failed") if isinstance(check_result, dict) else 0
    if not failed:
        return ""
    return (
        f"{failed} expectation{'s' if failed != 1 else ''} not met: `towpath logs last {step.name}`"
    )


def _registered_version(step: StepRun) -> str:
    version = step.made.facts.get("version")
    if not version:
        return ""
    return f"{version}" if step.made.facts.get("new") else f"{version}, registered before"


def _metric_words(step: StepRun) -> str:
    if step.kind != "evaluation":
        return ""
    pairs = [
        (k, v)
        for value in step.made.values.values()
        if isinstance(value, dict)
        for k, v in value.items()
    ]
    return "  ".join(
        f"{name} {terminal.readable_number(v)}" for name, v in pairs if isinstance(v, (int, float))
    )


class LiveProgress:
    """The live table of a run; give it to the run as a listener."""

    def __init__(self) -> None:
        self.run: RecordedRun | None = None
        self._begun: dict[str, float] = {}
        self._note = ""
        self._live = terminal.LiveView()

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._live.stop(self._render_view() if self.run else None)

    def __call__(self, event: Event) -> None:
        self.run = fold_event(self.run, event)
        self._note = event["reason"] if event["event"] == "waiting" else ""
        self._note_time(event)
        self._live.update(self._render_view())

    def _note_time(self, event: Event) -> None:
        if event["event"] == "step":
            if event["state"] == ExecutionState.RUNNING:
                self._begun[event["step"]] = time.monotonic()
            else:
                self._begun.pop(event["step"], None)

    def _render_view(self) -> Group:
        assert self.run is not None
        name = (self.run.pipeline, "bold"), "  ", (self.run.id, "dim")
        head = Text.assemble(*name, f"  {self._note}" if self._note else "")
        return Group(head, steps_table(self.run, self._begun))


class PlainProgress:
    """A line for each event of a run; give it to the run as a listener."""

    def __init__(self) -> None:
        self.run: RecordedRun | None = None
        self._width = 0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *what: object) -> None:
        """Nothing is left to close."""

    def __call__(self, event: Event) -> None:
        before, self.run = self.run, fold_event(self.run, event)
        if event["event"] == "started":
            self._width = max((len(name) for name in self.run.steps), default=0)
            self._print_line(event, f"{self.run.pipeline} {self.run.id} started")
        elif event["event"] == "waiting":
            self._print_line(event, event["reason"])
        elif event["event"] == "step" and before:
            line = _event_line(before.steps[event["step"]], self.run.steps[event["step"]])
            if line:
                self._print_line(event, f"{event['step']:{self._width}}  {line}")

    @staticmethod
    def _print_line(event: Event, words: str) -> None:
        terminal.echo(f"{event['time']}  {words}".rstrip(), err=True)


def _event_line(before: StepRun, step: StepRun) -> str:
    """What is new of a step; empty for a choice that begins, which takes no time."""
    if step.kind == "condition" and step.state is ExecutionState.RUNNING:
        return ""
    remark = step_remark(step).removeprefix(f"{step.state}, ")
    is_repeated = step.kind != "condition" and remark == before.reason  # when it began
    return (
        f"{step.state:8} {terminal.readable_duration(step.seconds):>6}  "
        f"{'' if is_repeated else remark}"
    )
