"""Work of a gate in a sandbox: it is ended when it takes too long, and a crash of it is a failed
gate."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.gates import text
from towpath.gates.finding import Unjudged
from towpath.steps.sandbox import Sandbox, SandboxEnded, SandboxTimeout

if TYPE_CHECKING:
    from towpath.gates.context import Context
    from towpath.spec.gates import Function, Timed

_WORK = "towpath.gates.work"
_FILES = ("model", "samples", "table", "data", "suite", "root")
"""What in a question is a path that the work reads; never what a record says."""


def ask(gate: Timed, context: Context, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the kind's ``work`` answers; ``caution`` in it says which fences were missing.

    :raises Unjudged: where it raised, crashed, or took longer than the gate's ``timeout``.
    """
    paths = [asked[name] for name in _FILES if asked.get(name)]
    paths += asked.get("files", {}).values()
    with _folder(gate, context) as folder:
        return _ask(gate, asked, Sandbox(Path(folder), gate.timeout, tuple(map(Path, paths))))


def ask_own(
    gate: Function, context: Context, asked: Mapping[str, Any], copies: Iterable[Path]
) -> dict[str, Any]:
    """What the project's own function answers: with the variables and the network that its gate
    declares; ``copies`` are its own to write to.

    :raises Unjudged: as :func:`ask` does, and where a declared variable is not there.
    """
    if missing := [name for name in gate.environment if name not in os.environ]:
        raise Unjudged(f"{missing[0]} is not in the environment, and `environment` names it")
    reads = (asked["root"], *asked["context"]["data"].values())
    with _folder(gate, context) as folder:
        sandbox = Sandbox(
            Path(folder),
            gate.timeout,
            reads=tuple(map(Path, reads)),
            writes=tuple(copies),
            environment={name: os.environ[name] for name in gate.environment},
            network=gate.network,
        )
        return _ask(gate, asked, sandbox)


def _folder(gate: Timed, context: Context) -> tempfile.TemporaryDirectory[str]:
    scratch = context.scratch.absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=f"{gate.kind}-", dir=scratch)


def _ask(gate: Timed, asked: Mapping[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    try:
        answer = sandbox.ask(_WORK, {"kind": gate.kind, "asked": asked})
    except SandboxTimeout:
        limit = text.duration(gate.timeout)
        raise Unjudged(f"it took longer than its timeout of {limit} and was ended") from None
    except SandboxEnded as ended:
        raise Unjudged(str(ended)) from None
    if why := answer.said.get("why"):
        raise Unjudged(str(why))
    return {**answer.said["answer"], "caution": answer.caution}
