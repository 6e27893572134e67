"""The questions of runs that go on, and their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath.config.artifact import Json
from towpath.errors import UsageError
from towpath.execution import run_record
from towpath.steps import callback_questions
from towpath.steps.callback_questions import Question

if TYPE_CHECKING:
    from towpath.workspace import Workspace


def list_waiting(workspace: Workspace) -> Iterator[Question]:
    """The questions of runs that go on and wait, the oldest first."""
    for question in callback_questions.list_open_questions(workspace.root):
        if not _ended_words(workspace, question):
            yield question


def answer_step(workspace: Workspace, token: str, given: Mapping[str, str]) -> dict[str, Json]:
    """Answer the step that waits under a token; the values, typed.

    Raises:
        UsageError: for a wrong token, values that do not fit, and a step that waits no more.
    """
    question = callback_questions.read_question(workspace.root, token)
    if words := _ended_words(workspace, question):
        raise UsageError(f"it is too late: run {question.run} {words}")
    return callback_questions.answer_question(workspace.root, token, given)


def _ended_words(workspace: Workspace, question: Question) -> str:
    """How the run of a question ended; empty where it goes on. A step that was killed with its run
    could not close its question."""
    run = run_record.read_run(workspace.runs / question.run)
    if run is None:
        return "is not recorded here"
    return run.state.in_words if run.state.has_ended else ""
