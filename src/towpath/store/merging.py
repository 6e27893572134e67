"""Our entries in files that are the user's too: which are ours, and where they go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.errors import DeclarationError, Fault, Place, StoreError
from towpath.store.sections import Section, indented, lead, section
from towpath.store.stages import OWNER, Model, Stage

PIPELINE, LOCK = "dvc.yaml", "dvc.lock"

_OWNED = re.compile(rf"^ +meta:\n +{OWNER}: *(?P<pipeline>.+?) *$", re.MULTILINE)


def parsed(text: str, shown: str) -> Any:
    """The data of a text. Raises DeclarationError with every fault."""
    document = documents.parse(text, shown)
    if document.faults:
        raise DeclarationError(*document.faults)
    return documents.plain(document.node)


def owned(text: str, pipeline: str | None) -> frozenset[str]:
    """The stages that stand in `dvc.yaml` for a pipeline, or for any."""
    found = section(text, "stages")
    if found is None:
        stages = stages_of(text, PIPELINE)
        owners = {name: owner_of(said) for name, said in stages.items()}
    else:
        owners = {name: _owner(said) for name, said in found.entries.items()}
    return frozenset(name for name, owner in owners.items() if owner and pipeline in (owner, None))


def stages_of(text: str, shown: str) -> dict[str, dict[str, Any]]:
    """The stages of a file that only a parser can read."""
    data = parsed(text, shown) or {}
    stages = (data.get("stages") or {}) if isinstance(data, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(said, dict) for said in stages.values()):
        raise DeclarationError(Fault("`stages` must be a mapping of mappings", Place(shown)))
    return stages


def owner_of(stage: Mapping[str, Any]) -> Any:
    """The pipeline that a stage of `dvc.yaml` is of; None for a stage of the user's own."""
    meta = stage.get("meta")
    return meta.get(OWNER) if isinstance(meta, dict) else None


def _owner(entry: str) -> str | None:
    said = _OWNED.search(entry)
    return documents.value(said["pipeline"]) if said else None


def refuse_theirs(text: str, owned: frozenset[str], stages: Iterable[Stage]) -> None:
    """What the user wrote must be YAML, and a stage of theirs is never written over."""
    found = section(text, "stages")
    if found is None:
        theirs = stages_of(text, PIPELINE).keys() - owned
    else:
        theirs = found.entries.keys() - owned
        rows = [_blank(said) if name in owned else said for name, said in found.entries.items()]
        document = documents.parse(found.before + "".join(rows) + found.after, PIPELINE)
        if not isinstance(document.node, documents.Mapping):  # what is doubtful is DVC's to judge
            raise DeclarationError(*document.faults)
    faults = [
        Fault(
            f"`{stage.name}` is a stage of your own, and Towpath needs the name",
            _place(text, stage),
            "rename your stage",
        )
        for stage in stages
        if stage.name in theirs
    ]
    if faults:
        raise StoreError(*faults)


def _blank(entry: str) -> str:
    """As many lines as an entry has, so that the places of the others stay."""
    return "\n" * entry.count("\n")


def _place(text: str, stage: Stage) -> Place:
    lines = text.splitlines()
    at = next((i for i, line in enumerate(lines, 1) if line.strip() == f"{stage.name}:"), 0)
    return Place(PIPELINE, at)


def merged(
    path: Path, text: str, key: str, entries: Mapping[str, Any], owned: frozenset[str]
) -> str:
    """The text with our entries in the place of those we owned."""
    found = section(text, key)
    if found is None:
        return documents.edit(path, lambda data: _merge(data, key, entries, owned))
    if not entries and not owned:
        return text
    return str(_replaced(found, entries, owned))


def _replaced(found: Section, entries: Mapping[str, Any], owned: frozenset[str]) -> Section:
    rows: dict[str, str] = {}
    for name, text in found.entries.items():
        if name in entries:
            rows[name] = lead(text) + _block(name, entries[name], found.indent)
        elif name not in owned:
            rows[name] = text
    for name, entry in entries.items():
        rows.setdefault(name, _block(name, entry, found.indent))
    return Section(found.before, rows, found.after, found.indent)


def _block(name: str, entry: Any, indent: str) -> str:
    return indented(documents.dump({name: entry}), indent)


def _merge(
    data: MutableMapping[str, Any], key: str, entries: Mapping[str, Any], owned: frozenset[str]
) -> None:
    """The same through a parser, for files in flow style and other rarities."""
    stages = data.get(key)
    if stages is None:
        stages = data[key] = {}
    if not isinstance(stages, MutableMapping):
        raise DeclarationError(Fault(f"`{key}` must hold a mapping", Place(PIPELINE)))
    for name in owned - entries.keys():
        stages.pop(name, None)
    stages.update(entries)


def with_models(path: Path, text: str, models: Mapping[str, Model | str]) -> str:
    if not models:
        return text
    entries = {name: _model(said).document() for name, said in models.items()}
    found = section(text, "artifacts")
    if found is None:
        raise DeclarationError(
            Fault("`artifacts` must be a mapping in block style", Place(path.name))
        )
    kept = {
        name: _moved(found.entries[name], entry["path"])
        for name, entry in entries.items()
        if name in found.entries
    }
    fresh = {name: entry for name, entry in entries.items() if name not in kept}
    rows = {**found.entries, **kept}
    rows |= {name: _block(name, entry, found.indent) for name, entry in fresh.items()}
    return str(Section(found.before, rows, found.after, found.indent))


def _model(said: Model | str) -> Model:
    return Model(said) if isinstance(said, str) else said


def _moved(entry: str, path: str) -> str:
    """A model's entry with its new path: what people wrote beside it stays."""
    value = documents.dump({"path": path}).strip()
    return re.sub(r"(?m)^( +)path:.*$", lambda found: f"{found[1]}{value}", entry, count=1)
