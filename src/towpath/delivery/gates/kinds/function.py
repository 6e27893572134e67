"""The project's own gate: ``module:function``, taken from the commit whose policy judges."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from towpath.config.gate_declarations import Function
from towpath.delivery.gates import gate_process
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.errors import TowpathError
from towpath.registry import version_record

_KEYS = ("passed", "value", "bound", "detail")


def bound(gate: Function) -> str:
    """``checks.gates:small``; the function may tell its own."""
    return gate.run


def judge(gate: Function, context: GateContext, policy: GatePolicy) -> GateFinding:
    incumbent, copy = context.incumbent, None
    if gate.model:
        # A copy under its own name: a store's file has none, and must not be written to.
        folder = policy.make_work_folder()
        copy = gate_process.copy_verified_bytes(context, context.candidate, folder)
    function_context = {
        "stage": context.stage,
        "candidate": version_record.record_document(context.candidate),
        "incumbent": version_record.record_document(incumbent) if incumbent else None,
        "model": str(copy) if copy else None,
        "data": {name: gate_process.find_stage_data(context, name) for name in gate.data},
    }
    question = {"root": str(policy.tree), "run": gate.run, "context": function_context}
    return gate_process.ask_own_function(gate, context, question, [copy.parent] if copy else [])


def work(question: dict[str, Any]) -> dict[str, Any]:
    from towpath.steps import project_functions

    root, run = Path(question["root"]), question["run"]
    # In the tree of the commit that judges: the candidate's commit must not bring its own judge.
    function = project_functions.locate_function(root, "", run)
    if not function.file.is_file():
        raise Unjudged(f"there is no {function.file.relative_to(root)} in the commit that judges")
    os.chdir(root)
    project_functions.make_project_importable(root, "")
    if (root / "src").is_dir():  # else a package installed from a work tree would come from there
        sys.path.insert(0, str(root / "src"))
    try:
        returned = project_functions.load_function(root, "", run)(question["context"])
    except TowpathError:  # the function is not there, say: its words need no line of code
        raise
    except Exception as error:
        raise Unjudged(f"{type(error).__name__}: {error}{_last_own_line(error, root)}") from error
    return _shape_answer(returned, run)


def _shape_answer(returned: Any, run: str) -> dict[str, Any]:
    from towpath.steps.formats.jsons import plain_json

    answer = plain_json(returned)
    if isinstance(answer, bool):
        answer = {"passed": answer}
    if not isinstance(answer, dict) or not isinstance(answer.get("passed"), bool):
        kind = type(returned).__name__
        raise Unjudged(f"{run} returned a {kind}, not true, false or a mapping with `passed`")
    if strange := sorted(answer.keys() - set(_KEYS)):
        raise Unjudged(f"{run} returned `{strange[0]}`; known are {', '.join(_KEYS)}")
    return {key: answer.get(key) for key in _KEYS}


def _last_own_line(error: Exception, root: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    return f" ({Path(own[-1].filename).relative_to(root)}:{own[-1].lineno})" if own else ""
