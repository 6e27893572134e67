"""`towpath reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from towpath.cli import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json
from towpath.cli.terminal import Styled

if TYPE_CHECKING:
    from towpath.cli.terminal import Piece
    from towpath.reconcile import Applied, Change, Options, Outcome, Plan


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
    from towpath.errors import ExitCode, UsageError
    from towpath.reconcile import Options

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")
    options = Options(
        offline=offline,
        say=session.say,
        listener=_teller(session),
        accepts_history=accept_history,
    )
    names = stages or tuple(session.workspace.policy.stages)
    done = [_reconciled(session, name, options, acts) for name in names]
    _print(done, "json" if as_json else form)
    codes = {_code(one) for one in done}
    if check and any(plan.asks_for_action for plan, _ in done):
        return int(ExitCode.PENDING)
    return int(next((c for c in (ExitCode.FAILED, ExitCode.REFUSED) if c in codes), ExitCode.DONE))


def _teller(session: Session) -> Any:
    def tell(stage: str, model: str, step: str) -> None:
        if session.verbose:
            session.say(f"{stage}: {model}: {step}")

    return tell


def _reconciled(
    session: Session, stage: str, options: Options, acts: bool
) -> tuple[Plan, Applied | None]:
    from towpath.reconcile import apply, plan

    if not acts:
        return plan(session.workspace, stage, options), None
    applied = apply(session.workspace, stage, options)
    return applied.plan, applied


def _code(one: tuple[Plan, Applied | None]) -> int:
    return int(one[1].exit_code) if one[1] else 0


def _print(done: Sequence[tuple[Plan, Applied | None]], form: str) -> None:
    if form == "json":
        return print_json("reconcile", [_plain(plan, applied) for plan, applied in done])
    for plan, applied in done:
        (_markdown if form == "md" else _text)(plan, applied)
    return None


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
        return said
    faults = [{"what": fault.what, "hint": fault.hint} for fault in outcome.faults]
    told = {"outcome": outcome.state, "said": outcome.words, "faults": faults}
    return {**said, **told, "revert": outcome.revert}
