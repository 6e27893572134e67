"""`towpath doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.doctor import Check

_MARKS = {"well": ("✓", "green"), "lacks": ("✗", "red"), "unknown": ("?", "yellow")}


@click.command()
@click.option("--offline", is_flag=True, help="Ask nobody: no remote, store, forge or API.")
@json_option
@pass_session
def doctor(session: Session, offline: bool, as_json: bool) -> int:
    """Say what stands in the way: in Git, the declaration, the stages' stores, and the forge.

    Changes nothing; exits 4 where something lacks. A store whose keys are not in this
    environment, and what this token may not read at the forge, is marked `?`.
    """
    from towpath.doctor import examine
    from towpath.errors import ExitCode

    found = examine(session.workspace, offline)
    if as_json:
        print_json("checks", found)
    else:
        _say([one for one in found if not (session.quiet and one.verdict == "well")])
    missing = any(one.verdict == "lacks" for one in found)
    return int(ExitCode.PENDING if missing else ExitCode.DONE)


def _say(checks: Sequence[Check]) -> None:
    """A check on a line; a hint that several in a row share is given once, after them."""
    for one, following in zip(checks, (*checks[1:], None), strict=True):
        mark, colour = _MARKS[one.verdict]
        terminal.echo(Styled(mark, colour), " ", Styled(one.about, "bold"), f": {one.said}")
        if one.hint and (following is None or following.hint != one.hint):
            terminal.echo("    ", Styled("hint", "cyan"), f": {one.hint}")
