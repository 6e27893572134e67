"""The smoke test: before the switch, the new version predicts beside the one that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.errors import DeployError, Malformed
from towpath.reconcile.bundle import Bundle
from towpath.scratch import scratch_folder
from towpath.spec import foreign_values as foreign
from towpath.spec.artifact import Json
from towpath.spec.foreign_values import Fields
from towpath.steps.sandbox import Sandbox, SandboxEnded, SandboxTimeout

if TYPE_CHECKING:
    from towpath.spec.project import Project

SAFE = ("skops",)
"""Kinds of model files that can be loaded without running what they say."""

PATIENCE = 300.0
_LONGEST_ERROR = 2000
"""Characters of what a model raised; the rest tells nobody more."""


@dataclass(frozen=True)
class Tried:
    """What the smoke test came to, in words for the plan's reader."""

    words: str


@dataclass(frozen=True)
class _Outcome:
    """What one version predicts, or why it does not."""

    predictions: tuple[Json, ...]
    error: str | None


@dataclass(frozen=True)
class _Result:
    """How many rows were tried, what came of each version, and which fences were missing."""

    rows: int
    models: tuple[_Outcome, ...]
    caution: str


def test(new: Bundle, old: Bundle | None, project: Project, sample: Path | None) -> Tried:
    """Let both predict the same rows, in a sandbox.

    The rows are the sample's, or made of the columns that the record's signature names. The new
    version fails where it cannot be loaded, raises, or predicts what is no number; rows that the
    old version cannot predict either, made from a signature, prove nothing against the new one.
    Raises ``DeployError`` with what the new version said.
    """
    if new.record.kind not in SAFE:
        return Tried(f"no smoke test: a {new.record.kind} model is not loaded here")
    beside = [old] if old and old.record.kind in SAFE else []
    reads = [bundle.file for bundle in (new, *beside)] + ([sample] if sample else [])
    result = _asked(_question([new, *beside], project, sample), reads)
    mine, *theirs = result.models
    if mine.error is not None:
        if sample is None and theirs and theirs[0].error == mine.error:
            return Tried(f"neither version predicts rows made from the signature: {mine.error}")
        what = f"{new.model}@{new.version} failed its smoke test: {mine.error}"
        raise DeployError(
            what, hint="what ran before runs on; `sample` in `deploy` names real rows"
        )
    return Tried(_words(result, old))


def _question(bundles: list[Bundle], project: Project, sample: Path | None) -> dict[str, Any]:
    signature = bundles[0].record.signature
    columns = signature.inputs if signature else None
    return {
        "models": [str(bundle.file.absolute()) for bundle in bundles],
        "trust": list(project.trust),
        "sample": str(sample.absolute()) if sample else None,
        "columns": [{"name": c.name, "type": c.type} for c in columns or ()],
        "features": signature.features if signature else None,
    }


def _asked(question: dict[str, Any], folders: list[Path]) -> _Result:
    with scratch_folder() as folder:
        sandbox = Sandbox(folder, PATIENCE, reads=tuple(folders))
        try:
            answer = sandbox.ask("towpath.steps.smoke", question)
        except SandboxTimeout:
            raise DeployError(f"the smoke test did not end within {PATIENCE:g} s") from None
        except SandboxEnded as ended:
            raise DeployError(f"the smoke test failed: {ended}") from None
    try:
        rows, models = read_smoke(answer.said, len(question["models"]))
    except Malformed as wrong:
        words = wrong.faults[0].what
        what = f"the smoke test's process answered with what is no answer: {words}"
        raise DeployError(what) from None
    return _Result(rows, models, answer.caution)


def read_smoke(said: object, models: int) -> tuple[int, tuple[_Outcome, ...]]:
    """The rows and what came of so many models, by a process in which a model's code may have
    written the answer. Raises ``Malformed`` for what is none."""
    fields = Fields(said)
    fields.refuse_others("rows", "models")
    outcomes = fields.get("models", foreign.list_of(_read_outcome))
    if len(outcomes) != models:
        raise Malformed(f"it tells of {len(outcomes)} models, and {models} were asked")
    return fields.get("rows", foreign.read_count), outcomes


def _read_outcome(value: object) -> _Outcome:
    fields = Fields(value)
    fields.refuse_others("predictions", "error")
    error = fields.find("error", foreign.read_text)
    if error is not None:
        shown = "".join(c if c.isprintable() else " " for c in error[:_LONGEST_ERROR])
        return _Outcome((), shown)
    return _Outcome(fields.get("predictions", foreign.list_of(_read_prediction)), None)


def _read_prediction(value: object) -> Json:
    """A value of JSON's types; a number is a finite one."""
    if isinstance(value, float):
        return foreign.read_number(value)
    return foreign.read_json(value)


def _words(result: _Result, old: Bundle | None) -> str:
    mine, *theirs = (model.predictions for model in result.models)
    caution = f" ({result.caution})" if result.caution else ""
    counted = f"{result.rows} rows predicted"
    if not theirs or old is None or len(theirs[0]) != len(mine):
        return f"{counted}{caution}"
    differing = sum(1 for new, before in zip(mine, theirs[0], strict=True) if new != before)
    return f"{counted}, {differing} of {len(mine)} values other than {old.version}'s{caution}"
