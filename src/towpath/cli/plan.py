"""`towpath plan`."""

from __future__ import annotations

import click

from towpath.cli import terminal
from towpath.cli.session import (
    Session,
    assignments,
    input_option,
    json_option,
    param_option,
    pass_session,
    pipeline_argument,
    print_json,
)

_COLOURS = {"run": "yellow", "reuse": "cyan", "skip": "dim", "undecided": "magenta"}


@click.command()
@pipeline_argument
@param_option
@input_option
@click.option("--force", is_flag=True, help="As for a run that reuses nothing.")
@json_option
@pass_session
def plan(
    session: Session, pipeline: str | None, params: tuple[str, ...], inputs: tuple[str, ...],
    force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say for each step of PIPELINE whether it would run, be reused or be skipped, and why."""
    from towpath.engine.request import Request
    from towpath.engine.run import prepare

    name = session.workspace.pipeline_name(pipeline)
    request = Request(
        name, assignments(params, "--param"), assignments(inputs, "--input"), force=force
    )
    decisions = list(prepare(session.workspace, request).decisions().values())
    if as_json:
        said = [
            {"step": d.step, "verdict": d.verdict, "reason": d.reason, "key": d.key}
            for d in decisions
        ]
        return print_json("plan", said)
    rows = [(d.step, terminal.Styled(d.verdict, _COLOURS[d.verdict]), d.reason) for d in decisions]
    return terminal.show(("step", "", "why"), rows)
