"""A command as a person types it, in this process."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner, Result

from towpath.cli import main
from towpath.cli.render.fault_words import report_error


def typed(root: Path, *words: str) -> Result:
    """What a command answers; a fault is said, and gives the exit code, as in the program."""

    @click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def program(ctx: click.Context, rest: tuple[str, ...]) -> None:
        try:
            code = main.towpath.main(["-C", str(root), *rest], standalone_mode=False)
        except Exception as error:
            code = report_error(error, list(rest))
        ctx.exit(code if isinstance(code, int) else 0)

    return CliRunner().invoke(program, list(words))
