"""`towpath graph`."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli.session import (
    Session,
    drawing_format_option,
    drawing_output_option,
    pass_session,
    pipeline_argument,
)


@click.command()
@pipeline_argument
@drawing_format_option
@drawing_output_option
@pass_session
def graph(session: Session, pipeline: str | None, form: str | None, output: str | None) -> None:
    """Draw PIPELINE: as text in the terminal, as Mermaid, or as an SVG file."""
    from towpath.engine import checking, drawing

    compiled = checking.drawable(session.workspace, session.workspace.pipeline_name(pipeline))
    form = form or {".svg": "svg", ".mmd": "mermaid"}.get(Path(output or "").suffix, "text")
    drawn = {"text": drawing.text, "mermaid": drawing.mermaid, "svg": drawing.svg}[form](compiled)
    if not output:
        return click.echo(drawn)
    (session.here / output).write_text(drawn + "\n", encoding="utf-8")
    return session.say(f"wrote {output}")
