"""What a gate does in its sandbox: the kind's ``work``, and why where it could not be done."""

from __future__ import annotations

from typing import Any

from towpath.delivery.gates import kinds, verdict_text
from towpath.delivery.gates.gate_finding import Unjudged
from towpath.errors import TowpathError


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``{"answer": {...}}``, or ``{"why": "..."}``."""
    from towpath.steps.formats.jsons import is_finite_document, plain_json

    try:
        outcome = plain_json(kinds.gate_kind_module(question["kind"]).work(question["asked"]))
    except Unjudged as unjudged:
        return {"why": str(unjudged)}
    except TowpathError as error:
        return {"why": verdict_text.verdict_fault_words(error)}
    except SystemExit as ended:
        return {"why": f"it called sys.exit({ended.code!r})"}
    except BaseException as error:
        return {"why": f"{type(error).__name__}: {error}"}
    if not is_finite_document(outcome):
        return {"why": "a number in its answer is NaN or infinite"}
    return {"answer": outcome}
