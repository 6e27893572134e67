"""A model's file applied to a table's file, outside of any run and in a sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import Fault, Refused, StepFailed, TowpathError
from towpath.scratch import folder_beside
from towpath.steps import batch_transform, formats, loading, tables
from towpath.steps.sandbox import Sandbox, SandboxEnded

_PATIENCE = 7 * 86400.0
_NO_BOUND = 1 << 60


def faults(model: str, data: Path, output: Path) -> Iterator[Fault]:
    """What can be said before anything is read: files that no reader or writer here knows."""
    if not _is_model(model):
        hint = "a .skops file can be scored with; another is for your own code"
        yield Fault(f"{model} is no model that can be read here", hint=hint)
    for path in (data, output):
        if not _is_table(path.name):
            yield Fault(f"{path} is no table", hint=formats.TABLES)
    if not data.is_file():
        yield Fault(f"there is no file {data}")


def read(path: Path, trust: Iterable[str] = ()) -> Any:
    """A model's file, if it holds nothing but known types and those that the project trusts.

    Its bytes must have been held against their digest before.
    """
    if not _is_model(path.name):
        raise StepFailed(Fault(f"{path.name} is no model that can be read here"))
    return formats.read(path, formats.Asked(path.name, trust=tuple(trust)))


@dataclass(frozen=True)
class Scoring:
    """A model's file, the table that it is applied to, and where the rows go.

    ``name`` is what errors call the model.
    ``trust`` names types that the model may hold besides the known ones; those of the project's
    own are found in ``folders``. ``method`` is ``predict`` or ``predict_proba``; with
    ``batch_size`` only so many rows are in memory at a time.
    """

    name: str
    model: Path
    data: Path
    output: Path
    trust: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    method: str = "predict"
    batch_size: int | None = None


def score(asked: Scoring) -> int:
    """Write the table's rows with the prediction beside them; the number of rows.

    ``output`` appears whole or not at all. Raises ``StepFailed`` for columns that the table lacks
    and for whatever the model's code does, ``Refused`` for a model's file that holds what is not
    known to be safe.
    """
    output = asked.output.absolute()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(output) as folder:
            made = Path(folder, f"scored{''.join(output.suffixes[-2:])}")
            rows = _ask(asked, folder, made)
            made.replace(output)
    except OSError as refused:
        raise _unwritten(asked.output, refused) from refused
    return rows


def _ask(asked: Scoring, folder: Path, made: Path) -> int:
    reads = (asked.model, asked.data, *asked.folders)
    sandbox = Sandbox(folder, _PATIENCE, reads=reads, file_size=_NO_BOUND)
    question = {
        "model": str(asked.model.absolute()),
        "data": str(asked.data.absolute()),
        "version": asked.name,
        "name": str(asked.data),
        "made": str(made),
        "output": str(asked.output),
        "trust": list(asked.trust),
        "folders": [str(path.absolute()) for path in asked.folders],
        "method": asked.method,
        "batch_size": asked.batch_size,
    }
    try:
        said = sandbox.ask("towpath.steps.scoring", question).said
    except SandboxEnded as ended:
        raise StepFailed(Fault(f"{asked.name} cannot be applied: {ended}")) from None
    if isinstance(said, dict) and isinstance(said.get("rows"), int):
        return int(said["rows"])
    kind = Refused if said["refused"] else StepFailed
    raise kind(*(Fault(str(what), hint=hint and str(hint)) for what, hint in said["faults"]))


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """In the sandbox: ``{"rows": n}``, or ``{"faults": [[what, hint]], "refused": bool}``."""
    for folder in question["folders"]:
        loading.make_importable(Path(folder), "")
    try:
        return {"rows": _scored(question)}
    except TowpathError as error:
        faults = [[fault.what, fault.hint] for fault in error.faults]
        return {"faults": faults, "refused": isinstance(error, Refused)}
    except Exception as refused:  # a model may raise anything over a table that it does not like
        words = str(refused).strip().partition("\n")[0] or "it says no more"
        rows = f"{question['version']} refused the rows of {question['name']}"
        what = f"{rows}: {type(refused).__name__}: {words}"
        return {"faults": [[what, None]], "refused": False}


def _scored(question: Mapping[str, Any]) -> int:
    loaded = read(Path(question["model"]), question["trust"])
    method = question["method"]
    if not hasattr(loaded, method):
        raise StepFailed(Fault(f"a {type(loaded).__name__} has no `{method}`"))
    name = question["name"]
    source = tables.Source(Path(question["data"]), Path(name).name, formats.known(name))
    parts = source.parts(question["batch_size"])
    scored = (batch_transform.scored(loaded, part, method) for part in parts)
    made = Path(question["made"])
    try:
        return tables.Target(made, formats.known(made.name)).write(scored)
    except OSError as refused:
        raise _unwritten(question["output"], refused) from refused


def _unwritten(output: Path | str, refused: OSError) -> StepFailed:
    return StepFailed(Fault(f"{output} cannot be written: {refused.strerror}"))


def _is_table(name: str) -> bool:
    format = formats.known(name)
    return format is not None and format.is_table


def _is_model(name: str) -> bool:
    format = formats.known(name)
    return format is not None and format.module == "model_files"
