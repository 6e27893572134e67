"""`towpath runs`, `logs`, `diff`, `get` and `report`: what runs left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.session import (
    Session,
    WholeNumber,
    json_option,
    pass_session,
    refuse_without,
)
from towpath.errors import UsageError, did_you_mean
from towpath.execution import run_folders
from towpath.execution.run_record import ExecutionState, RecordedRun, StepRun
from towpath.execution.run_summary import count_run_states
from towpath.execution.runs_table import RunsTable, RunsTableRow, TableRequest, tabulate_runs
from towpath.markdown_text import escape_prose, markdown_table
from towpath.quantities import readable_duration, readable_size

if TYPE_CHECKING:
    from towpath.cli.render.terminal import Cell
    from towpath.execution.output_copies import PlacedCopy
    from towpath.reports.run_report import Report


NUMBER = 20


@click.command()
@click.option(
    "-n", "--number", type=WholeNumber(1, example="20"),
    help=f"How many, the newest first (default: {NUMBER}; with --metrics all).",
)  # fmt: skip
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--metrics", is_flag=True, help="The table of trials: parameters, metrics, state.")
@click.option("--sort", metavar="NAME", help="By a metric or parameter; --sort=-f1: highest first.")
@click.option(
    "-p", "--param", "params", metavar="NAME[=VALUE]", multiple=True,
    help="Show this parameter; with a value, only runs that had it.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["text", "md"]), default="text", help="md for a page."
)
@json_option
@pass_session
def runs(
    session: Session, number: int | None, pipeline: str | None, metrics: bool, sort: str | None,
    params: tuple[str, ...], form: str, as_json: bool,
) -> None:  # fmt: skip
    """List the runs, the newest first."""
    if metrics:
        return _tabulate(session, TableRequest(params, sort, number), pipeline, form, as_json)
    options = {"--sort": sort, "--param": params, "--format": form != "text"}
    refuse_without("--metrics", options)
    number = number or NUMBER
    listed_runs = list(run_folders.recent_runs(session.workspace.runs, number, pipeline))
    if as_json:
        from towpath.cli.render.run_views import write_run_document

        return print_json("runs", [write_run_document(run) for run in listed_runs])
    if not listed_runs and pipeline and run_folders.list_run_names(session.workspace.runs):
        return session.say(f"no run of `{session.workspace.pipeline_name(pipeline)}` is recorded")
    if not listed_runs:
        return session.say("no run is recorded here; `towpath run` makes one")
    from towpath.cli.render.run_views import state_label
    from towpath.planning.run_request import describe_asked

    rows = [
        (r.id, r.pipeline, state_label(r.state), readable_duration(r.seconds),
         _step_counts(r), describe_asked(r.asked))
        for r in listed_runs
    ]  # fmt: skip
    heads = ("run", "pipeline", "state", "time", "steps", "asked")
    return terminal.show_table(heads, rows, ("time",))


def _tabulate(
    session: Session, request: TableRequest, pipeline: str | None, form: str, as_json: bool
) -> None:
    name = session.workspace.pipeline_name(pipeline) if pipeline else None
    trials = tabulate_runs(run_folders.recent_runs(session.workspace.runs, pipeline=name), request)
    if as_json:
        return print_json("trials", trials)
    if not trials.rows:
        return session.say("no such run is recorded here; `towpath run` makes one")
    several = len({row.pipeline for row in trials.rows}) > 1  # only then does a row say which
    pipeline_head = ["pipeline"] if several else []
    heads = ["run", *pipeline_head, *trials.params, *trials.metrics, "state", "version"]
    rows = [_trial_cells(trials, row, several) for row in trials.rows]
    if form == "md":
        return _trials_page(heads, rows, len(trials.metrics))
    from towpath.cli.render.run_views import state_label

    shown: list[Sequence[Cell]] = [
        (*cells[:-2], state_label(row.state), cells[-1])
        for cells, row in zip(rows, trials.rows, strict=True)
    ]
    return terminal.show_table(heads, shown, (*trials.metrics,))


def _trial_cells(table: RunsTable, row: RunsTableRow, several: bool) -> list[str]:
    params = (terminal.brief_value(row.params.get(name)) for name in table.params)
    numbers = (terminal.brief_value(row.metrics.get(name)) for name in table.metrics)
    beside = [row.pipeline] if several else []
    return [row.run, *beside, *params, *numbers, str(row.state), ", ".join(row.versions)]


def _trials_page(heads: list[str], rows: list[list[str]], metrics: int) -> None:
    first = len(heads) - 2 - metrics
    figures = range(first, first + metrics)
    # A figure needs no escape, with which `0.9` would be `0\\.9` to who reads the source.
    cells = [
        [c if place in figures else escape_prose(c) for place, c in enumerate(row)] for row in rows
    ]
    terminal.echo_markdown(markdown_table([escape_prose(head) for head in heads], cells, figures))


def _step_counts(run: RecordedRun) -> str:
    counts = count_run_states(run)
    shown = {"run": counts.get("done"), "reused": counts.get("reused")}
    return ", ".join(f"{count} {word}" for word, count in shown.items() if count) or "none"


@click.command()
@click.argument("run", default="last")
@click.argument("step", required=False)
@json_option
@pass_session
def logs(session: Session, run: str, step: str | None, as_json: bool) -> None:
    """Show what the steps of RUN wrote (default: `last`), or one STEP of it."""
    recorded_run = run_folders.find_run(session.workspace.runs, run)
    if step and step not in recorded_run.steps:
        hint = did_you_mean(step, recorded_run.steps)
        raise UsageError(f"run {recorded_run.id} has no step `{step}`", hint=hint)
    folder = session.workspace.runs / recorded_run.id
    names = [*recorded_run.cells_of(step), step] if step else list(recorded_run.steps)
    paths = {name: folder / name / "log.txt" for name in names}
    # What programs wrote need not be UTF-8; a step that was reused or skipped wrote nothing.
    written = {
        name: path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for name, path in paths.items()
    }
    if as_json:
        return print_json("logs", {"run": recorded_run.id, "steps": written})
    for name, text in written.items():
        _say_log(recorded_run.steps[name], text, alone=bool(step) and len(names) == 1)
    return None


def _say_log(step: StepRun, text: str, alone: bool) -> None:
    if not alone:
        is_unrun = step.state in (ExecutionState.REUSED, ExecutionState.SKIPPED)
        why = f", {step.reason}" if is_unrun else ""
        terminal.echo(terminal.Styled(f"── {step.name}  {step.state}{why}", "bold"))
    elif not text and step.state is not ExecutionState.DONE:
        terminal.echo(f"{step.name} {step.state.in_words}: {step.reason}", err=True)
    for line in step.error:
        terminal.echo_block(f"error: {line}")
    if text:
        terminal.echo_block(text.rstrip("\n"), colours=True)


@click.command()
@click.argument("left")
@click.argument("right", default="last")
@json_option
@pass_session
def diff(session: Session, left: str, right: str, as_json: bool) -> None:
    """Show in what two runs differ: parameters, metrics, data, code."""
    folder = session.workspace.runs
    left_run, other = run_folders.find_run(folder, left), run_folders.find_run(folder, right)
    differences = run_folders.diff_runs(left_run, other)
    if as_json:
        document = {"left": left_run.id, "right": other.id, "differences": differences}
        return print_json("diff", document)
    if not differences:
        return session.say(f"{left_run.id} and {other.id} do not differ")
    rows = [(d.section, d.name, *terminal.side_by_side((d.left, d.right))) for d in differences]
    return terminal.show_table(("", "name", left_run.id, other.id), rows)


@click.command()
@click.argument("word", metavar="RUN|MODEL@V|MODEL#STAGE")
@click.argument("name", metavar="[OUTPUT]", required=False)
@click.option("--output", metavar="OUTPUT", help="Which output, such as evaluate.metrics.")
@click.option(
    "-o", "--file", "to", type=click.Path(), metavar="FILE",
    help="Where it goes (default: here, under its own name).",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what stands there.")
@click.option(
    "--as", "flavour", type=click.Choice(["mlflow"]),
    help="Lay out a model of `create_model` for the tools of MLflow.",
)  # fmt: skip
@json_option
@pass_session
def get(
    session: Session, word: str, name: str | None, output: str | None,
    to: str | None, force: bool, flavour: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Copy what a run or a version made to a file of your own, its bytes checked.

    `towpath get last` lists what the last run made, `towpath get last fit.model -o model.skops`
    copies one of it, also of a run that failed or was only tried. `towpath get abalone#prod` copies
    a version's model, `towpath get abalone@v1.0.0 --output metrics` what was made beside it.
    `towpath get abalone#prod --as mlflow` lays a bundled model out for MLflow.
    """
    from towpath.execution import output_copies

    if name and output and name != output:
        raise UsageError(f"two outputs are named: {name} and {output}", hint="name one")
    output = name or output
    if output is None and not output_copies.is_version(word):
        return _list_outputs(session, word, as_json)
    copyable = output_copies.find_copyable(session.workspace, word, output)
    reshape = None
    if flavour:
        from towpath.versions import mlflow_layout

        artifact = mlflow_layout.require_bundle(copyable.artifact, copyable.name)
        copyable, reshape = replace(copyable, artifact=artifact), mlflow_layout.lay_out_mlflow
    folder, target = session.working_folder, Path(to) if to else None
    if target and str(to).endswith("/") and not (folder / target).is_dir():
        target /= copyable.artifact.name  # in a folder that is not there yet
    copied = output_copies.place_copy(session.workspace, copyable, folder, target, force, reshape)
    return _say_copied(session, copied, as_json)


