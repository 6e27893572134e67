"""A model's file applied to a table's file, outside of any run and in a sandbox; and a version's
bundled model for a program, which predicts so."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config import foreign_values as foreign
from towpath.config.foreign_values import Fields
from towpath.errors import Fault, Malformed, Refused, StepFailed, TowpathError
from towpath.sandbox.foreign_code import Sandbox, SandboxEnded
from towpath.scratch import folder_beside, scratch_folder
from towpath.steps import formats
from towpath.steps.kinds import batch_transform
from towpath.steps.model_io import model_bundles, own_classes

if TYPE_CHECKING:
    from towpath.registry.version_code import OwnCode

_PATIENCE = 7 * 86400.0
_NO_BOUND = 1 << 60


def scoring_faults(model: str, data: Path, output: Path) -> Iterator[Fault]:
    """What can be said before anything is read: files that no reader or writer here knows."""
    if not _is_model(model):
        hint = "a .skops file and a .bundle of `create_model` can be; another is for your own code"
        yield Fault(f"{model} is no model that can be read here", hint=hint)
    for path in (data, output):
        format = formats.find_format(path.name)
        if not (format is not None and format.is_table):
            yield Fault(f"{path} is no table", hint=formats.TABLES)
    if not data.is_file():
        yield Fault(f"there is no file {data}")


def read_model_file(path: Path, trust: Iterable[str], own: Mapping[str, Any]) -> Any:
    """A model's file, if all in it is known, trusted, or of the version's own code (``own``,
    ``OwnCode.to_json``'s). Its bytes must have been held against their digest before."""
    if not _is_model(path.name):
        raise StepFailed(f"{path.name} is no model that can be read here")
    return model_bundles.load_version(path, path.name, trust, own)


class Scoring(Struct, frozen=True):
    """A model's file, the table that it is applied to, and where the rows go. ``trust`` names types
    that the model may hold besides the known ones, ``own`` is the version's own code, where those
    of its own are found. ``method`` is ``predict`` or ``predict_proba``; with ``batch_size`` only
    so many rows are in memory at a time."""

    model: Path
    data: Path
    output: Path
    own: OwnCode
    trust: tuple[str, ...] = ()
    method: str = "predict"
    batch_size: int | None = None


class Scored(Struct, frozen=True):
    """The number of rows; in words, which packages are others than the version was made with."""

    rows: int
    packages: tuple[str, ...] = ()


def score_table(asked: Scoring) -> Scored:
    """Write the table's rows with the prediction beside them. ``output`` appears whole or not at
    all. Raises ``StepFailed`` for columns that the table lacks and for whatever the model's code
    does, ``Refused`` for a model's file that holds what is not known to be safe."""
    output = asked.output.absolute()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(output) as folder:
            scored_file = Path(folder, f"scored{''.join(output.suffixes[-2:])}")
            scored = _ask_sandbox(asked, folder, scored_file)
            scored_file.replace(output)
    except OSError as refused:
        raise _unwritten_failure(asked.output, refused) from refused
    return scored


def _ask_sandbox(asked: Scoring, folder: Path, made: Path) -> Scored:
    reads = (asked.model, asked.data, *asked.own.readable_paths)
    sandbox = Sandbox(folder, _PATIENCE, reads=reads, file_size=_NO_BOUND)
    question = {
        "model": str(asked.model.absolute()), "data": str(asked.data.absolute()),
        "version": asked.own.version, "name": str(asked.data), "made": str(made),
        "output": str(asked.output), "trust": list(asked.trust), "own": asked.own.to_json(),
        "method": asked.method, "batch_size": asked.batch_size,
    }  # fmt: skip
    try:
        needs = formats.list_preloads(asked.model.name, asked.data.name, made.name)
        sandbox_answer = sandbox.ask(__name__, question, (__name__, *needs)).said
    except SandboxEnded as ended:
        raise StepFailed(f"{asked.own.version} cannot be applied: {ended}") from None
    try:
        return read_scored(sandbox_answer)
    except Malformed as wrong:
        words = wrong.faults[0].what
        what = f"{asked.own.version} cannot be applied: its process answers with what is no answer"
        raise StepFailed(f"{what}: {words}") from None


def read_scored(said: object) -> Scored:
    """What the process answered, in which a model's code may have written it. Raises ``Malformed``
    for what is no answer, and otherwise as :func:`score_table` does."""
    fields = Fields(said)
    fields.refuse_others("rows", "packages", "faults", "refused")
    if (pairs := fields.find_optional("faults", foreign.list_of(_read_fault))) is None:
        packages = fields.find_optional("packages", foreign.list_of(foreign.read_text)) or ()
        return Scored(fields.get("rows", foreign.read_count), packages)
    if not pairs:
        raise Malformed("it failed, and names no fault")
    kind = Refused if fields.get("refused", foreign.read_flag) else StepFailed
    raise kind(*pairs)


def _read_fault(value: object) -> Fault:
    if not isinstance(value, list) or len(value) != 2:
        raise Malformed("a fault is no pair of words")
    what, hint = value
    return Fault(foreign.read_text(what), hint=None if hint is None else foreign.read_text(hint))


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """In the sandbox: ``{"rows": n, "packages": []}``, or ``{"faults": [], "refused": bool}``."""
    try:
        count = _write_scored(question)
        model = Path(question["model"])
        return {
            "rows": count,
            "packages": own_classes.compare_recorded(model, model.name, question["own"]),
        }
    except TowpathError as error:
        faults = [[fault.what, fault.hint] for fault in error.faults]
        return {"faults": faults, "refused": isinstance(error, Refused)}
    except Exception as refused:  # a model may raise anything over a table that it does not like
        words = str(refused).strip().partition("\n")[0] or "it says no more"
        rows = f"{question['version']} refused the rows of {question['name']}"
        return {"faults": [[f"{rows}: {type(refused).__name__}: {words}", None]], "refused": False}


def _write_scored(question: Mapping[str, Any]) -> int:
    loaded = read_model_file(Path(question["model"]), question["trust"], question["own"])
    method = question["method"]
    if not hasattr(loaded, method):
        raise StepFailed(f"a {type(loaded).__name__} has no `{method}`")
    name = question["name"]
    request = formats.ReadRequest(Path(name).name)
    parts = formats.read_file_parts(Path(question["data"]), request, question["batch_size"])
    scored = (batch_transform.add_predictions(loaded, part, method) for part in parts)
    scored_file = Path(question["made"])
    try:
        return formats.write_file_parts(scored, scored_file, formats.find_format(scored_file.name))
    except OSError as refused:
        raise _unwritten_failure(question["output"], refused) from refused


def _unwritten_failure(output: Path | str, refused: OSError) -> StepFailed:
    return StepFailed(f"{output} cannot be written: {refused.strerror}")


def _is_model(name: str) -> bool:
    format = formats.find_format(name)
    return format is not None and format.module == "model_files"


@dataclass(frozen=True)
class SandboxedModel:
    """A model whose code runs in a process with a bare environment, without a network.

    ``feature_names_in_`` are the columns that it takes. Each call is a process of its own.
    """

    feature_names_in_: tuple[str, ...]
    signature: dict[str, Any] = field(repr=False)
    _place: tempfile.TemporaryDirectory[str] = field(repr=False)
    _scoring: Scoring = field(repr=False)

    @classmethod
    def keep(cls, path: Path, name: str, own: OwnCode, trust: tuple[str, ...]) -> SandboxedModel:
        """Keep a copy of a bundle, for as long as the model is used.

        Raises:
            Refused: where it runs or holds what `trust` does not name.
        """
        place = tempfile.TemporaryDirectory(prefix="towpath-model-")
        kept = Path(place.name, name)
        shutil.copytree(path, kept)
        description = model_bundles.refuse_untrusted(kept, name, trust)
        scoring = Scoring(kept, Path(), Path(), own, trust)
        return cls(description.columns, dict(description.signature), place, scoring)

    def predict(self, data: Any) -> Any:
        """A prediction for each row of a table of pandas; raises as `towpath transform` does."""
        return self._ask("predict", data)

    def predict_proba(self, data: Any) -> Any:
        """The share of each class, a row for each row; for a classifier without a step behind."""
        return self._ask("predict_proba", data)

    def _ask(self, method: str, data: Any) -> Any:
        import pandas

        if missing := [name for name in self.feature_names_in_ if name not in data.columns]:
            raise StepFailed(f"the model takes `{missing[0]}`, which the table does not have")
        with scratch_folder() as folder:
            table, scored = folder / "rows.parquet", folder / "scored.parquet"
            rows = data[list(self.feature_names_in_)].reset_index(drop=True)
            rows.to_parquet(table, index=False)
            score_table(replace(self._scoring, data=table, output=scored, method=method))
            predictions = pandas.read_parquet(scored).iloc[:, len(self.feature_names_in_) :]
        is_column = predictions.shape[1] == 1
        return predictions.iloc[:, 0].to_numpy() if is_column else predictions.to_numpy()
