"""What a stage runs of a model, and ran before: the record in the stage's own store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from towpath.errors import StoreError
from towpath.registry.versions import Version
from towpath.store.stage import StageStore

FOLDER = "towpath/deployed"
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


def deployed(store: StageStore, model: str) -> Deployed | None:
    """What a stage runs of a model by its own record; None where it runs none."""
    found = stored(store, model).record
    return found if found and found.version else None


def stored(store: StageStore, model: str) -> Stored:
    """The record as it stands, also of a model that was taken out."""
    found = store.read(_path(model))
    return Stored(_load(found[0], store, model), found[1]) if found else Stored()


def models(store: StageStore) -> tuple[str, ...]:
    """The models of which a stage has a record."""
    names = store.names(FOLDER)
    return tuple(name.removesuffix(".json") for name in names if name.endswith(".json"))


def record(store: StageStore, known: Stored, new: Deployed) -> None:
    """Put a new record in the place of a known one; the same again changes nothing.

    Raises ``StoreError`` where another wrote meanwhile.
    """
    old = known.record
    if old and _same(old, new):
        return
    earlier = (replace(old, previous=()), *old.previous) if old else ()
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
        data = json.loads(content)
        if data.pop("schema") != SCHEMA:
            raise ValueError("it has another schema")
        previous = tuple(_read(old) for old in data.pop("previous"))
        return replace(_read(data), previous=previous)
    except (ValueError, TypeError, KeyError) as fault:
        raise StoreError(
            f"the record {_path(model)} in {store.shown} is damaged: {fault}",
            hint="delete it there, and reconcile writes it anew",
        ) from fault


def _read(data: Mapping[str, Any]) -> Deployed:
    approval = data["approval"]
    return Deployed(
        **{
            **data,
            "version": Version.parse(data["version"]) if data["version"] else None,
            "approval": Approved(**{**approval, "by": tuple(approval["by"])}),
        }
    )
