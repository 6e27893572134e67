"""`towpath doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.doctor import Check

_MARKS = {"well": ("✓", "green"), "lacks": ("✗", "red"), "unknown": ("?", "yellow")}


@click.command()
@click.option("--offline", is_flag=True, help="Leave out the remote, the stores and the forge.")
@json_option
@pass_session
def doctor(session: Session, offline: bool, as_json: bool) -> int:
    """Say what stands in the way: in Git, the declaration, the stages' stores, and the forge.

    Changes nothing; exits 3 where something lacks. A store whose keys are not in this
    environment, and what this token may not read at the forge, is marked `?`.
    """
    from towpath.doctor import examine
    from towpath.errors import ExitCode

    found = examine(session.workspace, offline)
    if as_json:
        print_json("checks", found)
    else:
        for one in found:
            _say(session, one)
    missing = any(one.verdict == "lacks" for one in found)
    return int(ExitCode.REFUSED if missing else ExitCode.DONE)


def _say(session: Session, one: Check) -> None:
    """A check on a line; what is well is not said to who wants quiet."""
    if session.quiet and one.verdict == "well":
        return
    mark, colour = _MARKS[one.verdict]
    click.echo(f"{click.style(mark, fg=colour)} {click.style(one.about, bold=True)}: {one.said}")
    if one.hint:
        click.echo(f"    {click.style('hint', fg='cyan')}: {one.hint}")
