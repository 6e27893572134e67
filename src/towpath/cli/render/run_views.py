"""A run as a person sees it: while it runs, its last words, and afterwards; or as ``--json``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs
from msgspec.structs import replace

from towpath.cli.render import cell_views, terminal
from towpath.cli.render.cell_views import FAILED_STATES
from towpath.cli.render.terminal import Styled
from towpath.execution.run_record import (
    Event,
    ExecutionState,
    RecordedRun,
    StepRun,
    fold_cells,
    fold_event,
    group_cells,
)
from towpath.execution.run_summary import list_run_inputs, list_run_origin, summarise_run
from towpath.quantities import readable_duration

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from towpath.cli.session import Session
    from towpath.config.artifact import Json, Made


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
_NOTHING: Mapping[str, str] = {}
_LOGGED = 4  # metrics of a step that runs
_LOG_PAUSE = 10.0  # seconds between two lines about what a step logs
_MANY = 40  # steps; a longer table shows only what moves
_OWN_TIME = 0.5  # seconds that a step takes besides its function, from which both are shown


def state_label(state: ExecutionState) -> Styled:
    sign, style = _LOOKS[state]
    return Styled(f"{sign} {state}", style)


def steps_table(
    run: RecordedRun, begun: Mapping[str, float], logged: Mapping[str, str] = _NOTHING
) -> Table:
    """A row for each step: its sign, name, kind, time, and what there is to say; of one that runs,
    what it logged last."""
    # rich takes 50 ms: `towpath step`, which DVC calls for each stage, and runs in CI need none.
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    step_table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    steps = collapse_cells(run)
    width = max((len(step.name) for step in steps), default=0)
    functions = any(map(_own_time, steps))
    if len(steps) > _MANY:
        quiet = (ExecutionState.WAITING, ExecutionState.DONE, ExecutionState.REUSED)
        steps = [step for step in steps if step.state not in quiet][-_MANY:]
    for step in steps:
        since = time.monotonic() - begun[step.name] if step.name in begun else step.seconds
        is_running = begun and step.state is ExecutionState.RUNNING
        sign = Spinner("dots", style="yellow") if is_running else Text(*_LOOKS[step.state])
        times = Text(readable_duration(since), justify="right")
        own = [Text(_own_time(step), style="dim")] if functions else []
        row = Text(step.name.ljust(width)), Text(step.kind, style="dim"), times, *own
        style = "red" if step.state in FAILED_STATES else "dim"
        remark = (is_running and logged.get(step.name)) or step_remark(step)
        step_table.add_row(sign, *row, Text(remark, style=style))
    return step_table


def fold_metrics(latest: dict[str, float], event: Event) -> str:
    """What a step logged, in a line: those that came last come first. ``latest`` is brought up to
    date."""
    for name in event["values"]:
        latest.pop(name, None)
    latest.update(event["values"])
    names = list(latest)[-_LOGGED:]
    figures = (f"{name} {terminal.readable_number(latest[name])}" for name in names)
    return f"step {event['place']:g}: {'  '.join(figures)}"


def step_times(seconds: float, made: Made) -> str:
    """What a step took that was carried out alone: the whole, and its function's own."""
    own = made.facts.get("function_seconds")
    if not isinstance(own, int | float):
        return ""
    times = filter(None, (readable_duration(seconds), _show_own_time(seconds, own)))
    return f" in {' '.join(times)}"


def _own_time(step: StepRun) -> str:
    own = step.function_seconds
    return "" if own is None else _show_own_time(step.seconds, own)


def _show_own_time(seconds: float, own: float) -> str:
    if seconds - own < _OWN_TIME:  # else it waited for imports, say
        return ""
    return f"({own:.1f}s own)" if own < 60 else f"({readable_duration(own)} own)"


def collapse_cells(run: RecordedRun) -> list[StepRun]:
    """The steps of a run, one with cells as all of them: its state, its reason, its times."""
    groups = group_cells(run)
    return [
        _collapse_step(step, groups.get(step.name, ()))
        for step in run.steps.values()
        if not step.cell_of
    ]


