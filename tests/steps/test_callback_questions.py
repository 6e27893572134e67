"""How a question ends: once, whoever is first, and both sides know how."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from towpath.config.parameter_declaration import Param
from towpath.errors import StepFailed, UsageError
from towpath.steps import callback_questions as questions

TOKEN = "0" * 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in which a step asks."""
    ask(tmp_path)
    return tmp_path


def ask(root: Path) -> None:
    fields = {"approved": Param(type="boolean")}
    asked = questions.Question(TOKEN, "run", "training", "ask", "well?", "", "", fields)
    questions.ask_question(root, asked)


def test_what_comes_first_counts(root: Path) -> None:
    assert questions.find_answer(root, TOKEN) is None
    assert questions.answer_question(root, TOKEN, {"approved": "true"}) == {"approved": True}
    # The step's time was up in the same moment: it is told that somebody answered.
    assert questions.close_question(root, TOKEN, "waited until noon") == {"approved": True}
    with pytest.raises(UsageError, match="was answered before, at 20"):
        questions.answer_question(root, TOKEN, {"approved": "false"})
    assert not list(questions.list_open_questions(root))
    # The process was killed before it took the answer: the next attempt has it.
    ask(root)
    assert questions.find_answer(root, TOKEN) == {"approved": True}


def test_what_comes_too_late_is_told_so(root: Path) -> None:
    assert questions.close_question(root, TOKEN, "waited until noon") is None
    with pytest.raises(UsageError, match="it is too late: step `ask` waited until noon"):
        questions.answer_question(root, TOKEN, {"approved": "true"})
    assert questions.find_answer(root, TOKEN) is None
    ask(root)  # another attempt
    assert [question.token for question in questions.list_open_questions(root)] == [TOKEN]
    assert questions.answer_question(root, TOKEN, {"approved": "true"}) == {"approved": True}


def test_an_answer_in_the_moment_of_the_end(root: Path) -> None:
    def answer() -> object:
        try:
            return questions.answer_question(root, TOKEN, {"approved": "true"})
        except UsageError as error:
            assert "it is too late" in str(error)
            return None

    with ThreadPoolExecutor(2) as threads:
        for _ in range(50):
            told = threads.submit(answer)
            taken = threads.submit(questions.close_question, root, TOKEN, "waited until noon")
            assert told.result() == taken.result(), "both sides know the same"
            (root / questions.FOLDER / TOKEN / "end.json").unlink()


def test_a_question_that_is_removed_ends_who_waits(root: Path) -> None:
    for file in (root / questions.FOLDER / TOKEN).iterdir():
        file.unlink()
    (root / questions.FOLDER / TOKEN).rmdir()
    with pytest.raises(StepFailed, match="its question was removed"):
        questions.find_answer(root, TOKEN)
    assert questions.close_question(root, TOKEN, "ended") is None
