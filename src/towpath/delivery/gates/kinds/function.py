"""The project's own gate: ``module:function``, taken from the commit whose policy judges."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from towpath.config.gate_declarations import Function
from towpath.delivery.gates import gate_prediction, gate_process, verified_artifact
from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.gate_finding import GateFinding, Unjudged
from towpath.delivery.gates.gate_policy import GatePolicy
from towpath.errors import TowpathError
from towpath.registry import version_record

_KEYS = ("passed", "value", "bound", "detail")


def bound(gate: Function) -> str:
    """``checks.gates:small``; the function may tell its own."""
    return gate.run


def judge(gate: Function, context: GateContext, policy: GatePolicy) -> GateFinding:
    """Whether the function says so."""
    incumbent = context.incumbent
    copy = _copy_version(context, policy) if gate.model else None
    function_context = {
        "stage": context.stage,
        "candidate": version_record.record_document(context.candidate),
        "incumbent": version_record.record_document(incumbent) if incumbent else None,
        "model": str(copy) if copy else None,
        "data": {name: gate_prediction.find_stage_data(context, name) for name in gate.data},
    }
    question = {"root": str(policy.lay_out_tree()), "run": gate.run, "context": function_context}
    answer = gate_process.ask_own_function(gate, context, question, [copy.parent] if copy else [])
    return GateFinding(answer.passed, answer.value, answer.detail, answer.bound)


def _copy_version(context: GateContext, policy: GatePolicy) -> Path:
    """The version's bytes under their own name: a store's file has none, and must not be written
    to."""
    return verified_artifact.copy_verified_bytes(
        context, context.candidate, policy.make_work_folder()
    )


def work(question: dict[str, Any]) -> dict[str, Any]:
    """What the function says, in one shape."""
    from towpath.steps import project_functions

    root, run = Path(question["root"]), question["run"]
    function = project_functions.locate_function(root, "", run)
    if not function.file.is_file():
        raise Unjudged(f"there is no {function.file.relative_to(root)} in the commit that judges")
    os.chdir(root)
    project_functions.make_project_importable(root, "")
    if (root / "src").is_dir():  # else a package installed from a work tree would come from there
        sys.path.insert(0, str(root / "src"))
    try:
        returned = project_functions.load_function(root, "", run)(question["context"])
    except TowpathError:
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
    """The last line of the project's that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    return f" ({Path(own[-1].filename).relative_to(root)}:{own[-1].lineno})" if own else ""
