"""A model in a gate: its bytes held against the record, and what it predicts in a sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.verdict import Unjudged
from towpath.errors import did_you_mean
from towpath.registry import VersionRecord
from towpath.storage.verified_bytes import (
    folder_manifest,
    folder_sha256,
    hash_stream,
    manifest_digest,
)

if TYPE_CHECKING:
    from towpath.delivery.gates.gate_context import GateContext


def candidate_question(context: GateContext) -> dict[str, Any]:
    """What the process needs to load the candidate: its bytes, which are as recorded, the types
    that the policy trusts, and the version's own code."""
    record = context.candidate
    return {
        "model": str(verify_model_bytes(context, record)),
        "name": record.artifact.name,
        **trusted_types(context),
    }


def trusted_types(context: GateContext) -> dict[str, Any]:
    """The types that a model may hold beside the known ones, and where the version's own are."""
    own = context.own_code.to_json()
    return {"trust": list(context.project.trust), "own": own, "root": own["root"]}


def load_candidate(question: dict[str, Any]) -> Any:
    """The candidate, loaded: a skops file, all of whose types are known or trusted."""
    from towpath.steps import formats
    from towpath.steps.model_io import own_classes

    name = question["name"]
    file_format = formats.find_format(name)
    if file_format is None or file_format.name != "skops":
        raise Unjudged(f"{name} is not opened here: only .skops is; a `function` gate may know it")
    return own_classes.load_model(Path(question["model"]), name, question["trust"], question["own"])


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


def verify_model_bytes(context: GateContext, record: VersionRecord) -> Path:
    """Where the bytes are; ``Unjudged`` where they are not those that were recorded."""
    path = context.model(record).absolute()
    if alteration := explain_altered_bytes(path, record):
        raise Unjudged(alteration)
    return path


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
    md5, sha256 = _of_folder(path) if is_folder else _of_file(path)
    # Both: by the MD5 the store finds it, and for that alone another file can be made.
    for name, actual, recorded in (
        ("md5", md5, record.artifact.digest),
        ("sha256", sha256, record.sha256),
    ):
        if actual != recorded:
            return f"its {name} is {actual[:12]}..., recorded is {recorded[:12]}..."
    return ""


def list_model_files(path: Path) -> Iterator[Path]:
    """The file, or the files of a folder, in order."""
    if not path.is_dir():
        yield path
        return
    yield from sorted(file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())


def _of_file(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        return hash_stream(file)


def _of_folder(folder: Path) -> tuple[str, str]:
    md5s, sha256s = {}, {}
    for path in list_model_files(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():  # what it leads to may be changed after it was looked at
            raise Unjudged(f"{name} in it is a link")
        md5s[name], sha256s[name] = _of_file(path)
    return manifest_digest(folder_manifest(md5s)), folder_sha256(sha256s)
