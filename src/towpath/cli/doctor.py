"""`towpath doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.doctor import DoctorCheck

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
    from towpath.doctor import examine_project
    from towpath.errors import ExitCode

    health_checks = examine_project(session.workspace, offline)
    if as_json:
        print_json("checks", health_checks)
    else:
        _print_checks(
            [
                health_check
                for health_check in health_checks
                if not (session.quiet and health_check.verdict == "well")
            ]
        )
    missing = any(health_check.verdict == "lacks" for health_check in health_checks)
    return int(ExitCode.PENDING if missing else ExitCode.DONE)


def _print_checks(checks: Sequence[DoctorCheck]) -> None:
    """A check on a line; a hint that several in a row share is given once, after them."""
    for health_check, following in zip(checks, (*checks[1:], None), strict=True):
        mark, colour = _MARKS[health_check.verdict]
        terminal.echo(
            Styled(mark, colour), " ", Styled(health_check.about, "bold"), f": {health_check.said}"
        )
        if health_check.hint and (following is None or following.hint != health_check.hint):
            terminal.echo("    ", Styled("hint", "cyan"), f": {health_check.hint}")
