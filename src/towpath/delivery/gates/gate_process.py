"""Work of a gate in a sandbox: the model that it opens, whose bytes are held against the record,
and what it answers, read as a stranger's word."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields, ReadValue, T
from towpath.delivery.gates import kinds, verdict
from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.errors import Malformed, TowpathError, did_you_mean
from towpath.registry import VersionRecord
from towpath.sandbox.foreign_code import Sandbox, SandboxEnded, SandboxTimeout
from towpath.storage import verified_bytes

if TYPE_CHECKING:
    from towpath.config.gate_declarations import Function, Timed


_WORK = __name__  # the sandbox's child imports it, and calls its `answer`
_SUITES = "towpath.backends.great_expectations.validation"
# What in a question is a path that the work reads; never what a record says, which would open to
# the sandbox whatever file the record names.
_FILES = ("model", "samples", "table", "data", "suite", "root")


def ask_gate_process(
    gate: Timed, context: GateContext, question: Mapping[str, Any], read: ReadValue[T]
) -> tuple[T, str]:
    """What the kind's ``work`` answers, as ``read`` takes it, and which fences were missing;
    ``Unjudged`` where it raised, crashed, was too slow, or answers with what is no answer."""
    paths = [question[name] for name in _FILES if question.get(name)]
    paths += question.get("files", {}).values()
    return _ask_sandbox(gate, context, question, read, reads=tuple(map(Path, paths)))


def ask_own_function(
    gate: Function, context: GateContext, question: Mapping[str, Any], copies: Iterable[Path]
) -> GateFinding:
    """What the project's own function answers: with the variables and the network that its gate
    declares; ``copies`` are its own to write to."""
    if missing := [name for name in gate.environment if name not in os.environ]:
        raise Unjudged(f"{missing[0]} is not in the environment, and `environment` names it")
    access = {
        "reads": tuple(map(Path, (question["root"], *question["context"]["data"].values()))),
        "writes": tuple(copies),
        "environment": {name: os.environ[name] for name in gate.environment},
        "network": gate.network,
    }
    return _ask_sandbox(gate, context, question, read_function, **access)[0]


def _ask_sandbox(
    gate: Timed,
    context: GateContext,
    question: Mapping[str, Any],
    read: ReadValue[T],
    **access: Any,
) -> tuple[T, str]:
    scratch = context.scratch.absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f"{gate.kind}-", dir=scratch) as folder:
            sandbox = Sandbox(Path(folder), gate.timeout, **access)
            asked = {"kind": gate.kind, "asked": question}
            answer = sandbox.ask(_WORK, asked, _needed_modules(question))
        reply = read_reply(answer.said, read)
    except SandboxTimeout:
        limit = verdict.verdict_duration(gate.timeout)
        raise Unjudged(f"it took longer than its timeout of {limit} and was ended") from None
    except SandboxEnded as ended:
        raise Unjudged(str(ended)) from None
    except Malformed as wrong:
        words = wrong.faults[0].what
        raise Unjudged(f"its process answers with what is no answer: {words}") from None
    return reply, answer.missing_fences


def _needed_modules(question: Mapping[str, Any]) -> tuple[str, ...]:
    """What the work is known to import, by the names of the files that it opens."""
    from towpath.steps import formats

    names = [question[key] for key in ("name", "file") if key in question]
    names += question.get("files", ())
    suite = (_SUITES,) if "suite" in question else ()
    return (_WORK, *formats.list_preloads(*names), *suite)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``{"answer": {...}}``, or ``{"why": "..."}``."""
    from towpath.steps.formats.jsons import is_finite_document, plain_json

    try:
        outcome = plain_json(kinds.gate_kind_module(question["kind"]).work(question["asked"]))
    except Unjudged as unjudged:
        return {"why": str(unjudged)}
    except TowpathError as error:
        return {"why": verdict.verdict_fault_words(error)}
    except SystemExit as ended:
        return {"why": f"it called sys.exit({ended.code!r})"}
    except BaseException as error:  # somebody's code: whatever it raises is a reason, and no crash
        return {"why": f"{type(error).__name__}: {error}"}
    if not is_finite_document(outcome):
        return {"why": "a number in its answer is NaN or infinite"}
    return {"answer": outcome}


def read_reply(reply: object, read: ReadValue[T]) -> T:
    """The answer of a gate's process; ``Unjudged`` with its own words where it gave none."""
    fields = Fields(reply)
    fields.refuse_others("why", "answer")
    if (why := fields.find_optional("why", foreign.read_text)) is not None:
        raise Unjudged(why)
    return fields.get("answer", read)


def read_function(value: object) -> GateFinding:
    fields = Fields(value)
    fields.refuse_others("passed", "value", "bound", "detail")
    return GateFinding(
        passed=fields.get("passed", foreign.read_flag),
        value=fields.find_optional("value", read_finite),
        bound=fields.find_optional("bound", read_finite),
        detail=str(fields.find_optional("detail", read_finite) or ""),
    )


def read_golden(value: object) -> SimpleNamespace:
    values = foreign.list_of(read_finite)
    answer = _read_fields(value, given=values, expected=values)
    if len(answer.given) != len(answer.expected):
        raise Malformed("`given` and `expected` are not of one length")
    return answer


def read_latency(value: object) -> list[float]:
    return list(_read_fields(value, seconds=foreign.list_of(_read_seconds)).seconds)


def read_fairness(value: object) -> SimpleNamespace:
    return _read_fields(value, errors=foreign.table_of(foreign.read_number), small=_read_texts)


def read_safe(value: object) -> SimpleNamespace:
    return _read_fields(value, unsafe=foreign.table_of(foreign.read_text), looked_at=_read_texts)


