"""`towpath run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli.session import (
    Session,
    assignments,
    input_option,
    interactive,
    json_option,
    param_option,
    pass_session,
    pipeline_argument,
    print_json,
)

if TYPE_CHECKING:
    from towpath.engine.record import Run
    from towpath.engine.request import Request


@click.command()
@pipeline_argument
@param_option
@input_option
@click.option(
    "--only", metavar="STEP", multiple=True, help="Run only this step, the rest as it was."
)
@click.option("--from", "begin", metavar="STEP", help="Run this step and what follows from it.")
@click.option("--to", "end", metavar="STEP", help="Run up to this step.")
@click.option(
    "--retry", metavar="RUN", help="Run again what RUN asked for; what ended well is reused."
)
@click.option("--force", is_flag=True, help="Run every step, whatever could be reused.")
@click.option(
    "--require-register", is_flag=True, help="Refuse at once if the run could not register."
)
@click.option("--push", is_flag=True, help="Publish what is registered, and push its bytes.")
@json_option
@pass_session
def run(
    session: Session, pipeline: str | None, params: tuple[str, ...], inputs: tuple[str, ...],
    only: tuple[str, ...], begin: str | None, end: str | None, retry: str | None, force: bool,
    require_register: bool, push: bool, as_json: bool,
) -> int:  # fmt: skip
    """Run PIPELINE (default: the only one, or `training`).

    Steps whose code, data and parameters have not changed are reused, not run. A run needs no
    set-up: it uses the Prefect API that you have configured, or starts a local one.
    """
    from towpath.engine.request import Request, again

    earlier = _earlier(session, retry) if retry else None
    name = pipeline or (earlier.pipeline if earlier else None)
    request = Request(
        session.workspace.pipeline_name(name), assignments(params, "--param"),
        assignments(inputs, "--input"), only, begin, end, force, require_register, push,
    )  # fmt: skip
    if earlier:
        request = again(request, earlier.asked)
    return _carry_out(session, request, as_json)


def _earlier(session: Session, word: str) -> Run:
    from towpath.engine import runs

    return runs.find(session.workspace.runs, word)


def _carry_out(session: Session, request: Request, as_json: bool) -> int:
    from towpath.cli.progress import LiveProgress, PlainProgress
    from towpath.engine.run import run as carry_out

    if as_json or session.quiet:
        done = carry_out(session.workspace, request)
    else:
        with LiveProgress() if interactive() else PlainProgress() as progress:
            done = carry_out(session.workspace, request, [progress])
    if as_json:
        print_json("run", done)
    else:
        from towpath.cli.outcome import say

        say(session, done)
    return done.exit_code
