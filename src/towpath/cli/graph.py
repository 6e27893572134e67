"""`towpath graph`."""

from __future__ import annotations

import click

from towpath.cli.render import drawings
from towpath.cli.session import Session, pass_session, pipeline_argument


@click.command()
@pipeline_argument
@drawings.format_option
@drawings.output_option
@pass_session
def graph(session: Session, pipeline: str | None, form: str | None, output: str | None) -> None:
    """Draw PIPELINE: as text in the terminal, as Mermaid, or as an SVG file."""
    from towpath.planning import pipeline_check

    compiled = pipeline_check.drawable_graph(
        session.workspace, session.workspace.pipeline_name(pipeline)
    )
    drawings.show_drawing(session, compiled, form, output)
