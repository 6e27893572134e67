"""`towpath graph`."""

from __future__ import annotations

import click

from towpath.cli import drawn
from towpath.cli.session import Session, pass_session, pipeline_argument


@click.command()
@pipeline_argument
@drawn.format_option
@drawn.output_option
@pass_session
def graph(session: Session, pipeline: str | None, form: str | None, output: str | None) -> None:
    """Draw PIPELINE: as text in the terminal, as Mermaid, or as an SVG file."""
    from towpath.engine import checking

    compiled = checking.drawable(session.workspace, session.workspace.pipeline_name(pipeline))
    drawn.show(session, compiled, form, output)
