"""`towpath plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.session import (
    Session,
    all_option,
    input_option,
    json_option,
    param_option,
    parse_assignments,
    pass_session,
    pipeline_argument,
    print_json,
    refuse_with_all,
)

if TYPE_CHECKING:
    from towpath.execution.pipeline_run import PreparedRun
    from towpath.planning.run_request import RunRequest

_COLOURS = {
    "run": "yellow",
    "reuse": "cyan",
    "skip": "dim",
    "undecided": "magenta",
    "stale": "yellow",
}


@click.command()
@pipeline_argument
@all_option
@param_option
@input_option
@click.option("--force", is_flag=True, help="As for a run that reuses nothing.")
@json_option
@pass_session
def plan(
    session: Session, pipeline: str | None, every: bool, params: tuple[str, ...],
    inputs: tuple[str, ...], force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say for each step of PIPELINE whether it would run, be reused or be skipped, and why."""
    from towpath.execution.pipeline_run import prepare_run
    from towpath.planning.run_request import RunRequest

    if every:
        refuse_with_all(pipeline, {"--param": params, "--input": inputs})
        return _plan_all(session, RunRequest("", force=force), as_json)
    name = session.workspace.pipeline_name(pipeline)
    request = RunRequest(
        name,
        parse_assignments(params, "--param"),
        parse_assignments(inputs, "--input"),
        force=force,
    )
    prepared = prepare_run(session.workspace, request)
    steps = _step_documents(prepared)
    if as_json:
        return print_json("plan", steps, upstream=_upstream_documents(prepared))
    return _print_plan(prepared, steps)


def _plan_all(session: Session, request: RunRequest, as_json: bool) -> None:
    from towpath.execution.pipeline_run import plan_all

    prepared_plans = [
        (prepared, _step_documents(prepared)) for prepared in plan_all(session.workspace, request)
    ]
    if as_json:
        plans = [
            {
                "pipeline": prepared.graph.name,
                "plan": steps,
                "upstream": _upstream_documents(prepared),
            }
            for prepared, steps in prepared_plans
        ]
        return print_json("plans", plans)
    for prepared, steps in prepared_plans:
        terminal.echo(terminal.Styled(prepared.graph.name, "bold"))
        _print_plan(prepared, steps)
        terminal.echo()
    return None


def _step_documents(prepared: PreparedRun) -> list[dict[str, Any]]:
    return [
        {"step": d.step, "verdict": d.verdict, "reason": d.reason, "key": d.key}
        for d in prepared.decide_steps().values()
    ]


def _upstream_documents(prepared: PreparedRun) -> list[dict[str, Any]]:
    """The inputs that other pipelines make, and whether they are up to date."""
    return [
        {
            "input": link.input, "path": link.path, "pipeline": link.pipeline, "run": link.run,
            "stale": bool(link.stale), "reason": link.stale, "command": link.update_command,
        }
        for link in prepared.registering.upstream_links
    ]  # fmt: skip


def _print_plan(prepared: PreparedRun, steps: list[dict[str, Any]]) -> None:
    """A row for each step, after one for each input that is stale."""
    links = [link for link in prepared.registering.upstream_links if link.stale]
    rows: list[tuple[Any, ...]] = [
        (link.input, _verdict_cell("stale"), f"{link.stale} ({link.update_command})")
        for link in links
    ]
    rows += [(step["step"], _verdict_cell(step["verdict"]), step["reason"]) for step in steps]
    terminal.show_table(("step", "", "why"), rows)


def _verdict_cell(verdict: str) -> terminal.Styled:
    return terminal.Styled(verdict, _COLOURS[verdict])
