"""A run in a terminal: what it was, what became of its steps, and what it measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.cli.render import terminal
from towpath.cli.render.cell_views import brief_errors
from towpath.cli.render.run_views import collapse_cells, state_label, step_remark
from towpath.execution.run_summary import list_run_inputs, list_run_origin, summarise_run
from towpath.planning.run_request import describe_asked
from towpath.quantities import readable_duration

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun


def print_run_card(run: RecordedRun) -> None:
    summary = summarise_run(run)
    heading = terminal.Styled(f"{summary.pipeline} {summary.id}", "bold")
    terminal.echo(heading, "  ", state_label(run.state))
    for line in brief_errors(run):
        terminal.echo(terminal.Styled(line, "red"))
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