def read_expectations(value: object) -> SimpleNamespace:
    """Counts, and sentences; all hold or some are named that do not."""
    counts = dict.fromkeys(("rows", "count", "held"), foreign.read_count)
    answer = _read_fields(value, **counts, failed=_read_texts, warned=_read_texts)
    if answer.held + len(answer.failed) + len(answer.warned) != answer.count:
        raise Malformed("`held`, `failed` and `warned` do not add up to `count`")
    return answer


def read_finite(value: object) -> Json:
    """A value of JSON's types without a NaN or an infinity, which no bound holds."""
    from towpath.steps.formats.jsons import is_finite_document

    json = foreign.read_json(value)
    if not is_finite_document(json):
        raise Malformed("a number in it is NaN or infinite")
    return json


def _read_seconds(value: object) -> float:
    seconds = foreign.read_number(value)
    if seconds < 0:
        raise Malformed(f"{seconds} is no time that something took")
    return float(seconds)


_read_texts = foreign.list_of(foreign.read_text)


def _read_fields(value: object, **readers: Callable[[Any], object]) -> SimpleNamespace:
    fields = Fields(value)
    fields.refuse_others(*readers)
    return SimpleNamespace(**{name: fields.get(name, read) for name, read in readers.items()})


def candidate_question(context: GateContext) -> dict[str, Any]:
    """What the process needs to load the candidate: its bytes, which are as recorded, the types
    that the policy trusts, and the version's own code."""
    path = context.model(context.candidate).absolute()
    if alteration := explain_altered_bytes(path, context.candidate):
        raise Unjudged(alteration)
    return {"model": str(path), "name": context.candidate.artifact.name, **trusted_types(context)}


def trusted_types(context: GateContext) -> dict[str, Any]:
    """The types that a model may hold beside the known ones, and where the version's own are."""
    own = context.own_code.to_json()
    return {"trust": list(context.project.trust), "own": own, "root": own["root"]}


def load_candidate(question: dict[str, Any]) -> Any:
    from towpath.steps import formats
    from towpath.steps.model_io import model_bundles

    name = question["name"]
    file_format = formats.find_format(name)
    if file_format is None or file_format.name not in ("skops", "bundle"):
        what = "only .skops is, and .bundle; a `function` gate may know it"
        raise Unjudged(f"{name} is not opened here: {what}")
    return model_bundles.load_version(
        Path(question["model"]), name, question["trust"], question["own"]
    )


def read_gate_table(path: str, name: str) -> Any:
    from towpath.steps import formats

    file_format = formats.find_format(name)
    if file_format is None or not file_format.is_table:
        raise Unjudged(f"{name} is no table: {formats.TABLES}")
    frame = formats.read_file(Path(path), formats.ReadRequest(name))
    if not len(frame):  # type: ignore[arg-type]
        raise Unjudged(f"{name} has no rows")
    return frame


def read_gate_column(frame: Any, name: str, shown: str) -> Any:
    names = [str(label) for label in frame.columns]
    if name not in names:
        near = did_you_mean(name, names) or f"it has {', '.join(names[:9])}"
        raise Unjudged(f"{shown} has no column `{name}` ({near})")
    return frame[name]


def predict_rows(model: Any, frame: Any) -> list[Any]:
    """What the model gives for each row: values, or lists of them."""
    from towpath.steps.formats.jsons import plain_json
    from towpath.steps.kinds.batch_transform import select_features

    values = plain_json(model.predict(select_features(model, frame)))
    if not isinstance(values, list) or len(values) != len(frame):
        raise Unjudged(f"the model gives no prediction for each of {len(frame)} rows")
    return values


def find_stage_data(context: GateContext, name: str) -> str:
    # On review, where the keys of the stage are not and must not be.
    if not context.stage_available:
        raise Unjudged(f"the data of {context.stage} is out of reach here")
    path = context.data(name).absolute()
    if not path.is_file():
        raise Unjudged(f"{context.stage} has no data {name}")
    return str(path)


def copy_verified_bytes(context: GateContext, record: VersionRecord, folder: Path) -> Path:
    """A copy of the bytes in a folder, under their own name, to do with as one likes; ``Unjudged``
    where they are not those that were recorded."""
    path, target = context.model(record), folder / record.artifact.name
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copyfile(path, target)
    # The copy is held against the record, not its source, which could change in between.
    if alteration := explain_altered_bytes(target, record):
        raise Unjudged(alteration)
    return target


def explain_altered_bytes(path: Path, record: VersionRecord) -> str:
    """How the bytes differ from what was recorded; empty where they do not."""
    is_folder = record.artifact.files is not None
    if path.is_dir() != is_folder:
        return f"the record says {'a folder' if is_folder else 'a file'}, and that is none"
    md5, sha256 = _hash_folder(path) if is_folder else _hash_file(path)
    # Both: by the MD5 the store finds it, and for that alone another file can be made.
    rows = ("md5", md5, record.artifact.digest), ("sha256", sha256, record.sha256)
    for name, actual, recorded in rows:
        if actual != recorded:
            return f"its {name} is {actual[:12]}..., recorded is {recorded[:12]}..."
    return ""


def list_model_files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from sorted(file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())


def _hash_file(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        return verified_bytes.hash_stream(file)


def _hash_folder(folder: Path) -> tuple[str, str]:
    md5s, sha256s = {}, {}
    for path in list_model_files(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():  # what it leads to may be changed after it was looked at
            raise Unjudged(f"{name} in it is a link")
        md5s[name], sha256s[name] = _hash_file(path)
    manifest = verified_bytes.folder_manifest(md5s)
    return verified_bytes.manifest_digest(manifest), verified_bytes.folder_sha256(sha256s)
