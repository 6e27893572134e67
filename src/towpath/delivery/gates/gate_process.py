"""Work of a gate in a sandbox, and what it answers, read as a stranger's word."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields, ReadValue, T
from towpath.delivery.gates import kinds, verdict
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.errors import Malformed, TowpathError
from towpath.sandbox.foreign_code import Sandbox, SandboxEnded, SandboxTimeout

if TYPE_CHECKING:
    from towpath.config.gate_declarations import Function, Timed
    from towpath.delivery.gates.gate_context import GateContext


_WORK = __name__  # the sandbox's child imports it, and calls its `answer`
# What in a question is a path that the work reads; never what a record says, which would open to
# the sandbox whatever file the record names.
_FILES = ("model", "samples", "table", "data", "suite", "root")


@dataclass(frozen=True)
class GateAnswer(Generic[T]):
    """What a kind's ``work`` answered, and ``caution``: which fences were missing."""

    answer: T
    caution: str


def ask_gate_process(
    gate: Timed, context: GateContext, question: Mapping[str, Any], read: ReadValue[T]
) -> GateAnswer[T]:
    """What the kind's ``work`` answers, as ``read`` takes it; ``Unjudged`` where it raised,
    crashed, took longer than the gate's ``timeout``, or answers with what is no answer."""
    paths = [question[name] for name in _FILES if question.get(name)]
    paths += question.get("files", {}).values()
    with _gate_folder(gate, context) as folder:
        sandbox = Sandbox(folder, gate.timeout, tuple(map(Path, paths)))
        return _ask_sandbox(gate, question, sandbox, read)


def ask_own_function(
    gate: Function, context: GateContext, question: Mapping[str, Any], copies: Iterable[Path]
) -> GateFinding:
    """What the project's own function answers: with the variables and the network that its gate
    declares; ``copies`` are its own to write to."""
    if missing := [name for name in gate.environment if name not in os.environ]:
        raise Unjudged(f"{missing[0]} is not in the environment, and `environment` names it")
    reads = (question["root"], *question["context"]["data"].values())
    with _gate_folder(gate, context) as folder:
        sandbox = Sandbox(
            folder,
            gate.timeout,
            reads=tuple(map(Path, reads)),
            writes=tuple(copies),
            environment={name: os.environ[name] for name in gate.environment},
            network=gate.network,
        )
        return _ask_sandbox(gate, question, sandbox, read_function).answer


@contextmanager
def _gate_folder(gate: Timed, context: GateContext) -> Iterator[Path]:
    scratch = context.scratch.absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{gate.kind}-", dir=scratch) as folder:
        yield Path(folder)


def _ask_sandbox(
    gate: Timed, question: Mapping[str, Any], sandbox: Sandbox, read: ReadValue[T]
) -> GateAnswer[T]:
    try:
        answer = sandbox.ask(_WORK, {"kind": gate.kind, "asked": question})
    except SandboxTimeout:
        limit = verdict.verdict_duration(gate.timeout)
        raise Unjudged(f"it took longer than its timeout of {limit} and was ended") from None
    except SandboxEnded as ended:
        raise Unjudged(str(ended)) from None
    try:
        reply = read_reply(answer.said, read)
    except Malformed as wrong:
        words = wrong.faults[0].what
        raise Unjudged(f"its process answers with what is no answer: {words}") from None
    if isinstance(reply, GateRefusal):
        raise Unjudged(reply.why)
    return GateAnswer(reply, answer.missing_fences)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``{"answer": {...}}``, or ``{"why": "..."}``."""
    from towpath.steps.formats.jsons import is_finite_document, plain_json

    try:
        outcome = plain_json(kinds.gate_kind_module(question["kind"]).work(question["asked"]))
    except Unjudged as unjudged:
        return {"why": str(unjudged)}
    except TowpathError as error:
        return {"why": verdict.verdict_fault_words(error)}
    except SystemExit as ended:
        return {"why": f"it called sys.exit({ended.code!r})"}
    except BaseException as error:  # somebody's code: whatever it raises is a reason, and no crash
        return {"why": f"{type(error).__name__}: {error}"}
    if not is_finite_document(outcome):
        return {"why": "a number in its answer is NaN or infinite"}
    return {"answer": outcome}


@dataclass(frozen=True)
class GoldenAnswer:
    """What the model gives for each sample, and what it should."""

    given: tuple[Json, ...]
    expected: tuple[Json, ...]


@dataclass(frozen=True)
class FairnessAnswer:
    """The error of each group, and the groups that are too small to be judged."""

    errors: Mapping[str, float]
    small: tuple[str, ...]


@dataclass(frozen=True)
class SafeAnswer:
    """What is unsafe, by file, and what was looked at."""

    unsafe: Mapping[str, str]
    looked_at: tuple[str, ...]


@dataclass(frozen=True)
class ExpectationsAnswer:
    """How many expectations hold, of how many, over how many rows; those that do not, in words."""

    rows: int
    count: int
    held: int
    failed: tuple[str, ...]
    warned: tuple[str, ...]


@dataclass(frozen=True)
class GateRefusal:
    """Why the process gave no answer, in its own words."""

    why: str


def read_reply(reply: object, read: ReadValue[T]) -> T | GateRefusal:
    """The answer of a gate's process, or why there is none."""
    fields = Fields(reply)
    fields.refuse_others("why", "answer")
    why = fields.find_optional("why", foreign.read_text)
    return fields.get("answer", read) if why is None else GateRefusal(why)


