"""`towpath plan`, `run` and `step`."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.session import (
    Session,
    WholeNumber,
    json_option,
    parse_assignments,
    pass_session,
    pipeline_options,
    read_given_values,
    refuse_with_all,
)

if TYPE_CHECKING:
    from towpath.config.file_declaration import Input
    from towpath.execution.pipeline_run import PipelineRun, PreparedRun
    from towpath.execution.run_inputs import InputUpdate
    from towpath.execution.run_record import RecordedRun
    from towpath.planning.run_request import RunRequest
    from towpath.registry.version_record import DataSource
    from towpath.workspace import Workspace


@click.command()
@pipeline_options
@click.option(
    "--only", metavar="STEP", multiple=True, help="Run only this step, the rest as it was."
)
@click.option("--from", "begin", metavar="STEP", help="Run this step and what follows from it.")
@click.option("--to", "end", metavar="STEP", help="Run up to this step.")
@click.option(
    "--retry", metavar="RUN", help="Run again what RUN asked for; what ended well is reused."
)
@click.option("--stop", metavar="RUN", help="End RUN, which goes on elsewhere, as interrupted.")
@click.option(
    "-j", "--jobs", type=WholeNumber(1, example="4"), metavar="N", help="At most N steps at once."
)
@click.option("--force", is_flag=True, help="Run every step, whatever could be reused.")
@click.option(
    "--register", is_flag=True, help="Register a trial too: a run with other values than declared."
)
@click.option(
    "--require-register", is_flag=True, help="Refuse at once if the run could not register."
)
@click.option("--push", is_flag=True, help="Publish what is registered, and push its bytes.")
@json_option
@pass_session
def run(
    session: Session, pipeline: str | None, every: bool, params: tuple[str, ...],
    inputs: tuple[str, ...], only: tuple[str, ...], begin: str | None, end: str | None,
    retry: str | None, stop: str | None, jobs: int | None, force: bool, register: bool,
    require_register: bool, push: bool, as_json: bool,
    values_file: str | None, environment: str,
) -> int:  # fmt: skip
    """Run PIPELINE (default: the only one, or `training`).

    Steps whose code, data and parameters have not changed are reused, not run. A run needs no
    set-up: it uses the Prefect API that you have configured, or starts a local one. With other
    parameters or inputs than the declared ones it is a trial: recorded, and not registered.
    """
    from towpath.execution import run_folders
    from towpath.planning.run_request import RunRequest, repeat_request

    if stop:
        return _stop_run(session, stop, as_json)
    if every:
        options = {"--param": params, "--input": inputs, "--only": only, "--from": begin}
        options |= {"--params": values_file, "--to": end, "--retry": retry}
        refuse_with_all(pipeline, options)
        request = RunRequest(
            "", force=force, require_register=require_register, push=push, jobs=jobs,
            environment=environment,
        )  # fmt: skip
        return _carry_out_all(session, request, as_json)
    earlier = run_folders.find_run(session.workspace.runs, retry) if retry else None
    name = pipeline or (earlier.pipeline if earlier else None)
    values, places = read_given_values(session.workspace, params, values_file)
    request = RunRequest(
        session.workspace.pipeline_name(name), values,
        parse_assignments(inputs, "--input"), only, begin, end, force, require_register, push,
        register, earlier.id if earlier else None, jobs, environment, places,
    )  # fmt: skip
    if earlier:
        request = repeat_request(request, earlier.asked)
    return _carry_out(session, request, as_json)


def _stop_run(session: Session, word: str, as_json: bool) -> int:
    from towpath.backends.prefect.executor import cancel_run
    from towpath.cli.render.run_views import write_run_document
    from towpath.execution.run_folders import stop_run

    workspace = session.workspace
    ended = stop_run(workspace.runs, word, partial(cancel_run, workspace.root))
    if as_json:
        print_json("run", write_run_document(ended))
    else:
        session.say(f"run {ended.id} {ended.state.in_words}")
    return 0


def _carry_out(session: Session, request: RunRequest, as_json: bool) -> int:
    from towpath.cli.render.run_views import say_outcome, write_run_document

    finished_run = _run_with_progress(session.workspace, request, silent=as_json or session.quiet)
    if as_json:
        print_json("run", write_run_document(finished_run))
    else:
        say_outcome(session, finished_run)
    return finished_run.exit_code


def _run_with_progress(workspace: Workspace, request: RunRequest, silent: bool) -> RecordedRun:
    from towpath.backends.prefect.executor import PrefectExecutor
    from towpath.cli.render.run_views import LiveProgress, PlainProgress
    from towpath.execution.pipeline_run import run_pipeline

    if silent:
        return run_pipeline(workspace, request, PrefectExecutor())
    with LiveProgress() if terminal.is_interactive() else PlainProgress() as progress:
        return run_pipeline(workspace, request, PrefectExecutor(), [progress])


def _carry_out_all(session: Session, request: RunRequest, as_json: bool) -> int:
    from towpath.cli.render.run_views import write_run_document
    from towpath.execution.pipeline_run import run_all

    run_one = partial(_run_with_progress, silent=as_json or session.quiet)
    codes, runs = [0], []
    for result in run_all(session.workspace, request, run_one):
        codes.append(int(result.exit_code))
        if result.run is not None:
            runs.append(result.run)
        if result.run is None or not as_json:
            _say_result(session, result, request.environment)
    if as_json:
        print_json("runs", [write_run_document(run) for run in runs])
    # The first that did not end well: those after it may only have been left out for its sake.
    return next(filter(None, codes), 0)


def _say_result(session: Session, result: PipelineRun, environment: str) -> None:
    from towpath.cli.render.run_views import say_outcome

    if result.run is not None:
        say_outcome(session, result.run)
        if environment and not result.run.environment:
            session.say(f"{result.pipeline} ran as it is: it declares nothing for {environment}")
    elif result.error is not None:
        mark = terminal.Styled("error", "bold red")
        terminal.echo_marked(mark, f"{result.pipeline}: {result.error}")
    elif result.left_out:
        session.say(f"{result.pipeline} was left out: {result.left_out}")


_COLOURS = {
    "run": "yellow", "reuse": "cyan", "skip": "dim", "undecided": "magenta", "stale": "yellow",
    "none": "dim", "last": "cyan",
}  # fmt: skip


@click.command()
@pipeline_options
@click.option("--force", is_flag=True, help="As for a run that reuses nothing.")
@click.option("--cells", is_flag=True, help="A line for each cell of a step with `each`.")
@json_option
@pass_session
def plan(
    session: Session, pipeline: str | None, every: bool, params: tuple[str, ...],
    inputs: tuple[str, ...], force: bool, cells: bool, as_json: bool, values_file: str | None,
    environment: str,
) -> None:  # fmt: skip
    """Say for each step of PIPELINE whether it would run, be reused or be skipped, and why."""
    from towpath.cli.render.cell_views import collapse_plan
    from towpath.execution.pipeline_run import prepare_run
    from towpath.planning.run_request import RunRequest

    if every:
        options = {"--param": params, "--input": inputs, "--params": values_file}
        refuse_with_all(pipeline, options)
        request = RunRequest("", force=force, environment=environment)
        return _plan_all(session, request, cells, as_json)
    name = session.workspace.pipeline_name(pipeline)
    values, places = read_given_values(session.workspace, params, values_file)
    request = RunRequest(
        name, values, parse_assignments(inputs, "--input"), force=force,
        environment=environment, param_places=places,
    )  # fmt: skip
    prepared = prepare_run(session.workspace, request)
    document = _plan_document(prepared)
    if as_json:
        beside = {name: document[name] for name in ("upstream", "absent", "last")}
        return print_json("plan", document["plan"], **beside)
    return _print_plan(prepared, document["plan"] if cells else collapse_plan(document["plan"]))


def _plan_all(session: Session, request: RunRequest, cells: bool, as_json: bool) -> None:
    from towpath.cli.render.cell_views import collapse_plan
    from towpath.execution.pipeline_run import plan_all

    plans = [(plan, _plan_document(plan)) for plan in plan_all(session.workspace, request)]
    if as_json:
        return print_json("plans", [document for _, document in plans])
    for prepared, document in plans:
        terminal.echo(terminal.Styled(prepared.graph.name, "bold"))
        _print_plan(prepared, document["plan"] if cells else collapse_plan(document["plan"]))
        terminal.echo()
    return None


def _plan_document(prepared: PreparedRun) -> dict[str, Any]:
    steps = [
        {"step": d.step, "verdict": d.verdict, "reason": d.reason, "key": d.key,
         "cell_of": d.cell_of or None}
        for d in prepared.decide_steps().values()
    ]  # fmt: skip
    upstream = [
        {
            "input": link.input, "path": link.path, "pipeline": link.pipeline, "run": link.run,
            "stale": bool(link.stale), "reason": link.stale, "command": link.update_command,
        }
        for link in prepared.registering.upstream_links
    ]  # fmt: skip
    last = {n: s.to_json() if s else None for n, s in _find_last_sources(prepared).items()}
    document = {"pipeline": prepared.graph.name, "plan": steps, "upstream": upstream}
    return {**document, "absent": _find_absent(prepared), "last": last}


def _find_absent(prepared: PreparedRun) -> dict[str, str]:
    """Why inputs that may be missing are not there; not of those that are yet to be made."""
    from towpath.execution.run_inputs import list_absent_inputs

    reasons = list_absent_inputs(prepared.workspace, prepared.graph)
    return {name: why for name, why in reasons.items() if name not in prepared.known.awaited}


def _find_last_sources(prepared: PreparedRun) -> dict[str, DataSource | None]:
    """Which run made each input that is what was made last; None where a file stands in for it."""
    from towpath.execution.last_outputs import locate_last

    workspace, graph = prepared.workspace, prepared.graph
    return {
        name: locate_last(workspace, graph, name, artifact)
        for name, artifact in prepared.known.inputs.items()
        if graph.files[name].last
    }


def _last_words(file: Input, source: DataSource | None) -> str:
    if source is None:
        return f"{file.otherwise}: no good run has made {file.last} yet"
    return f"{file.last} of run {source.run}"


def _print_plan(prepared: PreparedRun, steps: list[dict[str, Any]]) -> None:
    absent = _find_absent(prepared)
    # What is stale stands first: it is the reason to doubt what stands below it.
    rows = [
        (link.input, "stale", f"{link.stale} ({link.update_command})")
        for link in prepared.registering.upstream_links
        if link.stale and link.input not in absent
    ]
    rows += [(name, "none", why) for name, why in absent.items()]
    files, sources = prepared.graph.files, _find_last_sources(prepared)
    rows += [(name, "last", _last_words(files[name], source)) for name, source in sources.items()]
    rows += [(step["step"], step["verdict"], step["reason"]) for step in steps]
    styled = [(name, terminal.Styled(word, _COLOURS[word]), why) for name, word, why in rows]
    terminal.show_table(("step", "", "why"), styled)


@click.command()
@click.argument("pipeline", required=False)
@click.argument("step", required=False)
@click.option("--pdb", is_flag=True, help="Call it here, in the debugger; nothing is stored.")
@pass_session
def step(session: Session, pipeline: str | None, step: str | None, pdb: bool) -> int:
    """Run STEP of PIPELINE on the files of the work tree; `dvc repro` calls this.

    With --pdb a step is called in this process: `towpath step NAME --pdb` stops at its first line,
    `towpath step --pdb` where the last run failed, with what the step took there.
    """
    if pdb:
        from towpath.cli.debug_commands import debug_step

        return debug_step(session, pipeline, step)
    if pipeline is None or step is None:
        raise click.UsageError(f"Missing argument '{'STEP' if pipeline else 'PIPELINE'}'.")
    from towpath.backends.prefect.prefect_blocks import load_secret
    from towpath.cli.render import run_views
    from towpath.execution import single_step

    say = partial(terminal.echo_block, colours=True)
    begun = time.perf_counter()
    produced = single_step.carry_out(session.workspace, pipeline, step, say, load_secret)
    run_views.say_undeclared(step, produced)
    files = ", ".join(artifact.name for artifact in produced.outputs.values())
    whole = time.perf_counter() - begun
    session.say(f"{step}: {files}{run_views.step_times(whole, produced)}")
    return 0


@click.command()
@click.argument("names", metavar="[INPUT]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say whether there is something else now.")
@json_option
@pass_session
def update(session: Session, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Look again at where inputs come from, and pin what is there now (default: all of them).

    These are the inputs that are declared with `from:`. What a run reads changes only by this:
    until then it is what the pointer beside the data says.
    """
    from towpath.execution import run_inputs
    from towpath.planning import pipeline_check

    workspace = session.workspace
    graphs = [
        pipeline_check.compile_checked_pipeline(workspace, name) for name in workspace.pipelines
    ]
    updates = []
    for graph, name in run_inputs.list_remote_inputs(graphs, names):
        updates.append(run_inputs.update_input(workspace, graph, name, dry_run))
        if not as_json:
            _say_update(session, updates[-1])
    if as_json:
        print_json("updates", updates)


