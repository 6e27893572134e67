"""The last words of a run: what failed and where to look, or what was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.execution.run_record import ExecutionState, RecordedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from towpath.cli.render.terminal import Piece
    from towpath.cli.session import Session
    from towpath.config.artifact import Json, Made
    from towpath.execution.run_record import StepRun


_SHOWN = 5


def say_outcome(session: Session, run: RecordedRun) -> None:
    """Say how a run ended, on stderr; errors are said even when quiet."""
    for line in run.error:
        terminal.echo_marked(Styled("error", "bold red"), line)
    for step in run.steps.values():
        say_undeclared(step.name, step.made)
    for line in _tell_model_needs(session, run):
        terminal.echo_marked(Styled("warning", "yellow"), line)
    for name, source in run.sources.items():
        if stale := isinstance(source, dict) and source.get("stale"):
            what = f"input `{name}` is stale: {stale}"
            terminal.echo_marked(Styled("warning", "yellow"), what)
    session.say(*_summarise_run(run))
    if failed := [
        s.name
        for s in run.steps.values()
        if s.state in (ExecutionState.FAILED, ExecutionState.REFUSED)
    ]:
        session.say(f"  towpath logs {run.id} {failed[0]}")
    for step in run.steps.values():
        if version := step.made.facts.get("version"):
            session.say(*_registered_words(str(version), bool(step.made.facts.get("new"))))
    if any(is_trial_left(step) for step in run.steps.values()):
        session.say(f"a trial: nothing is registered   (towpath register {run.id})")
    for named in run.published:
        session.say(f"published {named}")


def is_trial_left(step: StepRun) -> bool:
    """Whether `towpath register` would register what a trial made."""
    from towpath.execution.register_step import TRIAL

    return step.kind == "register_model" and step.reason == TRIAL


def say_undeclared(step: str, made: Made) -> None:
    """Warn of a step that read files which it does not declare, and tell of others that it left."""
    if files := _shorten_list(made.facts.get("undeclared")):
        what = f"{step} opened {files}, which it does not declare, so it is not reused: "
        warning = Styled("warning", "yellow")
        terminal.echo_marked(warning, what + "name it under `inputs` or `code`")
    if files := _shorten_list(made.facts.get("written")):
        what = f"{step} wrote {files}, which is no output of it: where the step is reused"
        terminal.echo_marked(Styled("note", "cyan"), what + ", that is not written again")


def _shorten_list(files: Json) -> str:
    """The first of some files."""
    names = [str(name) for name in files] if isinstance(files, list) else []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _tell_model_needs(session: Session, run: RecordedRun) -> Iterator[str]:
    """What the models that a run made will need to be loaded, and is not trusted yet."""
    if not any("needs" in step.made.facts for step in run.steps.values()):
        return
    from towpath.steps.model_io.model_needs import read_facts, tell_needs

    needs: dict[str, list[str]] = {}
    nameless: list[str] = []
    for step in run.steps.values():
        held, unnamed = read_facts(step.made.facts)
        needs |= {f"{step.name}.{output}": names for output, names in held.items()}
        nameless += unnamed
    yield from tell_needs(needs, nameless, session.workspace.project.trust)


def _summarise_run(run: RecordedRun) -> tuple[Piece, ...]:
    counts = {state: run.count(state) for state in ExecutionState}
    words = [
        f"{counts[state]} {word}"
        for state, word in (
            (ExecutionState.DONE, "run"), (ExecutionState.REUSED, "reused"),
            (ExecutionState.SKIPPED, "skipped"),
            (ExecutionState.FAILED, "failed"), (ExecutionState.REFUSED, "refused"),
        )
        if counts[state]
    ]  # fmt: skip
    colour = "green" if run.state is ExecutionState.DONE else "red"
    took = terminal.readable_duration(run.seconds) or "0.0s"
    return Styled(str(run.state), f"bold {colour}"), f" in {took}: {', '.join(words)}"


def _registered_words(version: str, new: bool) -> tuple[Piece, ...]:
    shown, how = Styled(version, "bold"), f"   (towpath show {version})"
    return ("registered ", shown, how) if new else (shown, " was registered before", how)
