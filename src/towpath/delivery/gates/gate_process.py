"""Work of a gate in a sandbox: it is ended when it takes too long, and a crash of it is a failed
gate."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from towpath.config.foreign_values import ReadValue, T
from towpath.delivery.gates import verdict_text
from towpath.delivery.gates.gate_answers import (
    FunctionAnswer,
    GateRefusal,
    read_function,
    read_reply,
)
from towpath.delivery.gates.gate_finding import Unjudged
from towpath.errors import Malformed
from towpath.sandbox.foreign_code import Sandbox, SandboxEnded, SandboxTimeout

if TYPE_CHECKING:
    from towpath.config.gate_declarations import Function, Timed
    from towpath.delivery.gates.gate_context import GateContext

_WORK = "towpath.delivery.gates.gate_work"
_FILES = ("model", "samples", "table", "data", "suite", "root")
"""What in a question is a path that the work reads; never what a record says."""


@dataclass(frozen=True)
class GateAnswer(Generic[T]):
    """What a kind's ``work`` answered, and ``caution``: which fences were missing."""

    answer: T
    caution: str


def ask_gate_process(
    gate: Timed, context: GateContext, question: Mapping[str, Any], read: ReadValue[T]
) -> GateAnswer[T]:
    """What the kind's ``work`` answers, as ``read`` takes it: the process may lie.

    :raises Unjudged: where it raised, crashed, took longer than the gate's ``timeout``, or
        answers with what is no answer.
    """
    paths = [question[name] for name in _FILES if question.get(name)]
    paths += question.get("files", {}).values()
    with _gate_folder(gate, context) as folder:
        sandbox = Sandbox(folder, gate.timeout, tuple(map(Path, paths)))
        return _ask_sandbox(gate, question, sandbox, read)


def ask_own_function(
    gate: Function, context: GateContext, question: Mapping[str, Any], copies: Iterable[Path]
) -> FunctionAnswer:
    """What the project's own function answers: with the variables and the network that its gate
    declares; ``copies`` are its own to write to.

    :raises Unjudged: as :func:`ask_gate_process` does, and where a declared variable is not there.
    """
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
    """An empty folder of the gate's own, in the scratch folder of whoever asks."""
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
        limit = verdict_text.verdict_duration(gate.timeout)
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