def _collapse_step(step: StepRun, cells: Sequence[StepRun]) -> StepRun:
    if not cells:
        return step
    started = min((cell.started for cell in cells if cell.started), default="")
    state = fold_cells(step, cells)
    words = cell_views.cell_counts(step, cells)
    if step.state in FAILED_STATES:  # what it hands on could not be made
        words = step.reason
    seconds = sum(cell.seconds for cell in cells)
    return replace(step, state=state, reason=words, started=started, seconds=seconds)


def step_remark(step: StepRun) -> str:
    """What there is to say of a step: why, or what it made."""
    if step.cells or step.state in (*FAILED_STATES, ExecutionState.SKIPPED):
        return step.reason
    if step.state is ExecutionState.REUSED:
        reasons = filter(None, (f"reused, {step.reason}", _check_warning(step)))
        return _registered_version(step) or "; ".join(reasons)
    if step.state is ExecutionState.RUNNING:
        again = f"attempt {step.attempt}; " if step.attempt > 1 else ""
        return again + step.reason
    return _registered_version(step) or _metrics_of(step) or _check_warning(step) or step.reason


def _metrics_of(step: StepRun) -> str:
    documents = step.made.values.values() if step.kind == "evaluation" else ()
    pairs = [
        pair for document in documents if isinstance(document, dict) for pair in document.items()
    ]
    logged = step.made.facts.get("metrics")
    if not pairs and isinstance(logged, dict):
        pairs = list(logged.items())[-_LOGGED:]
    figures = ((name, value) for name, value in pairs if isinstance(value, int | float))
    return "  ".join(f"{name} {terminal.readable_number(value)}" for name, value in figures)


def _check_warning(step: StepRun) -> str:
    # Of a check that need not pass: the step is done, and the run goes on.
    check_result = step.made.facts.get("check")
    failed = check_result.get("failed") if isinstance(check_result, dict) else 0
    plural = "" if failed == 1 else "s"
    way = f"`towpath logs last {step.name}`"
    return f"{failed} expectation{plural} not met: {way}" if failed else ""


def _registered_version(step: StepRun) -> str:
    version = step.made.facts.get("version")
    if not version:
        return ""
    return f"{version}" if step.made.facts.get("new") else f"{version}, registered before"


class LiveProgress:
    """The live table of a run; give it to the run as a listener."""

    def __init__(self) -> None:
        self.run: RecordedRun | None = None
        self._begun: dict[str, float] = {}
        self._metrics: dict[str, dict[str, float]] = {}
        self._logged: dict[str, str] = {}
        self._note = ""
        self._live = terminal.LiveView()

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._live.stop(self if self.run else None)

    def __call__(self, event: Event) -> None:
        self.run = fold_event(self.run, event)
        self._note = event["reason"] if event["event"] == "waiting" else ""
        if event["event"] == "metric":
            step = event["step"]
            self._logged[step] = fold_metrics(self._metrics.setdefault(step, {}), event)
        if event["event"] == "step":
            if event["state"] == ExecutionState.RUNNING:
                self._begun[event["step"]] = time.monotonic()
            else:
                self._begun.pop(event["step"], None)
        # It is drawn when the screen is, ten times a second, and not for each of a thousand cells.
        self._live.update(self)

    def __rich__(self) -> Group:
        """The table as the run stands."""
        from rich.console import Group
        from rich.text import Text

        assert self.run is not None
        name = (self.run.pipeline, "bold"), "  ", (self.run.id, "dim")
        head = Text.assemble(*name, f"  {self._note}" if self._note else "")
        return Group(head, steps_table(self.run, self._begun, self._logged))


