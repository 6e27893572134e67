"""Questions that steps ask a person or a system, and their answers: files of a project.

A question is a folder ``.towpath/questions/<token>``. How it ended, by an answer or without one, is
a file that is made once: of an answer and a timeout in one moment one counts, and both know which.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from towpath import documents
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields
from towpath.config.parameter_declaration import Param
from towpath.errors import (
    DeclarationError,
    Fault,
    Malformed,
    StepFailed,
    UsageError,
    did_you_mean,
)
from towpath.scratch import replace_text, scratch_beside

FOLDER = ".towpath/questions"
_QUESTION, _END = "question.json", "end.json"
_TOKEN = re.compile(r"[0-9a-f]{20}")


class Question(Struct, frozen=True):
    """What a step asks: ``fields`` are the declared types of an answer, by name. Times are UTC, ISO
    8601; ``until`` is empty where it waits for good."""

    token: str
    run: str
    pipeline: str
    step: str
    message: str
    asked: str
    until: str
    fields: Mapping[str, Param]

    @property
    def command(self) -> str:
        """What answers it."""
        return answer_command(self.token, self.fields)


def answer_command(token: str, fields: Mapping[str, Param]) -> str:
    """What a person types to answer a question."""
    # What may be left out and has no value is left out: `null` would be taken for its text.
    words = (
        f"{name}={_sample_value(param)}"
        for name, param in fields.items()
        if param.required or param.default is not None
    )
    return " ".join(("towpath answer", token, *words))


def _sample_value(param: Param) -> str:
    if not param.required:
        return str(json.dumps(param.default))
    return "true" if param.accepted_type == "boolean" else "..."


def ask_question(root: Path, question: Question) -> None:
    """Write a question down, so that it can be answered from now on. An answer to an attempt
    before, which did not live to take it, is one to this."""
    folder = root / FOLDER / question.token
    folder.mkdir(parents=True, exist_ok=True)
    if _answer_in(_read_end(folder)) is None:
        (folder / _END).unlink(missing_ok=True)
    fields = {
        name: param.model_dump(mode="json", exclude_unset=True)
        for name, param in question.fields.items()
    }
    document = {**structs.asdict(question), "fields": fields}
    replace_text(folder / _QUESTION, json.dumps(document, ensure_ascii=False))


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_hex(10)


def read_question(root: Path, token: str) -> Question:
    """The question of a token. UsageError where there is none."""
    if not _TOKEN.fullmatch(token) or not (root / FOLDER / token / _QUESTION).is_file():
        raise UsageError(f"no question has the token `{token}`", hint="`towpath answer` lists them")
    try:
        fields = Fields(foreign.parse_json((root / FOLDER / token / _QUESTION).read_bytes()))
        names = ("token", "run", "pipeline", "step", "message", "asked", "until")
        texts = {name: fields.get(name, foreign.read_text) for name in names}
        declared = fields.get("fields", foreign.table_of(foreign.read_json))
        params = {name: Param.model_validate(value) for name, value in declared.items()}
    except (Malformed, ValueError) as error:
        raise UsageError(f"the question {token} cannot be read: {error}") from None
    return Question(**texts, fields=params)


def list_open_questions(root: Path) -> Iterator[Question]:
    """The questions that wait for an answer, the oldest first."""
    folders = (root / FOLDER).glob("*") if (root / FOLDER).is_dir() else ()
    questions = []
    for folder in folders:
        if not (folder / _END).exists():
            with suppress(UsageError):
                questions.append(read_question(root, folder.name))
    yield from sorted(questions, key=lambda question: question.asked)


def answer_question(root: Path, token: str, given: Mapping[str, str]) -> dict[str, Json]:
    """Answer a question, once and for all.

    Raises:
        UsageError: naming all that does not fit the declared types, where it may be answered again;
            or that it was answered before, or waits no more.
    """
    question = read_question(root, token)
    folder = root / FOLDER / token
    _refuse_ended(folder, question)
    values = validate_answer(question, given)
    if not _end_once(folder, {"answer": values}):
        _refuse_ended(folder, question)
    return values


def _end_once(folder: Path, how: Mapping[str, Json]) -> bool:
    """Write down how a question ended; False where it had ended before."""
    scratch = scratch_beside(folder / _END)
    scratch.write_text(json.dumps(how, ensure_ascii=False), encoding="utf-8")
    try:
        os.link(scratch, folder / _END)  # of two at once it is made by one
    except FileExistsError:
        return False
    finally:
        scratch.unlink()
    return True


def _read_end(folder: Path) -> Mapping[str, Json]:
    try:
        content = (folder / _END).read_bytes()
    except FileNotFoundError:
        return {}
    return foreign.table_of(foreign.read_json)(foreign.parse_json(content))


def _answer_in(end: Mapping[str, Json]) -> dict[str, Json] | None:
    answer = end.get("answer")
    return dict(answer) if isinstance(answer, dict) else None


def _refuse_ended(folder: Path, question: Question) -> None:
    try:
        end = _read_end(folder)
    except Malformed:
        end = {"closed": "waits no more"}
    if _answer_in(end) is not None:
        moment = datetime.fromtimestamp((folder / _END).stat().st_mtime, UTC)
        what = f"step `{question.step}` was answered before, at {moment:%Y-%m-%dT%H:%M:%SZ}"
        raise UsageError(what, hint="run it again to have it asked anew")
    if end:
        raise UsageError(f"it is too late: step `{question.step}` {end.get('closed')}")


def validate_answer(question: Question, given: Mapping[str, str]) -> dict[str, Json]:
    """The values of an answer, typed. UsageError with all that does not fit, and what would."""
    faults = [
        Fault(
            f"step `{question.step}` asks for no `{name}`", hint=did_you_mean(name, question.fields)
        )
        for name in given
        if name not in question.fields
    ]
    values: dict[str, Json] = {}
    for name, param in question.fields.items():
        try:
            values[name] = _read_value(name, param, given)
        except UsageError as error:
            faults += error.faults
    if faults:
        raise UsageError(*faults, Fault("it still waits", hint=f"`{question.command}`"))
    return values


def _read_value(name: str, param: Param, given: Mapping[str, str]) -> Any:
    if name not in given:
        if param.required:
            raise UsageError(f"`{name}` is missing", hint=param.description)
        return param.default
    value: Any = given[name]
    if param.accepted_type != "string":
        try:
            value = documents.parse_value(value)
        except DeclarationError as error:
            raise UsageError(f"`{name}`: {error.faults[0].what}") from None
    if problem := param.find_problem(value):
        raise UsageError(f"`{name}` {problem}", hint=param.description)
    return value


def find_answer(root: Path, token: str) -> dict[str, Json] | None:
    """The answer to a question; None where there is none yet. Raises StepFailed where the question
    itself is gone, so that nobody can answer."""
    folder = root / FOLDER / token
    answer = _answer_in(_read_end(folder))
    if answer is None and not (folder / _QUESTION).is_file():
        raise StepFailed("its question was removed while it waited: nobody can answer it")
    return answer


def close_question(root: Path, token: str, why: str) -> dict[str, Json] | None:
    """Take no answer any more; the one that came first, if one did."""
    folder = root / FOLDER / token
    with suppress(FileNotFoundError):  # it is gone, and with it who might answer
        _end_once(folder, {"closed": why})
    return _answer_in(_read_end(folder))
