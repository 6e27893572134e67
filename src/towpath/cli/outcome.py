"""The last words of a run: what failed and where to look, or what was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.cli import terminal
from towpath.cli.terminal import Styled
from towpath.engine.record import Run, State, StepRun

if TYPE_CHECKING:
    from towpath.cli.session import Session
    from towpath.cli.terminal import Piece


def say(session: Session, run: Run) -> None:
    """Say how a run ended, on stderr; errors are said even when quiet."""
    for line in run.error:
        terminal.echo_marked(Styled("error", "bold red"), line)
    for step in run.steps.values():
        if undeclared := step.made.facts.get("undeclared"):
            terminal.echo_marked(Styled("warning", "yellow"), _unsure(step, undeclared))
    for name, source in run.sources.items():
        if stale := isinstance(source, dict) and source.get("stale"):
            what = f"input `{name}` is stale: {stale}"
            terminal.echo_marked(Styled("warning", "yellow"), what)
    session.say(*_summary(run))
    if failed := [s.name for s in run.steps.values() if s.state in (State.FAILED, State.REFUSED)]:
        session.say(f"  towpath logs {run.id} {failed[0]}")
    for step in run.steps.values():
        if version := step.made.facts.get("version"):
            session.say(*_registered(str(version), bool(step.made.facts.get("new"))))
    if any(is_trial_left(step) for step in run.steps.values()):
        session.say(f"a trial: nothing is registered   (towpath register {run.id})")
    for named in run.published:
        session.say(f"published {named}")


def is_trial_left(step: StepRun) -> bool:
    """Whether `towpath register` would register what a trial made."""
    from towpath.engine.registering import TRIAL

    return step.kind == "register_model" and step.reason == TRIAL


def _unsure(step: StepRun, undeclared: object) -> str:
    files = ", ".join(map(str, undeclared)) if isinstance(undeclared, list) else str(undeclared)
    return (
        f"{step.name} opened {files}, which it does not declare, so it is not reused: "
        f"name it under `inputs` or `code`"
    )


def _summary(run: Run) -> tuple[Piece, ...]:
    counts = {state: run.count(state) for state in State}
    words = [
        f"{counts[state]} {word}"
        for state, word in (
            (State.DONE, "run"), (State.REUSED, "reused"), (State.SKIPPED, "skipped"),
            (State.FAILED, "failed"), (State.REFUSED, "refused"),
        )
        if counts[state]
    ]  # fmt: skip
    colour = "green" if run.state is State.DONE else "red"
    took = terminal.duration(run.seconds) or "0.0s"
    return Styled(str(run.state), f"bold {colour}"), f" in {took}: {', '.join(words)}"


def _registered(version: str, new: bool) -> tuple[Piece, ...]:
    shown, how = Styled(version, "bold"), f"   (towpath show {version})"
    return ("registered ", shown, how) if new else (shown, " was registered before", how)
