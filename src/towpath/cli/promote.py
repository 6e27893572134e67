"""`towpath promote`, `approve`, `rollback` and `demote`: a version into a stage, and out of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from towpath.cli.render import promotion_views
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from towpath.delivery.promotion import Proposed

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


def _proposing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every proposal takes."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.command()
@click.argument("reference")
@click.option("--to", "stage", required=True, metavar="STAGE", help="Which stage it should enter.")
@_proposing
@pass_session
def promote(session: Session, /, reference: str, stage: str, **said: Any) -> None:
    """Propose that a version enter a stage: a branch and a pull request, with the evidence."""
    from towpath.delivery import promotion

    _propose(session, partial(promotion.promote, session.workspace, reference, stage), said)


@click.command()
@click.argument("model")
@stage_option
@click.option("--to", metavar="VERSION", help="Which of the versions it ran (default: the last).")
@_proposing
@pass_session
def rollback(session: Session, /, model: str, stage: str, to: str | None, **said: Any) -> None:
    """Propose that a stage go back to the version that it ran before."""
    from towpath.delivery import promotion

    _propose(
        session,
        lambda **asked: promotion.rollback(session.workspace, model, stage, to=to, **asked),
        said,
    )


@click.command()
@click.argument("model")
@stage_option
@_proposing
@pass_session
def demote(session: Session, /, model: str, stage: str, **said: Any) -> None:
    """Propose that a model leave a stage."""
    from towpath.delivery import promotion

    _propose(
        session, lambda **asked: promotion.demote(session.workspace, model, stage, **asked), said
    )


def _propose(session: Session, propose: Callable[..., Proposed], said: dict[str, Any]) -> None:
    from towpath.delivery.promotion import GatesRefused

    form, as_json = said["form"], said["as_json"]
    try:
        made = propose(dry_run=said["dry_run"], push=said["push"], why=said["description"])
    except GatesRefused as refused:
        if not as_json:
            promotion_views.show(refused.proposed, form)
        raise
    if as_json:
        return print_json("promotion", promotion_views.plain(made))
    if form == "md" or said["dry_run"]:
        promotion_views.page(made.evidence, form)
    else:
        promotion_views.show(made, form)
    return promotion_views.next_step(session, made)


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
    from towpath.delivery import promotion as room
    from towpath.errors import UsageError

    if rules:
        return _ratify(session, names, push, as_json)
    if not names:
        waiting = room.waiting(session.workspace)
        if as_json:
            print_json("waiting", waiting)
        else:
            promotion_views.waiting(session, waiting)
        return None
    promotion, *others = names
    if others:
        raise UsageError("one promotion is approved at a time", hint="name it alone")
    done = room.approve(session.workspace, promotion, sign=sign, push=push)
    if not as_json:
        return promotion_views.approved(session, done)
    print_json("approval", done)
    return promotion_views.pending(done)


def _ratify(session: Session, files: tuple[str, ...], push: bool, as_json: bool) -> int:
    from towpath.delivery.promotion.ratify_rules import ratify_rules, read_unagreed_rules
    from towpath.errors import ExitCode

    if not files:
        waiting = read_unagreed_rules(session.workspace)
        if as_json:
            print_json("rules_waiting", waiting)
        else:
            promotion_views.unagreed(session, waiting)
        return int(ExitCode.PENDING if waiting else ExitCode.DONE)
    done = ratify_rules(session.workspace, files, push=push)
    if as_json:
        print_json("rules", done)
    else:
        promotion_views.ratified(session, done)
    return int(ExitCode.PENDING if done.waits else ExitCode.DONE)
