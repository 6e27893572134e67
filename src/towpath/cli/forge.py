"""`towpath forge`: what the forge must enforce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.cli.render.terminal import Cell
    from towpath.forge import Forge, Lack, Rules


@click.group()
def forge() -> None:
    """What the forge must enforce, so that nothing passes the policy by."""


@forge.command()
@click.option("--apply", "acts", is_flag=True, help="Make the forge enforce what it does not yet.")
@click.option("--check", is_flag=True, help="Exit 4 where something is not enforced.")
@click.option("--offline", is_flag=True, help="Only say what is needed: ask the forge nothing.")
@json_option
@pass_session
def setup(session: Session, acts: bool, check: bool, offline: bool, as_json: bool) -> int:
    """Say what the forge must enforce for this project, and what of that it does not; with
    --apply, set it."""
    from towpath.delivery.promotion import rules_in_force
    from towpath.errors import ExitCode

    _refuse_contradictions(acts, check, offline)
    connected = _connect_forge(session, offline)
    wanted_rules = rules_in_force.required_forge_rules(session.workspace)
    changes = connected.enforce_rules(wanted_rules) if connected and acts else ()
    lacking = _find_lacks(session, wanted_rules, connected)
    if as_json:
        _print_rules_document(connected, wanted_rules, lacking, changes)
    else:
        _print_rules(session, connected, wanted_rules, lacking, changes)
    return int(ExitCode.PENDING if lacking and (check or acts) else ExitCode.DONE)


def _refuse_contradictions(acts: bool, check: bool, offline: bool) -> None:
    from towpath.errors import UsageError

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")
    if offline and (acts or check):
        hint = "give --offline alone, to see what is needed"
        raise UsageError("what is enforced is not known without asking the forge", hint=hint)


def _connect_forge(session: Session, offline: bool) -> Forge | None:
    from towpath.delivery.promotion.rules_in_force import connect_to_set_up
    from towpath.errors import UserError

    if session.workspace.policy.forge is None:
        hint = "in towpath.yaml: forge: {kind: github, repository: owner/name}"
        raise UserError("this project names no forge", hint=hint)
    return None if offline else connect_to_set_up(session.workspace)


def _find_lacks(session: Session, wanted: Rules, connected: Forge | None) -> tuple[Lack, ...]:
    from towpath.delivery.promotion import rules_in_force
    from towpath.forge import find_lacking_rules

    if connected is None:
        return ()
    actual = connected.rules()
    return (
        *find_lacking_rules(wanted, actual),
        *rules_in_force.queue_lacks(session.workspace, actual),
    )


def _needed_rules(wanted: Rules) -> tuple[Lack, ...]:
    """Every rule that is wanted: what would lack where nothing were enforced."""
    from towpath.forge import Rules, find_lacking_rules

    return find_lacking_rules(wanted, Rules())


def _print_rules(
    session: Session,
    connected: Forge | None,
    wanted: Rules,
    lacking: Sequence[Lack],
    done: Sequence[str],
) -> None:
    for line in done:
        terminal.echo(line)
    actual_state = {(lack.where, lack.rule): lack.actual for lack in lacking}
    needed = {(rule.where, rule.rule): rule for rule in (*_needed_rules(wanted), *lacking)}
    rows = [_rule_row(rule, connected is not None, actual_state) for rule in needed.values()]
    terminal.show_table(("where", "rule", "wanted", "now"), rows)
    if connected is None:
        return
    where = f"{connected.name}, {connected.repository}"
    silent = [lack for lack in lacking if "merge queue" in lack.rule]
    session.say()
    if len(lacking) > len(silent):
        count = len(lacking) - len(silent)
        session.say(f"{where}: {count} not enforced; towpath forge setup --apply sets it")
    if silent:
        session.say(f"{where} has a merge queue, where no check reports: write {silent[0].wanted}")
    if not lacking:
        session.say(f"{where}: all of it is enforced")


def _rule_row(
    rule: Lack, is_connected: bool, actual_state: dict[tuple[str, str], str]
) -> list[Cell]:
    from towpath.cli.render.terminal import Styled

    lack = actual_state.get((rule.where, rule.rule))
    state: Cell = "as wanted" if is_connected else "not asked"
    if lack is not None:
        state = Styled(lack, "bold red")
    return [rule.where, rule.rule, rule.wanted, state]


def _print_rules_document(
    connected: Forge | None, wanted: Rules, lacking: Sequence[Lack], done: Sequence[str]
) -> None:
    print_json(
        "forge",
        {
            "forge": connected.name if connected else None,
            "repository": connected.repository if connected else None,
            "wanted": wanted,
            "lacks": [vars(lack) for lack in lacking] if connected else None,
            "done": list(done),
        },
    )