def _say_update(session: Session, update: InputUpdate) -> None:
    words = "has changed: `towpath update` pins it" if update.changed else "is as it was"
    if update.changed and update.digest:
        words = f"has changed; {update.path.rstrip('/')}.dvc names it: commit that file"
    session.say(f"{update.name}: {update.address} {words}")


@click.command()
@click.argument("token", required=False)
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@json_option
@pass_session
def answer(
    session: Session, token: str | None, values: tuple[str, ...], as_json: bool
) -> None:  # fmt: skip
    """Answer the step that waits under TOKEN; without one, list the steps that wait.

    An answer whose values do not fit is refused, and the step goes on waiting.
    """
    from towpath.execution import run_questions

    if token is None:
        return _list_questions(session, as_json)
    taken = run_questions.answer_step(session.workspace, token, parse_assignments(values, ""))
    if as_json:
        return print_json("answer", taken)
    words = ", ".join(f"{name} {json.dumps(value)}" for name, value in taken.items())
    return session.say(f"answered: {words}")


def _list_questions(session: Session, as_json: bool) -> None:
    from towpath.execution import run_questions

    questions = list(run_questions.list_waiting(session.workspace))
    if as_json:
        return print_json("questions", questions)
    if not questions:
        return session.say("no step waits for an answer")
    rows = [(q.pipeline, q.step, q.message, q.until, q.command) for q in questions]
    return terminal.show_table(("pipeline", "step", "asks", "until", "answer it"), rows)
