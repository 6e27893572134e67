"""`towpath promote`, `approve`, `rollback`, `demote` and `forge`: into a stage, and out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import promotion_views, terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Cell, Styled
from towpath.cli.session import Session, json_option, pass_session
from towpath.errors import ExitCode, UsageError, UserError

if TYPE_CHECKING:
    from towpath.delivery.promotion import ProposedPromotion
    from towpath.forge import Forge, Lack, Rules


stage_option = click.option("--stage", required=True, metavar="STAGE", help="Of which stage.")
_SHARED = (
    click.option("--dry-run", is_flag=True, help="Write nothing: print the evidence."),
    click.option(
        "--push/--no-push",
        default=None,
        help="Push the branch and open a pull request (default: where a forge is configured).",
    ),
    click.option("--description", metavar="TEXT", help="Why; it stands in the evidence."),
    click.option(
        "--format",
        "form",
        type=click.Choice(["text", "md"]),
        default="text",
        help="md prints the evidence as Markdown.",
    ),
    json_option,
)


def _proposal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SHARED):  # the decorator that is applied last stands first in the help
        command = option(command)
    return command


@click.command()
@click.argument("reference")
@click.option("--to", "stage", required=True, metavar="STAGE", help="Which stage it should enter.")
@_proposal_options
@pass_session
def promote(session: Session, /, reference: str, stage: str, **options: Any) -> None:
    """Propose that a version enter a stage: a branch and a pull request, with the evidence."""
    from towpath.delivery import promotion

    propose = partial(promotion.propose_promotion, session.workspace, reference, stage)
    _make_proposal(session, propose, options)


@click.command()
@click.argument("model")
@stage_option
@click.option("--to", metavar="VERSION", help="Which of the versions it ran (default: the last).")
@_proposal_options
@pass_session
def rollback(session: Session, /, model: str, stage: str, to: str | None, **options: Any) -> None:
    """Propose that a stage go back to the version that it ran before."""
    from towpath.delivery import promotion

    propose = partial(promotion.propose_rollback, session.workspace, model, stage, to=to)
    _make_proposal(session, propose, options)


@click.command()
@click.argument("model")
@stage_option
@_proposal_options
@pass_session
def demote(session: Session, /, model: str, stage: str, **options: Any) -> None:
    """Propose that a model leave a stage."""
    from towpath.delivery import promotion

    propose = partial(promotion.propose_demotion, session.workspace, model, stage)
    _make_proposal(session, propose, options)


def _make_proposal(
    session: Session, propose: Callable[..., ProposedPromotion], options: dict[str, Any]
) -> None:
    from towpath.delivery.promotion import ReviewGatesRefused

    form, as_json, is_dry = options["form"], options["as_json"], options["dry_run"]
    try:
        proposal = propose(dry_run=is_dry, push=options["push"], why=options["description"])
    except ReviewGatesRefused as refused:
        if not as_json:  # a person sees which gates refuse; a document is the fault's alone
            promotion_views.show_proposal(refused.proposed, form)
        raise
    if as_json:
        return print_json("promotion", promotion_views.plain_proposal(proposal))
    if form == "md" or is_dry:  # set for a terminal that a person looks at, or as it is
        terminal.echo_markdown(proposal.evidence, reads=form != "md")
    else:
        promotion_views.show_proposal(proposal, form)
    return promotion_views.next_step(session, proposal)


@click.command()
@click.argument("names", nargs=-1, metavar="[PROMOTION]")
@click.option(
    "--sign/--no-sign", default=None, help="Sign the merge (default: as the policy asks)."
)
@click.option("--push", is_flag=True, help="Push the main branch with it.")
@click.option(
    "--rules", is_flag=True, help="Show the rules that wait; with their FILES, approve them."
)
@json_option
@pass_session
def approve(
    session: Session, names: tuple[str, ...], sign: bool | None, push: bool, rules: bool,
    as_json: bool,
) -> int | None:  # fmt: skip
    """Approve a PROMOTION, named by its branch or its pull request's number, and merge it.

    Without one, list those that wait. With --rules, show the rules of who may approve that were
    changed on the main branch and that nobody agreed to; with the names of their FILES after it,
    agree to those, as main has them here.
    """
    from towpath.delivery.promotion import approve_promotion, find_waiting_promotions

    if rules:
        return _ratify_rules(session, names, push, as_json)
    if not names:
        waiting = find_waiting_promotions(session.workspace)
        if as_json:
            print_json("waiting", waiting)
        else:
            promotion_views.print_waiting(session, waiting)
        return None
    promotion, *others = names
    if others:
        raise UsageError("one promotion is approved at a time", hint="name it alone")
    approval = approve_promotion(session.workspace, promotion, sign=sign, push=push)
    if not as_json:
        return promotion_views.say_approved(session, approval)
    print_json("approval", approval)
    return promotion_views.approval_exit_code(approval)


def _ratify_rules(session: Session, files: tuple[str, ...], push: bool, as_json: bool) -> int:
    from towpath.delivery.promotion.ratify_rules import ratify_rules, read_unagreed_rules

    if not files:
        waiting = read_unagreed_rules(session.workspace)
        if as_json:
            print_json("rules_waiting", waiting)
        else:
            promotion_views.print_unagreed_rules(session, waiting)
        return int(ExitCode.PENDING if waiting else ExitCode.DONE)
    ratified = ratify_rules(session.workspace, files, push=push)
    if as_json:
        print_json("rules", ratified)
    else:
        promotion_views.print_ratified_rules(session, ratified)
    return int(ExitCode.PENDING if ratified.waits else ExitCode.DONE)


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
    from towpath.delivery.promotion import forge_requirements

    connected = _connect_forge(session, acts, check, offline)
    wanted_rules = forge_requirements.required_forge_rules(session.workspace)
    changes = connected.enforce_rules(wanted_rules) if connected and acts else ()
    lacking = _find_lacks(session, wanted_rules, connected)
    if as_json:
        document = {
            "forge": connected.name if connected else None,
            "repository": connected.repository if connected else None,
            "wanted": wanted_rules,
            "lacks": lacking if connected else None,  # null: nobody was asked, so nobody knows
            "done": changes,
        }
        print_json("forge", document)
    else:
        _print_rules(session, connected, wanted_rules, lacking, changes)
    return int(ExitCode.PENDING if lacking and (check or acts) else ExitCode.DONE)


def _connect_forge(session: Session, acts: bool, check: bool, offline: bool) -> Forge | None:
    from towpath.delivery.promotion.rules_in_force import connect_to_set_up

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")
    if offline and (acts or check):
        hint = "give --offline alone, to see what is needed"
        raise UsageError("what is enforced is not known without asking the forge", hint=hint)
    if session.workspace.policy.forge is None:
        hint = "in towpath.yaml: forge: {kind: github, repository: owner/name}"
        raise UserError("this project names no forge", hint=hint)
    return None if offline else connect_to_set_up(session.workspace)


def _find_lacks(session: Session, wanted: Rules, connected: Forge | None) -> tuple[Lack, ...]:
    from towpath.delivery.promotion import forge_requirements
    from towpath.forge import find_lacking_rules

    if connected is None:
        return ()
    actual = connected.rules()
    return (
        *find_lacking_rules(wanted, actual),
        *forge_requirements.queue_lacks(session.workspace, actual),
    )


def _print_rules(
    session: Session,
    connected: Forge | None,
    wanted: Rules,
    lacking: Sequence[Lack],
    done: Sequence[str],
) -> None:
    from towpath.forge import Rules, find_lacking_rules

    for line in done:
        terminal.echo(line)
    actual_state = {(lack.where, lack.rule): lack.actual for lack in lacking}
    # Every rule that is wanted is what would lack where nothing were enforced.
    wanted_rules = find_lacking_rules(wanted, Rules())
    needed = {(rule.where, rule.rule): rule for rule in (*wanted_rules, *lacking)}
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
    lack = actual_state.get((rule.where, rule.rule))
    state: Cell = "as wanted" if is_connected else "not asked"
    return [rule.where, rule.rule, rule.wanted, state if lack is None else Styled(lack, "bold red")]
