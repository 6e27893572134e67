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
    from towpath.cli import outcome
    from towpath.engine import single

    made = single.carry_out(session.workspace, pipeline, step)
    outcome.say_undeclared(step, made)
    session.say(f"{step}: {', '.join(artifact.name for artifact in made.outputs.values())}")
