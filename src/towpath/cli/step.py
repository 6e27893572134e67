"""`towpath step`."""

from __future__ import annotations

import click

from towpath.cli.session import Session, pass_session


@click.command()
@click.argument("pipeline")
@click.argument("step")
@pass_session
def step(session: Session, pipeline: str, step: str) -> None:
    """Run STEP of PIPELINE on the files of the work tree; `dvc repro` calls this."""
    from towpath.cli.render import run_outcome, terminal
    from towpath.execution import single_step

    def say(line: str) -> None:
        terminal.echo_block(line, colours=True)

    produced = single_step.carry_out(session.workspace, pipeline, step, say)
    run_outcome.say_undeclared(step, produced)
    session.say(f"{step}: {', '.join(artifact.name for artifact in produced.outputs.values())}")
