"""Whatever can be drawn, on the terminal or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session
from towpath.errors import UsageError

_ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text", ".md": "text"}

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default=None,
    help="Default: by -o's ending, else text.",
)
output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write to a file."
)


def show_drawing(session: Session, what: Any, form: str | None, output: str | None) -> None:
    """Draw a graph or a picture; UsageError for a file whose ending names no form."""
    from towpath import drawing
    from towpath.versions.work_tree_files import note_own_files

    draw = {"text": drawing.text, "mermaid": drawing.mermaid, "svg": drawing.svg}
    drawn = draw[form or _drawing_form(output)](what)
    if not output:
        return terminal.echo_block(drawn)
    (session.working_folder / output).write_text(drawn + "\n", encoding="utf-8")
    note_own_files([session.working_folder / output])
    return session.say(f"wrote {output}")


def _drawing_form(output: str | None) -> str:
    ending = Path(output).suffix.lower() if output else ".txt"
    if ending not in _ENDINGS:
        hint = "end its name in .svg, .mmd or .txt, or say --format"
        raise UsageError(f"{output}: no drawing is written as `{ending}`", hint=hint)
    return _ENDINGS[ending]
