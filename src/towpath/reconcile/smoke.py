"""The smoke test: before the switch, the new version predicts beside the one that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.errors import DeployError
from towpath.reconcile.bundle import Bundle

if TYPE_CHECKING:
    from towpath.spec.project import Project

SAFE = ("skops",)
"""Kinds of model files that can be loaded without running what they say."""

PATIENCE = 300.0


@dataclass(frozen=True)
class Tried:
    """What the smoke test came to, in words for the plan's reader."""

    words: str


def test(new: Bundle, old: Bundle | None, project: Project, sample: Path | None) -> Tried:
    """Let both predict the same rows, in a process of their own.

    The rows are the sample's, or made of the columns that the record's signature names. The new
    version fails where it cannot be loaded, raises, or predicts what is no number; rows that the
    old version cannot predict either, made from a signature, prove nothing against the new one.
    Raises ``DeployError`` with what the new version said.
    """
    if new.record.kind not in SAFE:
        return Tried(f"no smoke test: a {new.record.kind} model is not loaded here")
    beside = [old] if old and old.record.kind in SAFE else []
    answer = _asked(_question([new, *beside], project, sample))
    mine, *theirs = answer["models"]
    if "error" in mine:
        failed = theirs and "error" in theirs[0]
        if sample is None and failed and theirs[0]["error"] == mine["error"]:
            return Tried(f"neither version predicts rows made from the signature: {mine['error']}")
        what = f"{new.model}@{new.version} failed its smoke test: {mine['error']}"
        raise DeployError(
            what, hint="what ran before runs on; `sample` in `deploy` names real rows"
        )
    return Tried(_words(answer, old))


def _question(bundles: list[Bundle], project: Project, sample: Path | None) -> dict[str, Any]:
    signature = bundles[0].record.signature
    columns = signature.inputs if signature else None
    return {
        "models": [str(bundle.file) for bundle in bundles],
        "trust": list(project.trust),
        "sample": str(sample) if sample else None,
        "columns": [{"name": c.name, "type": c.type} for c in columns or ()],
        "features": signature.features if signature else None,
    }


def _asked(question: dict[str, Any]) -> Any:
    command = [sys.executable, "-P", "-m", "towpath.steps.smoke"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeployError(f"the smoke test did not end within {PATIENCE:g} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise DeployError(f"the smoke test's process ended with {done.returncode}: {last}")
    return json.loads(done.stdout)


def _words(answer: Any, old: Bundle | None) -> str:
    mine, *theirs = (model.get("predictions", []) for model in answer["models"])
    said = f"{answer['rows']} rows predicted"
    if not theirs or old is None or len(theirs[0]) != len(mine):
        return said
    differing = sum(1 for one, other in zip(mine, theirs[0], strict=True) if one != other)
    return f"{said}, {differing} of {len(mine)} values other than {old.version}'s"
