"""`towpath promote`, `approve`, `rollback` and `demote`: a version into a stage, and out of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from towpath.cli.render import promotion_views
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from towpath.delivery.promotion import ProposedPromotion

Format = Literal["text", "md"]

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
    """The options that every proposal takes."""
    for option in reversed(_SHARED):
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

    _make_proposal(
        session, partial(promotion.propose_promotion, session.workspace, reference, stage), options
    )


@click.command()
@click.argument("model")
@stage_option
@click.option("--to", metavar="VERSION", help="Which of the versions it ran (default: the last).")
@_proposal_options
@pass_session
def rollback(session: Session, /, model: str, stage: str, to: str | None, **options: Any) -> None:
    """Propose that a stage go back to the version that it ran before."""
    from towpath.delivery import promotion

    _make_proposal(
        session,
        partial(promotion.propose_rollback, session.workspace, model, stage, to=to),
        options,
    )


@click.command()
@click.argument("model")
@stage_option
@_proposal_options
@pass_session
def demote(session: Session, /, model: str, stage: str, **options: Any) -> None:
    """Propose that a model leave a stage."""
    from towpath.delivery import promotion

    _make_proposal(
        session, partial(promotion.propose_demotion, session.workspace, model, stage), options
    )


def _make_proposal(
    session: Session, propose: Callable[..., ProposedPromotion], options: dict[str, Any]
) -> None:
    from towpath.delivery.promotion import ReviewGatesRefused

    form, as_json = options["form"], options["as_json"]
    try:
        proposal = propose(
            dry_run=options["dry_run"], push=options["push"], why=options["description"]
        )
    except ReviewGatesRefused as refused:
        if not as_json:
            promotion_views.show_proposal(refused.proposed, form)
        raise
    if as_json:
        return print_json("promotion", promotion_views.plain_proposal(proposal))
    if form == "md" or options["dry_run"]:
        promotion_views.show_evidence(proposal.evidence, form)
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
    session: Session,
    names: tuple[str, ...],
    sign: bool | None,
    push: bool,
    rules: bool,
    as_json: bool,
) -> int | None:
    """Approve a PROMOTION, named by its branch or its pull request's number, and merge it.

    Without one, list those that wait. With --rules, show the rules of who may approve that were
    changed on the main branch and that nobody agreed to; with the names of their FILES after it,
    agree to those, as main has them here.
    """
    from towpath.delivery.promotion import approve_promotion, find_waiting_promotions
    from towpath.errors import UsageError

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
    from towpath.errors import ExitCode

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
