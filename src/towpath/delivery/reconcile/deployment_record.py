"""What a stage runs of a model, and ran before: the record in the stage's own store; and what the
deploy gates that let a version in found of it, which is kept with it and in its stage tag."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git.commit_history import parse_trailers
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import CommitId, Fields, Md5, Sha256
from towpath.errors import Fault, Malformed, StoreError
from towpath.plain_data import list_fields
from towpath.registry import Promotion
from towpath.registry.version_reference import VersionNumber, read_version
from towpath.storage.stage_store import StageStore

FOLDER = "towpath/deployed"
ASIDE = "towpath/set-aside"
SCHEMA = 1
MOST_GATES = 40
_LONGEST = 4000  # letters of a line of a tag: whoever may push tags could have written it
_KEY = "Gate"


class DeployedGate(Struct, frozen=True):
    """A gate that passed: ``value`` is what it found, ``bound`` what it asked for."""

    gate: str
    kind: str
    value: Json = None
    bound: Json = None
    detail: str = ""


class RecordedApproval(Struct, frozen=True):
    """Who let a version in: the level, the people, where they said so, what they saw."""

    level: str
    by: tuple[str, ...] = ()
    where: str | None = None
    evidence: str | None = None


class DeploymentRecord(Struct, frozen=True):
    """A version in a stage. ``promotion`` is the commit on the main branch that asked for it,
    ``target`` what runs it, ``time`` UTC in ISO 8601. ``version`` is None where it was taken out.
    ``gates`` are those that were asked before it came in; ``previous`` holds what the record said
    before, the newest first."""

    model: str
    stage: str
    version: VersionNumber | None
    sha256: str | None
    md5: str | None
    promotion: str
    approval: RecordedApproval
    time: str
    target: str
    gates: tuple[DeployedGate, ...] = ()
    previous: tuple[DeploymentRecord, ...] = ()


class StoredRecord(Struct, frozen=True):
    record: DeploymentRecord | None = None
    mark: str | None = None
    content: bytes = b""


def read_stored_record(store: StageStore, model: str) -> StoredRecord:
    """Also of a model that was taken out; ``Malformed`` for what no reconcile wrote."""
    stored_file = store.read(_record_path(model))
    if stored_file is None:
        return StoredRecord()
    content, mark = stored_file
    return StoredRecord(_load_record(content, store, model), mark, content)


def deployed_models(store: StageStore) -> tuple[str, ...]:
    # A file of another name is no record, whoever put it there.
    names = (name.removesuffix(".json") for name in store.names(FOLDER) if name.endswith(".json"))
    return tuple(name for name in names if foreign.is_model_name(name))


def find_contradiction(
    record: DeploymentRecord, stage: str, log: Sequence[Promotion]
) -> str | None:
    """In what a record, without those before it, does not follow from main's promotions."""
    what = f"{record.model}@{record.version}" if record.version else f"{record.model} taken out"
    if record.stage != stage:
        return f"it is a record of {record.stage}"
    for promotion in log:
        promoted = (promotion.stage, promotion.model, promotion.version)
        if (promotion.commit, *promoted) == (record.promotion, stage, record.model, record.version):
            if promotion.sha256 == record.sha256:
                return None
            claim = f"it says that {what} was deployed with sha256 {str(record.sha256)[:12]}…"
            return f"{claim}, and {str(promotion.sha256)[:12]}… was approved"
    return f"it says that {what} was deployed by {record.promotion[:7]}, which is no such promotion"


def is_sound(record: DeploymentRecord, stage: str, log: Sequence[Promotion]) -> bool:
    records = (record, *record.previous)
    return all(find_contradiction(earlier, stage, log) is None for earlier in records)


def record_deployment(
    store: StageStore, stored: StoredRecord, new: DeploymentRecord, log: Sequence[Promotion]
) -> None:
    """Put a new record in the place of a known one; the same again changes nothing. Of what the
    known one said before, only what follows from main's promotions (``log``) goes on to be said.
    Raises ``StoreError`` where another wrote meanwhile."""
    old = stored.record
    sound = old is None or is_sound(old, store.name, log)
    if old and sound and _is_same(old, new):
        return
    if not sound:  # somebody wrote there by hand: a copy is kept for whoever looks into it
        aside = f"{ASIDE}/{new.model}-{hashlib.sha256(stored.content).hexdigest()[:12]}.json"
        store.write(aside, stored.content, None)
    every = (replace(old, previous=()), *old.previous) if old else ()
    earlier = tuple(kept for kept in every if find_contradiction(kept, store.name, log) is None)
    if earlier and _is_same(earlier[0], new):
        new, earlier = earlier[0], earlier[1:]
    facts = {"schema": SCHEMA, **_plain_record(new), "previous": [*map(_plain_record, earlier)]}
    content = json.dumps(facts, indent=1, ensure_ascii=False).encode()
    # On the condition that it is as it was read: a reconcile that has lost its lease without
    # noticing must not put an older version's record over the newer one.
    if store.write(_record_path(new.model), content, stored.mark) is None:
        hint = "run again; only reconcile may write there"
        raise StoreError(f"the record of {new.model} in {store.shown} changed meanwhile", hint=hint)