def read_function(value: object) -> GateFinding:
    """What the project's own function said, which is the gate's finding."""
    fields = _read_fields(value, "passed", "value", "bound", "detail")
    return GateFinding(
        passed=fields.get("passed", foreign.read_flag),
        value=fields.find_optional("value", read_finite),
        bound=fields.find_optional("bound", read_finite),
        detail=str(fields.find_optional("detail", read_finite) or ""),
    )


def read_golden(value: object) -> GoldenAnswer:
    fields = _read_fields(value, "given", "expected")
    values = foreign.list_of(read_finite)
    answer = GoldenAnswer(fields.get("given", values), fields.get("expected", values))
    if len(answer.given) != len(answer.expected):
        raise Malformed("`given` and `expected` are not of one length")
    return answer


def read_latency(value: object) -> tuple[float, ...]:
    return _read_fields(value, "seconds").get("seconds", foreign.list_of(_read_seconds))


def read_fairness(value: object) -> FairnessAnswer:
    fields = _read_fields(value, "errors", "small")
    return FairnessAnswer(
        fields.get("errors", foreign.table_of(foreign.read_number)),
        fields.get("small", foreign.list_of(foreign.read_text)),
    )


def read_safe(value: object) -> SafeAnswer:
    fields = _read_fields(value, "unsafe", "looked_at")
    return SafeAnswer(
        fields.get("unsafe", foreign.table_of(foreign.read_text)),
        fields.get("looked_at", foreign.list_of(foreign.read_text)),
    )


def read_expectations(value: object) -> ExpectationsAnswer:
    """Counts, and sentences; all hold or some are named that do not."""
    fields = _read_fields(value, "rows", "count", "held", "failed", "warned")
    answer = ExpectationsAnswer(
        fields.get("rows", foreign.read_count),
        fields.get("count", foreign.read_count),
        fields.get("held", foreign.read_count),
        fields.get("failed", foreign.list_of(foreign.read_text)),
        fields.get("warned", foreign.list_of(foreign.read_text)),
    )
    if answer.held + len(answer.failed) + len(answer.warned) != answer.count:
        raise Malformed("`held`, `failed` and `warned` do not add up to `count`")
    return answer


def read_finite(value: object) -> Json:
    """A value of JSON's types without a NaN or an infinity, which no bound holds."""
    from towpath.steps.formats.jsons import is_finite_document

    json = foreign.read_json(value)
    if not is_finite_document(json):
        raise Malformed("a number in it is NaN or infinite")
    return json


def _read_seconds(value: object) -> float:
    seconds = foreign.read_number(value)
    if seconds < 0:
        raise Malformed(f"{seconds} is no time that something took")
    return float(seconds)


def _read_fields(value: object, *keys: str) -> Fields:
    fields = Fields(value)
    fields.refuse_others(*keys)
    return fields
