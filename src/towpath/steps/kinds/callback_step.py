"""Waits for the answer of a person or a system, which whoever has the token may give."""

from __future__ import annotations

import json
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

from towpath.backends.dvc import Store
from towpath.config.artifact import Json, Made
from towpath.config.parameter_declaration import Param
from towpath.errors import StepFailed
from towpath.steps import callback_questions
from towpath.steps.callback_questions import Question
from towpath.steps.work_order import Order, Value

_LOOK = 0.5  # seconds between two looks at whether it was answered
_EARLY = 1.0  # seconds at most before its timeout, at which a step is killed without a word


def execute(order: Order) -> Made:
    """Ask, and wait; the answer is a JSON document.

    Raises:
        StepFailed: where nobody answered within the step's ``timeout``.
    """
    # The run's end asks for this process's: the question is closed then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the run ended"))
    question = _make_question(order)
    callback_questions.ask_question(order.root, question)
    end = None
    if order.step.timeout is not None:
        end = time.monotonic() + order.step.timeout - min(_EARLY, order.step.timeout / 2)
    print(f"waiting for an answer{f' until {question.until}' if question.until else ''}")
    print(question.message)
    print(f"answer it: {question.command}", flush=True)
    why = "ended without an answer"
    try:
        while (answer := callback_questions.find_answer(order.root, question.token)) is None:
            if end is not None and time.monotonic() >= end:
                why = f"waited until {question.until}"
                what = f"nobody answered until {question.until}"
                raise StepFailed(what, causes=("TimeoutError", "Timeout"))
            time.sleep(_LOOK)
    except BaseException:
        answer = callback_questions.close_question(order.root, question.token, why)
        if answer is None:  # else it came in this very moment, and who gave it was told so
            raise
    print("answered: " + json.dumps(answer, ensure_ascii=False))
    return _store_answer(order, answer)


def end_question(order: Order, why: str) -> Made | None:
    """Close the question of a step whose process ended without a word; what the step makes, where
    it was answered before."""
    token = order.arguments.get("token")
    if not isinstance(token, Value):
        return None
    answer = callback_questions.close_question(order.root, str(token.value), why)
    return None if answer is None else _store_answer(order, answer)


def _store_answer(order: Order, answer: dict[str, Json]) -> Made:
    content = json.dumps(answer, indent=2, ensure_ascii=False).encode() + b"\n"
    stored = Store(order.root).put_bytes(content, "answer.json")
    return Made({"answer": stored}, {"answer": answer})


def _make_question(order: Order) -> Question:
    step, message, answers = order.step, order.arguments["message"], order.arguments["answers"]
    assert isinstance(message, Value) and isinstance(answers, Value)
    assert isinstance(answers.value, dict)
    moment = datetime.now(UTC)
    until = ""
    if step.timeout is not None:
        until = (moment + timedelta(seconds=step.timeout)).isoformat(timespec="seconds")
    fields = {name: Param.model_validate(param) for name, param in answers.value.items()}
    token = order.arguments.get("token")
    return Question(
        token=str(token.value) if isinstance(token, Value) else callback_questions.new_token(),
        run=order.run.name, pipeline=order.pipeline,
        step=order.name, message=str(message.value), asked=moment.isoformat(timespec="seconds"),
        until=until.replace("+00:00", "Z"), fields=fields,
    )  # fmt: skip
