"""The smoke test: before the switch, the new version predicts beside the one that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields
from towpath.delivery.reconcile.bundle import Bundle
from towpath.errors import DeployError, Malformed
from towpath.sandbox.foreign_code import Sandbox, SandboxEnded, SandboxTimeout
from towpath.scratch import scratch_folder
from towpath.steps import formats

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.registry import VersionRecord
    from towpath.registry.version_code import OwnCode

    _Tried = list[tuple[Bundle, OwnCode]]

SAFE = ("skops", "bundle")
"""Kinds of model files that can be loaded without running what they say."""

PATIENCE = 300.0  # seconds: a model's packages alone may take long to import from a cold disk
_WORK = "towpath.steps.model_io.smoke_predictions"
_MOST_PACKAGES = 3  # told in the plan's line
_LONGEST_ERROR = 2000  # characters of what a model raised; the rest tells nobody more


class _Outcome(Struct, frozen=True):
    predictions: tuple[Json, ...]
    error: str | None


class _Result(Struct, frozen=True):
    """How many rows were tried, what came of each version, and which fences were missing. ``words``
    are those that encoders know of a column; ``packages`` those that are others here than when the
    new version was made."""

    rows: int
    models: tuple[_Outcome, ...]
    caution: str
    words: Mapping[str, list[Any]]
    packages: tuple[str, ...]


def run_smoke_test(
    new: Bundle,
    old: Bundle | None,
    project: Project,
    sample: Path | None,
    own: Callable[[VersionRecord], OwnCode],
) -> str:
    """Let both predict the same rows, in a sandbox, the sample's or made of the columns that the
    record's signature names; what came of it, for the plan's reader. ``own`` finds a version's own
    code. Raises ``DeployError`` where the new one fails, or predicts what is no number."""
    if new.record.kind not in SAFE:
        return f"no smoke test: a {new.record.kind} model is not loaded here"
    beside = [old] if old and old.record.kind in SAFE else []
    tried = [(bundle, own(bundle.record)) for bundle in (new, *beside)]
    result = _predict_all(tried, project, sample)
    mine, *theirs = result.models
    if mine.error is not None:
        # Made-up rows that the version which runs cannot predict either prove nothing.
        if sample is None and theirs and theirs[0].error == mine.error:
            return f"neither version predicts rows made from the signature: {mine.error}"
        what = f"{new.model}@{new.version} failed its smoke test: {mine.error}"
        rows = "; `sample` in `deploy` names real rows" if sample is None else ""
        raise DeployError(what, hint=f"what ran before runs on{rows}")
    return _result_words(result, old)


def _predict_all(tried: _Tried, project: Project, sample: Path | None) -> _Result:
    signature = tried[0][0].record.signature
    columns = signature.inputs if signature else None
    question: dict[str, Any] = {
        "words": {},
        "trust": list(project.trust),
        "sample": str(sample.absolute()) if sample else None,
        "columns": [{"name": c.name, "type": c.type} for c in columns or ()],
        "features": signature.features if signature else None,
    }
    if not any(own.root for _, own in tried):
        return _ask_sandbox(question, tried, sample)
    # A version that brings code gets a sandbox of its own: the same names are another's there.
    first, *others = tried
    result = _ask_sandbox(question, [first], sample)
    question["words"] = result.words  # so that the rows are the first's in any case
    rest = [model for trial in others for model in _ask_sandbox(question, [trial], sample).models]
    return replace(result, models=(*result.models, *rest))


def _ask_sandbox(question: dict[str, Any], tried: _Tried, sample: Path | None) -> _Result:
    models = [{"path": str(b.model_file.absolute()), "own": own.to_json()} for b, own in tried]
    question = {**question, "models": models}
    reads = [sample] if sample else []
    files = [*reads, *(bundle.model_file for bundle, _ in tried)]
    needs = (_WORK, "pandas", *formats.list_preloads(*(file.name for file in files)))
    for bundle, own in tried:
        reads += [bundle.model_file, *own.readable_paths]
    with scratch_folder() as folder:
        sandbox = Sandbox(folder, PATIENCE, reads=tuple(reads))
        try:
            answer = sandbox.ask(_WORK, question, needs)
        except SandboxTimeout:
            raise DeployError(f"the smoke test did not end within {PATIENCE:g} s") from None
        except SandboxEnded as ended:
            raise DeployError(f"the smoke test failed: {ended}") from None
    try:
        answered = read_smoke(answer.said, len(models))
    except Malformed as wrong:
        words = wrong.faults[0].what
        what = f"the smoke test's process answered with what is no answer: {words}"
        raise DeployError(what) from None
    return replace(answered, caution=answer.missing_fences)


def read_smoke(answer: object, models: int) -> _Result:
    """A process's answer, which a model's code may have written: ``Malformed`` for none."""
    fields = Fields(answer)
    fields.refuse_others("rows", "models", "words", "packages")
    outcomes = fields.get("models", foreign.list_of(_read_outcome))
    if len(outcomes) != models:
        raise Malformed(f"it tells of {len(outcomes)} models, and {models} were asked")
    words = fields.get_table("words", foreign.list_of(_read_prediction))
    packages = fields.find_optional("packages", foreign.list_of(foreign.read_text)) or ()
    return _Result(
        fields.get("rows", foreign.read_count),
        outcomes,
        "",
        {name: list(column_words) for name, column_words in words.items()},
        tuple(map(_printable_text, packages)),
    )


def _read_outcome(value: object) -> _Outcome:
    fields = Fields(value)
    fields.refuse_others("predictions", "error")
    error = fields.find_optional("error", foreign.read_text)
    if error is not None:
        return _Outcome((), _printable_text(error))
    return _Outcome(fields.get("predictions", foreign.list_of(_read_prediction)), None)


def _printable_text(words: str) -> str:
    # A model's own code may write these words, and they are shown in a terminal.
    return "".join(c if c.isprintable() else " " for c in words[:_LONGEST_ERROR])


def _read_prediction(value: object) -> Json:
    if isinstance(value, float):  # JSON as Python reads it has NaN and infinities, too
        return foreign.read_number(value)
    return foreign.read_json(value)


def _result_words(result: _Result, old: Bundle | None) -> str:
    mine, *theirs = (model.predictions for model in result.models)
    notes = "; ".join(filter(None, [result.caution, *result.packages[:_MOST_PACKAGES]]))
    caution = f" ({notes})" if notes else ""
    counted = f"{result.rows} rows predicted"
    if not theirs or old is None or len(theirs[0]) != len(mine):
        return f"{counted}{caution}"
    differing = sum(1 for new, before in zip(mine, theirs[0], strict=True) if new != before)
    return f"{counted}, {differing} of {len(mine)} values other than {old.version}'s{caution}"
