"""What a stage runs of a model, and ran before: the record in the stage's own store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from towpath.config import foreign_values as foreign
from towpath.config.digests import CommitId, Md5, Sha256
from towpath.config.foreign_values import Fields
from towpath.errors import Fault, Malformed, StoreError
from towpath.registry import Promotion
from towpath.registry.version_number import Version, read_version
from towpath.storage.stage_store import StageStore

FOLDER = "towpath/deployed"
ASIDE = "towpath/set-aside"
SCHEMA = 1


@dataclass(frozen=True)
class Approved:
    """Who let a version in: the level, the people, where they said so, what they saw."""

    level: str
    by: tuple[str, ...] = ()
    where: str | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Deployed:
    """A version in a stage. ``promotion`` is the commit on the main branch that asked for it,
    ``target`` what runs it, ``time`` UTC in ISO 8601. ``version`` is None where it was taken out.
    ``previous`` holds what the record said before, the newest first."""

    model: str
    stage: str
    version: Version | None
    sha256: str | None
    md5: str | None
    promotion: str
    approval: Approved
    time: str
    target: str
    previous: tuple[Deployed, ...] = field(default=(), repr=False)

    def before(self, version: Version | None, sha256: str | None) -> bool:
        """Whether these very bytes ran in this stage once."""
        known = (self, *self.previous)
        return any((one.version, one.sha256) == (version, sha256) for one in known)


@dataclass(frozen=True)
class Stored:
    """A record and the mark that the next writer names; no record where there was none."""

    record: Deployed | None = None
    mark: str | None = None
    content: bytes = b""


def deployed(store: StageStore, model: str) -> Deployed | None:
    """What a stage runs of a model by its own record; None where it runs none."""
    found = stored(store, model).record
    return found if found and found.version else None


def stored(store: StageStore, model: str) -> Stored:
    """The record as it stands, also of a model that was taken out.

    Raises ``Malformed`` for one that no reconcile wrote.
    """
    found = store.read(_path(model))
    return Stored(_load(found[0], store, model), found[1], found[0]) if found else Stored()


def models(store: StageStore) -> tuple[str, ...]:
    """The models of which a stage has a record; a file of another name is no model's."""
    found = (name.removesuffix(".json") for name in store.names(FOLDER) if name.endswith(".json"))
    return tuple(name for name in found if foreign.is_model_name(name))


def find_contradiction(one: Deployed, stage: str, log: Sequence[Promotion]) -> str | None:
    """In what a record, without those before it, does not follow from main's promotions; None
    where it does."""
    what = f"{one.model}@{one.version}" if one.version else f"{one.model} taken out"
    if one.stage != stage:
        return f"it is a record of {one.stage}"
    for promotion in log:
        asked = (promotion.stage, promotion.model, promotion.version)
        if (promotion.commit, *asked) == (one.promotion, stage, one.model, one.version):
            if promotion.sha256 == one.sha256:
                return None
            said = f"it says that {what} was deployed with sha256 {str(one.sha256)[:12]}…"
            return f"{said}, and {str(promotion.sha256)[:12]}… was approved"
    return f"it says that {what} was deployed by {one.promotion[:7]}, which is no such promotion"


def is_sound(record: Deployed, stage: str, log: Sequence[Promotion]) -> bool:
    """Whether a record and all those before it follow from main's promotions."""
    known = (record, *record.previous)
    return all(find_contradiction(one, stage, log) is None for one in known)


def record(store: StageStore, known: Stored, new: Deployed, log: Sequence[Promotion]) -> None:
    """Put a new record in the place of a known one; the same again changes nothing.

    Of what the known one said before, only what follows from main's promotions (``log``) goes on
    to be said; the rest is kept beside it, for whoever looks into it. Raises ``StoreError`` where
    another wrote meanwhile.
    """
    old = known.record
    sound = old is None or is_sound(old, store.name, log)
    if old and sound and _same(old, new):
        return
    if not sound:
        aside = f"{ASIDE}/{new.model}-{hashlib.sha256(known.content).hexdigest()[:12]}.json"
        store.write(aside, known.content, None)
    every = (replace(old, previous=()), *old.previous) if old else ()
    earlier = tuple(one for one in every if find_contradiction(one, store.name, log) is None)
    if earlier and _same(earlier[0], new):
        new, earlier = earlier[0], earlier[1:]
    content = _dump(replace(new, previous=earlier))
    if store.write(_path(new.model), content, known.mark) is None:
        hint = "run again; only reconcile may write there"
        raise StoreError(f"the record of {new.model} in {store.shown} changed meanwhile", hint=hint)


def _same(old: Deployed, new: Deployed) -> bool:
    facts = ("version", "sha256", "promotion", "target")
    return all(getattr(old, name) == getattr(new, name) for name in facts)


def _path(model: str) -> str:
    return f"{FOLDER}/{model}.json"


def _dump(one: Deployed) -> bytes:
    data = {"schema": SCHEMA, **_plain(one), "previous": [_plain(old) for old in one.previous]}
    return json.dumps(data, indent=1, ensure_ascii=False).encode()


def _plain(one: Deployed) -> dict[str, Any]:
    data = asdict(replace(one, previous=()))
    del data["previous"]
    return {**data, "version": str(one.version) if one.version else None}


def _load(content: bytes, store: StageStore, model: str) -> Deployed:
    try:
        return read_deployed(content, model)
    except Malformed as wrong:
        what = f"the record {_path(model)} in {store.shown} is damaged: {wrong.faults[0].what}"
        hint = (
            f"find out who wrote it; move it out of {store.backend.shown}, and: "
            f"towpath reconcile {store.name} --apply"
        )
        raise Malformed(Fault(what, hint=hint)) from wrong


def read_deployed(content: bytes, model: str) -> Deployed:
    """The record of a model in a file's bytes; ``Malformed`` for what is none of it."""
    fields = Fields(foreign.parse_json(content))
    if fields.get("schema", foreign.read_count) != SCHEMA:
        raise Malformed("it has another schema")
    previous = fields.get("previous", foreign.list_of(lambda old: _read(Fields(old), model)))
    return replace(_read(fields, model), previous=previous)


def _read(fields: Fields, model: str) -> Deployed:
    if fields.get("model", foreign.read_model_name) != model:
        raise Malformed("it is the record of another model")
    return Deployed(
        model=model,
        stage=fields.get("stage", foreign.read_model_name),
        version=fields.find("version", read_version),
        sha256=fields.find("sha256", Sha256),
        md5=fields.find("md5", Md5),
        promotion=fields.get("promotion", CommitId),
        approval=fields.get("approval", _read_approved),
        time=fields.get("time", foreign.read_moment),
        target=fields.get("target", foreign.read_text),
    )


def _read_approved(value: object) -> Approved:
    fields = Fields(value)
    return Approved(
        fields.get("level", foreign.read_text),
        fields.get("by", foreign.list_of(foreign.read_text)),
        fields.find("where", foreign.read_text),
        fields.find("evidence", foreign.read_text),
    )