def _say_copied(session: Session, copied: PlacedCopy, as_json: bool) -> None:
    if copied.rejected is not None:  # with --json too: nobody should read past it
        terminal.echo(f"warning: {copied.name} was rejected: {copied.rejected}", err=True)
    if as_json:
        return print_json("copy", copied)
    size = readable_size(copied.size)
    return session.say(f"{copied.name} is in {copied.path} ({size}, from {copied.source})")


def _list_outputs(session: Session, word: str, as_json: bool) -> None:
    run = run_folders.find_run(session.workspace.runs, word)
    outputs = run.outputs
    if as_json:
        return print_json("outputs", {"run": run.id, "outputs": outputs})
    if not outputs:
        return session.say(f"run {run.id} {run.state.in_words}, and made nothing that was kept")
    rows = [(name, a.name, readable_size(a.size), a.digest) for name, a in outputs.items()]
    return terminal.show_table(("output", "file", "size", "md5"), rows, ("size",))


@click.command()
@click.argument("word", metavar="RUN|MODEL@V|MODEL#STAGE", default="last")
@click.option(
    "-o", "--file", "to", type=click.Path(), metavar="FILE",
    help="Where it goes (default: here, named after what it tells of).",
)  # fmt: skip
@json_option
@pass_session
def report(session: Session, word: str, to: str | None, as_json: bool) -> None:
    """Write one page of HTML about a run (default: `last`) or a version: graph, parameters,
    metrics, curves, checks, plots, logs and lineage.

    The page needs nothing from elsewhere and holds no script, so it can be sent and kept.
    """
    from towpath.execution.output_copies import is_version
    from towpath.reports.run_report import report_run
    from towpath.reports.version_report import report_version

    workspace = session.workspace
    if is_version(word):
        page = report_version(workspace, word)
        name = page.title.replace("@", "-")
    else:
        run = run_folders.find_run(workspace.runs, word)
        page, name = report_run(workspace, run), run.id
    place_page(session, page, to or f"report-{name}.html", as_json)


def place_page(session: Session, page: Report, to: str, as_json: bool) -> None:
    """Write a page, and say where it is."""
    from towpath.reports import charts
    from towpath.reports.page import write_page

    path = session.working_folder / Path(to)
    write_page(page, path)
    if as_json:
        return print_json("report", {"title": page.title, "path": str(path)})
    session.say(f"{page.title} is in {to}")
    if not charts.can_draw() and any(section.charts for section in page.sections):
        session.say(f"its charts are tables: {charts.INSTALL} draws them")
    return None