class PlainProgress:
    """A line for each event of a run; give it to the run as a listener."""

    def __init__(self) -> None:
        self.run: RecordedRun | None = None
        self._width = 0
        self._metrics: dict[str, dict[str, float]] = {}
        self._said: dict[str, float] = {}
        self._ended_cells: Counter[str] = Counter()

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
        elif event["event"] == "metric":
            self._say_metrics(event)
        elif event["event"] == "step" and before:
            self._tell_step(event, before, self.run)

    def _tell_step(self, event: Event, before: RecordedRun, run: RecordedRun) -> None:
        step = run.steps[event["step"]]
        if step.cell_of:
            self._tell_cell(event, run, step)
        elif not step.cells or step.state in FAILED_STATES:
            line = _event_line(before.steps[step.name], step)
            if line:
                self._print_line(event, f"{step.name:{self._width}}  {line}")

    def _say_metrics(self, event: Event) -> None:
        step, last = event["step"], self._said.get(event["step"], 0.0)
        line = fold_metrics(self._metrics.setdefault(step, {}), event)
        if time.monotonic() - last >= _LOG_PAUSE:
            self._said[step] = time.monotonic()
            self._print_line(event, f"{step:{self._width}}  {'logged':15}  {line}")

    def _tell_cell(self, event: Event, run: RecordedRun, cell: StepRun) -> None:
        """A line for a cell that failed, and one for every tenth of those that ended."""
        if cell.state in FAILED_STATES:
            self._print_line(event, f"{cell.name:{self._width}}  {cell.state}  {cell.reason}")
        if not cell.state.has_ended:
            return
        self._ended_cells[cell.cell_of] += 1
        ended, number = self._ended_cells[cell.cell_of], run.steps[cell.cell_of].cells or 1
        if ended == number or ended % (number // 10 + 1) == 0:
            cells = list(run.cells_of(cell.cell_of).values())
            step = _collapse_step(run.steps[cell.cell_of], cells)
            self._print_line(event, f"{step.name:{self._width}}  {step.state:8}  {step.reason}")

    @staticmethod
    def _print_line(event: Event, words: str) -> None:
        terminal.echo(f"{event['time']}  {words}".rstrip(), err=True)


def _event_line(before: StepRun, step: StepRun) -> str:
    if step.kind == "condition" and step.state is ExecutionState.RUNNING:
        return ""  # a choice takes no time: its begin is no news
    remark = step_remark(step).removeprefix(f"{step.state}, ")
    is_repeated = step.kind != "condition" and remark == before.reason  # when it began
    took = readable_duration(step.seconds)
    news = filter(None, (_own_time(step), "" if is_repeated else remark))
    return f"{step.state:8} {took:>6}  {'  '.join(news)}"


_SHOWN = 5  # files of a list, so that a step that wrote thousands does not fill the screen
_BEFORE = " was registered before"
_COUNTED = {
    ExecutionState.DONE: "run", ExecutionState.REUSED: "reused", ExecutionState.SKIPPED: "skipped",
    ExecutionState.FAILED: "failed", ExecutionState.REFUSED: "refused",
}  # fmt: skip


def say_outcome(session: Session, run: RecordedRun) -> None:
    for line in cell_views.brief_errors(run):
        terminal.echo_marked(Styled("error", "bold red"), line)
    _warn_of_run(session, run)
    state_counts = run.count_states()
    counts = ((state_counts[state], word) for state, word in _COUNTED.items())
    words = ", ".join(f"{count} {word}" for count, word in counts if count)
    ending = f": {words}" if words else ""  # nothing, where the API was away
    colour = "green" if run.state is ExecutionState.DONE else "red"
    took = readable_duration(run.seconds) or "0.0s"
    session.say(Styled(str(run.state), f"bold {colour}"), f" in {took}{ending}")
    if failed := [step.name for step in run.steps.values() if step.state in FAILED_STATES]:
        session.say(f"  towpath logs {run.id} {failed[0]}")
    _say_versions(session, run)


def _say_versions(session: Session, run: RecordedRun) -> None:
    from towpath.execution.register_step import TRIAL

    for step in run.steps.values():
        if step.kind == "stop" and step.state is ExecutionState.DONE:
            session.say(f"{step.name} ended it: {step.reason}")
        if version := step.made.facts.get("version"):
            shown, how = Styled(str(version), "bold"), f"   (towpath show {version})"
            is_new = bool(step.made.facts.get("new"))
            session.say(*(("registered ", shown) if is_new else (shown, _BEFORE)), how)
    if any(s.kind == "register_model" and s.reason == TRIAL for s in run.steps.values()):
        session.say(f"a trial: nothing is registered   (towpath register {run.id})")
    for named in run.published:
        session.say(f"published {named}")


def _warn_of_run(session: Session, run: RecordedRun) -> None:
    """What is no failure of the run and will be one of somebody's later on."""
    for step in cell_views.one_of_each(run):
        say_undeclared(step.name, step.made)
    warning = Styled("warning", "yellow")
    for line in _tell_model_needs(session, run):
        terminal.echo_marked(warning, line)
    for name, source in run.sources.items():
        if stale := isinstance(source, dict) and source.get("stale"):
            terminal.echo_marked(warning, f"input `{name}` is stale: {stale}")


def say_undeclared(step: str, made: Made) -> None:
    """Warn of a step that read files which it does not declare, and tell of others that it left."""
    if files := _shorten_list(made.facts.get("undeclared")):
        what = f"{step} opened {files}, which it does not declare, so it is not reused: "
        warning = Styled("warning", "yellow")
        terminal.echo_marked(warning, what + "name it under `inputs` or `code`")
    if files := _shorten_list(made.facts.get("written")):
        what = f"{step} wrote {files}, which is no output of it: where the step is reused"
        terminal.echo_marked(Styled("note", "cyan"), what + ", that is not written again")


def _shorten_list(files: Json) -> str:
    names = [str(name) for name in files] if isinstance(files, list) else []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _tell_model_needs(session: Session, run: RecordedRun) -> Iterator[str]:
    # What a model needs to be loaded and the project does not trust yet: said when it is made, and
    # not months later when a stage refuses it.
    if not any("needs" in step.made.facts for step in run.steps.values()):
        return
    from towpath.steps.model_io.skops_models import read_facts, tell_needs

    needs: dict[str, list[str]] = {}
    nameless: list[str] = []
    for step in cell_views.one_of_each(run):
        held, unnamed = read_facts(step.made.facts)
        needs |= {f"{step.name}.{output}": names for output, names in held.items()}
        nameless += unnamed
    yield from tell_needs(needs, nameless, session.workspace.project.trust)


def print_run_card(run: RecordedRun) -> None:
    from towpath.planning.run_request import describe_asked

    summary = summarise_run(run)
    heading = Styled(f"{summary.pipeline} {summary.id}", "bold")
    terminal.echo(heading, "  ", state_label(run.state))
    for line in cell_views.brief_errors(run):
        terminal.echo(Styled(line, "red"))
    started = {
        "started": summary.started,
        "took": readable_duration(summary.seconds) if run.ended else "",
        "asked": describe_asked(run.asked),
        "for": summary.environment,
        "trial": "its values are not the declared ones" if summary.is_trial else "",
        "registered": ", ".join(summary.versions),
        **dict(list_run_origin(run)),
    }
    terminal.print_section("run", {name: value for name, value in started.items() if value})
    terminal.print_section("metrics", summary.metrics)
    terminal.print_section("parameters", run.params)
    inputs = {read.name: _input_words(read.digest, read.source) for read in list_run_inputs(run)}
    terminal.print_section("data", inputs)
    terminal.echo()
    rows = [
        (step.name, step.kind, state_label(step.state), readable_duration(step.seconds),
         step_remark(step))
        for step in collapse_cells(run)
    ]  # fmt: skip
    terminal.show_table(("step", "kind", "state", "time", ""), rows, ("time",))


def _input_words(digest: str, source: str) -> str:
    shown = terminal.brief_value(digest)
    return f"{shown}, {source}" if source else shown


_DERIVED = ("counts", "metrics", "versions", "author", "checks")


def write_run_document(run: RecordedRun) -> dict[str, Any]:
    """Its record, and beside it what is derived of that: as Studio's pages have it."""
    summary = summarise_run(run)
    derived = {name: getattr(summary, name) for name in _DERIVED}
    return {**structs.asdict(run), **derived, "trial": summary.is_trial}