def _is_same(old: DeploymentRecord, new: DeploymentRecord) -> bool:
    facts = ("version", "sha256", "promotion", "target")
    return all(getattr(old, name) == getattr(new, name) for name in facts)


def _record_path(model: str) -> str:
    return f"{FOLDER}/{model}.json"


def _plain_record(record: DeploymentRecord) -> dict[str, Any]:
    data = list_fields(replace(record, previous=()))
    del data["previous"]
    return {**data, "version": str(record.version) if record.version else None}


def _load_record(content: bytes, store: StageStore, model: str) -> DeploymentRecord:
    try:
        return read_deployed(content, model)
    except Malformed as wrong:
        path = _record_path(model)
        what = f"the record {path} in {store.shown} is damaged: {wrong.faults[0].what}"
        hint = f"find out who wrote it; move it out of {store.backend.shown}, and: "
        hint += f"towpath reconcile {store.name} --apply"
        raise Malformed(Fault(what, hint=hint)) from wrong


def read_deployed(content: bytes, model: str) -> DeploymentRecord:
    fields = Fields(foreign.parse_json(content))
    if fields.get("schema", foreign.read_count) != SCHEMA:
        raise Malformed("it has another schema")
    records = foreign.list_of(lambda old: _record_from_fields(Fields(old), model))
    return replace(_record_from_fields(fields, model), previous=fields.get("previous", records))


def _record_from_fields(fields: Fields, model: str) -> DeploymentRecord:
    if fields.get("model", foreign.read_model_name) != model:
        raise Malformed("it is the record of another model")
    return DeploymentRecord(
        model=model,
        stage=fields.get("stage", foreign.read_model_name),
        version=fields.find_optional("version", read_version),
        sha256=fields.find_optional("sha256", Sha256),
        md5=fields.find_optional("md5", Md5),
        promotion=fields.get("promotion", CommitId),
        approval=fields.get("approval", _read_approved),
        time=fields.get("time", foreign.read_moment),
        target=fields.get("target", foreign.read_text),
        gates=fields.find_optional("gates", foreign.list_of(read_deployed_gate)) or (),
    )


def _read_approved(value: object) -> RecordedApproval:
    fields = Fields(value)
    return RecordedApproval(
        fields.get("level", foreign.read_text),
        fields.get("by", foreign.list_of(foreign.read_text)),
        fields.find_optional("where", foreign.read_text),
        fields.find_optional("evidence", foreign.read_text),
    )


def write_gate_trailers(gates: Sequence[DeployedGate]) -> list[str]:
    """A line each for the message of a stage tag."""
    return [f"{_KEY}: {json.dumps(list_fields(gate))}" for gate in gates[:MOST_GATES]]


def parse_gate_trailers(message: str) -> tuple[DeployedGate, ...]:
    """What a stage tag's message says of gates; a line that no reconcile wrote is passed over, and
    those of tags before Towpath kept this have none."""
    if f"\n{_KEY}: " not in message:
        return ()
    return tuple(_read_lines(parse_trailers(message).get(_KEY.lower(), ())[:MOST_GATES]))


def _read_lines(lines: Sequence[str]) -> Iterator[DeployedGate]:
    for line in lines:
        try:
            if len(line) <= _LONGEST:
                yield read_deployed_gate(foreign.parse_json(line.encode()))
        except Malformed:
            continue


def read_deployed_gate(value: object) -> DeployedGate:
    """A gate as a tag or a record says it; raises ``Malformed``."""
    fields = Fields(value)
    return DeployedGate(
        fields.get("gate", foreign.read_text),
        fields.get("kind", foreign.read_text),
        fields.find_optional("value", _read_finding),
        fields.find_optional("bound", _read_finding),
        fields.find_optional("detail", foreign.read_text) or "",
    )


def _read_finding(value: object) -> Json:
    if isinstance(value, bool):
        return value
    return foreign.read_text(value) if isinstance(value, str) else foreign.read_number(value)
