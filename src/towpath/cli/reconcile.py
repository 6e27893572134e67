"""`towpath reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.cli.render.terminal import Piece
    from towpath.delivery.reconcile import Applied, Change, Options, Outcome, Plan
    from towpath.errors import Fault


@click.command()
@click.argument("stages", nargs=-1, metavar="[STAGE]...")
@click.option("--apply", "acts", is_flag=True, help="Do what the plan says.")
@click.option("--check", is_flag=True, help="Exit 4 where there is anything to do.")
@click.option("--offline", is_flag=True, help="Do not ask the remote what was merged meanwhile.")
@click.option(
    "--accept-history",
    is_flag=True,
    help="Take a main branch that was rewritten as it is: you have looked at it.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "md"]), default="text", help="Markdown, or text."
)
@json_option
@pass_session
def reconcile(
    session: Session,
    stages: tuple[str, ...],
    acts: bool,
    check: bool,
    offline: bool,
    accept_history: bool,
    form: str,
    as_json: bool,
) -> int:
    """Say what differs between what the main branch wants of STAGE (default: of each stage) and
    what runs there; with --apply, bring it about."""
    from towpath.delivery.reconcile import Options, declared_stages
    from towpath.errors import ExitCode, UsageError

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")
    options = Options(
        offline=offline,
        say=session.say,
        listener=_teller(session),
        accepts_history=accept_history,
    )
    names = stages or declared_stages(session.workspace)
    judged = [_judged(session, name, options, acts, alone=len(names) == 1) for name in names]
    _print(judged, "json" if as_json else form)
    codes = {one.code for one in judged}
    bad = (ExitCode.FAILED, ExitCode.WRONG, ExitCode.REFUSED)
    pending = check and any(one.plan and one.plan.asks_for_action for one in judged)
    if check and pending and not any(one.faults for one in judged):
        return int(ExitCode.PENDING)
    return int(next((c for c in bad if c in codes), ExitCode.DONE))


@dataclass(frozen=True)
class Judged:
    """One stage, by itself: its plan and what came of it, or why it cannot be seen as a whole."""

    stage: str
    plan: Plan | None
    applied: Applied | None = None
    faults: tuple[Fault, ...] = ()
    code: int = 0


def _judged(session: Session, stage: str, options: Options, acts: bool, alone: bool) -> Judged:
    """A stage that cannot be seen (its store is damaged or held) keeps no other from being
    reconciled. What is wrong with the registry concerns all of them, and is raised."""
    from towpath.errors import DeployError, Refused, StoreError, UserError

    try:
        plan, applied = _reconciled(session, stage, options, acts)
    except (DeployError, Refused, StoreError, UserError) as error:
        if alone:
            raise
        return Judged(stage, None, None, error.faults, int(error.exit_code))
    return Judged(stage, plan, applied, code=int(applied.exit_code) if applied else 0)


def _teller(session: Session) -> Any:
    def tell(stage: str, model: str, step: str) -> None:
        if session.verbose:
            session.say(f"{stage}: {model}: {step}")

    return tell


def _reconciled(
    session: Session, stage: str, options: Options, acts: bool
) -> tuple[Plan, Applied | None]:
    from towpath.delivery.reconcile import apply, plan

    if not acts:
        return plan(session.workspace, stage, options), None
    applied = apply(session.workspace, stage, options)
    return applied.plan, applied


def _print(judged: Sequence[Judged], form: str) -> None:
    if form == "json":
        return print_json("reconcile", [_document(one) for one in judged])
    for one in judged:
        if one.plan is None:
            _unseen(one, form)
        else:
            (_markdown if form == "md" else _text)(one.plan, one.applied)
    return None


def _document(one: Judged) -> dict[str, Any]:
    if one.plan is not None:
        return _plain(one.plan, one.applied)
    return {
        "stage": one.stage,
        "changes": [],
        "notes": [],
        "faults": [_told(f) for f in one.faults],
    }


def _told(fault: Fault) -> dict[str, str | None]:
    return {"what": fault.what, "hint": fault.hint}


def _unseen(one: Judged, form: str) -> None:
    """A stage that was left as it is, and why."""
    if form == "md":
        from towpath.markdown_text import prose

        terminal.echo_markdown(f"### {prose(one.stage)}\n")
        for fault in one.faults:
            terminal.echo_markdown(f"> {prose(str(fault), _LONGEST_CELL)}\n")
        return
    terminal.echo(Styled(one.stage, "bold"))
    for fault in one.faults:
        terminal.echo("  ", Styled("error", "bold red"), f": {fault.what}")
        if fault.hint:
            terminal.echo("    ", Styled("hint", "cyan"), f": {fault.hint}")


def _text(plan: Plan, applied: Applied | None) -> None:
    where = f"  main {plan.commit[:7]}, store {plan.store}, target {plan.target}"
    terminal.echo(Styled(plan.stage, "bold"), where)
    for note in plan.notes:
        terminal.echo("  ", Styled("note", "yellow"), f": {note}")
    if not plan.changes:
        terminal.echo("  nothing is wanted here, and nothing runs")
    width = max((len(change.model) for change in plan.changes), default=0)
    for change in plan.changes:
        outcome = _outcome(applied, change)
        terminal.echo(f"  {change.model.ljust(width)}  {change}", *_state(outcome))
        for line in _details(outcome):
            terminal.echo(f"  {' ' * width}  {line}")


_LONGEST_CELL = 2000  # characters of a note or an outcome in Markdown
_COLOURS = {"done": "green", "refused": "red", "failed": "red"}


def _state(outcome: Outcome | None) -> tuple[Piece, ...]:
    """How it went."""
    return (" … ", Styled(outcome.state, _COLOURS[outcome.state])) if outcome else ()


def _details(outcome: Outcome | None) -> list[str]:
    """What a person should read of it, line by line."""
    if outcome is None:
        return []
    faults = [
        f"{fault.what}" + (f" ({fault.hint})" if fault.hint else "") for fault in outcome.faults
    ]
    said = faults or ([outcome.words] if outcome.words else [])
    lines = [line for words in said for line in words.splitlines()]
    return [*lines, *([f"to go back: {outcome.revert}"] if outcome.revert else [])]


def _outcome(applied: Applied | None, change: Change) -> Outcome | None:
    found = (one for one in applied.outcomes if one.change is change) if applied else ()
    return next(iter(found), None)


def _markdown(plan: Plan, applied: Applied | None) -> None:
    """A table for a pull request or a job's summary; what others wrote is no markup of it."""
    from towpath.markdown_text import prose

    where = f"store {prose(plan.store)}, target {prose(plan.target)}"
    terminal.echo_markdown(f"### {prose(plan.stage)}\n\nmain `{plan.commit[:7]}`, {where}\n")
    for note in plan.notes:
        terminal.echo_markdown(f"> {prose(note, _LONGEST_CELL)}\n")
    if not plan.changes:
        return terminal.echo_markdown("Nothing is wanted here, and nothing runs.\n")
    terminal.echo_markdown("| model | plan | outcome |\n|---|---|---|")
    for change in plan.changes:
        outcome = _outcome(applied, change)
        told = str(outcome.state) if outcome else ""
        if outcome and (outcome.faults or outcome.words):
            told += ": " + "; ".join([f.what for f in outcome.faults] or [outcome.words])
        if outcome and outcome.revert:
            told += f"; to go back: {outcome.revert}"
        cells = (change.model, str(change), told)
        terminal.echo_markdown(f"| {' | '.join(prose(cell, _LONGEST_CELL) for cell in cells)} |")
    return terminal.echo()


def _plain(plan: Plan, applied: Applied | None) -> dict[str, Any]:
    return {
        "stage": plan.stage,
        "commit": plan.commit,
        "store": plan.store,
        "target": plan.target,
        "notes": list(plan.notes),
        "changes": [_plain_change(change, _outcome(applied, change)) for change in plan.changes],
    }


def _plain_change(change: Change, outcome: Outcome | None) -> dict[str, Any]:
    said = {
        "model": change.model,
        "change": change.kind,
        "version": str(change.version) if change.version else None,
        "over": str(over) if (over := getattr(change, "over", None)) else None,
        "words": str(change),
    }
    if outcome is None:
        fault = getattr(change, "fault", None)
        blocked = {"faults": [_told(fault)]} if fault else {}
        return {**said, **blocked}
    faults = [_told(fault) for fault in outcome.faults]
    told = {"outcome": outcome.state, "said": outcome.words, "faults": faults}
    return {**said, **told, "revert": outcome.revert}
