"""`towpath reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session
from towpath.errors import (
    DeployError,
    EngineError,
    ExitCode,
    Fault,
    Refused,
    StoreError,
    UsageError,
    UserError,
)
from towpath.markdown_text import escape_prose

if TYPE_CHECKING:
    from towpath.delivery.reconcile import (
        AppliedPlan,
        ChangeOutcome,
        ReconcileOptions,
        StageChange,
        StagePlan,
    )


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
    from towpath.delivery.reconcile import ReconcileOptions, declared_stages

    if acts and check:
        raise UsageError("--check changes nothing", hint="give --apply or --check")

    def tell_step(stage: str, model: str, step: str) -> None:
        if session.verbose:
            session.say(f"{stage}: {model}: {step}")

    options = ReconcileOptions(
        offline=offline, say=session.say, listener=tell_step, accepts_history=accept_history
    )
    names = stages or declared_stages(session.workspace)
    judged = [_judge_stage(session, name, options, acts, alone=len(names) == 1) for name in names]
    _print_judged(judged, "json" if as_json else form)
    return _exit_code(judged, check)


def _exit_code(judged: Sequence[JudgedStage], check: bool) -> int:
    pending = any(stage.plan and stage.plan.asks_for_action for stage in judged)
    # A stage that could not be seen goes before drift: who reads 4 takes all of it for looked at.
    if check and pending and not any(stage.faults for stage in judged):
        return int(ExitCode.PENDING)
    codes = {stage.code for stage in judged}
    bad = (ExitCode.FAILED, ExitCode.WRONG, ExitCode.REFUSED)  # the worst of several is said
    return int(next((code for code in bad if code in codes), ExitCode.DONE))


class JudgedStage(Struct, frozen=True):
    """One stage, by itself: its plan and what came of it, or why it cannot be seen as a whole."""

    stage: str
    plan: StagePlan | None
    applied: AppliedPlan | None = None
    faults: tuple[Fault, ...] = ()
    code: int = 0


def _judge_stage(
    session: Session, stage: str, options: ReconcileOptions, acts: bool, alone: bool
) -> JudgedStage:
    from towpath.delivery.reconcile import plan_stage, reconcile_stage

    try:
        if not acts:
            return JudgedStage(stage, plan_stage(session.workspace, stage, options))
        applied = reconcile_stage(session.workspace, stage, options)
        _tell_changes(session, applied)
    # A stage that cannot be seen (its store is damaged or held, its Prefect API is silent) keeps
    # no other from being reconciled. What is wrong with the registry concerns all, and is raised.
    except (DeployError, EngineError, Refused, StoreError, UserError) as error:
        if alone:
            raise
        return JudgedStage(stage, None, None, error.faults, int(error.exit_code))
    return JudgedStage(stage, applied.plan, applied, code=int(applied.exit_code))


def _tell_changes(session: Session, applied: AppliedPlan) -> None:
    """Tell the automations of a server that is configured what the stage runs now. A local API has
    deployments of this project alone, whose runs tell it themselves."""
    from towpath.backends.prefect.server.remote_api import find_configured_api

    if applied.changed_models and find_configured_api(session.workspace.root):
        from towpath.backends.prefect.change_events import tell_changed_stage

        tell_changed_stage(applied.plan.stage, applied.changed_models, session.say)


def _print_judged(judged: Sequence[JudgedStage], form: str) -> None:
    if form == "json":
        return print_json("reconcile", [_stage_document(judged_stage) for judged_stage in judged])
    print_plan = _print_plan_markdown if form == "md" else _print_plan_text
    for stage in judged:
        if stage.plan is None:
            _print_unseen(stage, form)
        else:
            print_plan(stage.plan, stage.applied)
    return None


def _stage_document(judged: JudgedStage) -> dict[str, Any]:
    if (plan := judged.plan) is None:
        faults = [_fault_document(fault) for fault in judged.faults]
        return {"stage": judged.stage, "changes": [], "notes": [], "faults": faults}
    fields = {name: getattr(plan, name) for name in ("stage", "commit", "store", "target", "notes")}
    outcomes = [(change, _find_outcome(judged.applied, change)) for change in plan.changes]
    return {**fields, "changes": [_plain_change(*pair) for pair in outcomes]}


def _fault_document(fault: Fault) -> dict[str, str | None]:
    return {"what": fault.what, "hint": fault.hint}


def _print_unseen(judged: JudgedStage, form: str) -> None:
    if form == "md":
        terminal.echo_markdown(f"### {escape_prose(judged.stage)}\n")
        for fault in judged.faults:
            terminal.echo_markdown(f"> {escape_prose(str(fault), _LONGEST_CELL)}\n")
        return
    terminal.echo(Styled(judged.stage, "bold"))
    for fault in judged.faults:
        terminal.echo("  ", Styled("error", "bold red"), f": {fault.what}")
        if fault.hint:
            terminal.echo("    ", Styled("hint", "cyan"), f": {fault.hint}")


def _print_plan_text(plan: StagePlan, applied: AppliedPlan | None) -> None:
    where = f"  main {plan.commit[:7]}, store {plan.store}, target {plan.target}"
    terminal.echo(Styled(plan.stage, "bold"), where)
    for note in plan.notes:
        terminal.echo("  ", Styled("note", "yellow"), f": {note}")
    if not plan.changes:
        terminal.echo("  nothing is wanted here, and nothing runs")
    width = max((len(change.model) for change in plan.changes), default=0)
    for change in plan.changes:
        outcome = _find_outcome(applied, change)
        state = (" … ", Styled(outcome.state, _COLOURS[outcome.state])) if outcome else ()
        terminal.echo(f"  {change.model.ljust(width)}  {change}", *state)
        for line in _outcome_lines(outcome):
            terminal.echo(f"  {' ' * width}  {line}")


_LONGEST_CELL = 2000  # characters of a note or an outcome in Markdown
_COLOURS = {"done": "green", "refused": "red", "failed": "red"}


def _outcome_lines(outcome: ChangeOutcome | None) -> list[str]:
    if outcome is None:
        return []
    remarks = [f"{f.what} ({f.hint})" if f.hint else f.what for f in outcome.faults]
    lines = [line for words in remarks or [outcome.words] for line in words.splitlines()]
    return [*lines, *([f"to go back: {outcome.revert}"] if outcome.revert else [])]


def _find_outcome(applied: AppliedPlan | None, change: StageChange) -> ChangeOutcome | None:
    # By identity: an outcome holds the very change of the plan that it is of.
    outcomes = applied.outcomes if applied else ()
    return next((outcome for outcome in outcomes if outcome.change is change), None)


def _print_plan_markdown(plan: StagePlan, applied: AppliedPlan | None) -> None:
    # It goes into a pull request or a job's summary, where what others wrote is no markup of ours.
    where = f"store {escape_prose(plan.store)}, target {escape_prose(plan.target)}"
    terminal.echo_markdown(f"### {escape_prose(plan.stage)}\n\nmain `{plan.commit[:7]}`, {where}\n")
    for note in plan.notes:
        terminal.echo_markdown(f"> {escape_prose(note, _LONGEST_CELL)}\n")
    if not plan.changes:
        return terminal.echo_markdown("Nothing is wanted here, and nothing runs.\n")
    terminal.echo_markdown("| model | plan | outcome |\n|---|---|---|")
    for change in plan.changes:
        cells = (change.model, str(change), _outcome_cell(_find_outcome(applied, change)))
        shown = " | ".join(escape_prose(cell, _LONGEST_CELL) for cell in cells)
        terminal.echo_markdown(f"| {shown} |")
    return terminal.echo()


def _outcome_cell(outcome: ChangeOutcome | None) -> str:
    if outcome is None:
        return ""
    remarks = "; ".join([fault.what for fault in outcome.faults] or [outcome.words])
    way_back = f"; to go back: {outcome.revert}" if outcome.revert else ""
    return f"{outcome.state}{': ' if remarks else ''}{remarks}{way_back}"


def _plain_change(change: StageChange, outcome: ChangeOutcome | None) -> dict[str, Any]:
    change_fields = {
        "model": change.model,
        "change": change.kind,
        "version": str(change.version) if change.version else None,
        "over": str(over) if (over := getattr(change, "over", None)) else None,
        "words": str(change),
    }
    if outcome is None:
        fault = getattr(change, "fault", None)
        blocked = {"faults": [_fault_document(fault)]} if fault else {}
        return {**change_fields, **blocked}
    faults = [_fault_document(fault) for fault in outcome.faults]
    outcome_fields = {"outcome": outcome.state, "said": outcome.words, "faults": faults}
    return {**change_fields, **outcome_fields, "revert": outcome.revert}
