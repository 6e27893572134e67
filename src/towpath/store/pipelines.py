"""`dvc.yaml` and `dvc.lock`: a pipeline's stages and models, said so that stock DVC agrees.

Ours are the stages with `meta: {towpath: <pipeline>}`; everything else in both files is the
user's and stays as it is, comments too. Each file is read once and written once, in time linear
in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.errors import DeclarationError, Fault, Place, StoreError
from towpath.spec.artifact import Artifact, Json
from towpath.store.copying import saying
from towpath.store.entries import replace_file
from towpath.store.local import Store
from towpath.store.lock import repository_lock
from towpath.store.sections import Section, indented, lead, section
from towpath.store.stages import OWNER, Model, Stage, declared, locked

__all__ = ["Given", "Model", "Stage", "made", "texts", "write"]

_PIPELINE, _LOCK = "dvc.yaml", "dvc.lock"
_OWNED = re.compile(rf"^ +meta:\n +{OWNER}: *(?P<pipeline>.+?) *$", re.MULTILINE)
_MADE = re.compile(r"""^ +md5: *["']?([0-9a-f]{32}(?:\.dir)?)\b""", re.MULTILINE)
_HEAD = f"# Towpath writes the stages that say `meta: {OWNER}`. Yours stay as they are.\n"


@dataclass(frozen=True)
class Given:
    """What is not in the work tree: artifacts by path, and YAML files' texts by path."""

    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


def write(
    root: Path, pipeline: str, stages: Sequence[Stage], models: Mapping[str, Model | str]
) -> bool:
    """Bring both files up to date under DVC's lock; False where nothing differed.

    Every path of a stage must be in the work tree. Raises StoreError where one is missing, where
    a stage of the user's has our name, or where the files cannot be written.
    """
    store = Store(root)
    with repository_lock(store.layout):
        wanted = texts(root, pipeline, stages, models)
        changed = {name: text for name, text in wanted.items() if text != _text(root / name)}
        for name, text in changed.items():
            with saying(name, root):
                replace_file(root / name, text.encode())
    return bool(changed)


def texts(
    root: Path,
    pipeline: str,
    stages: Sequence[Stage],
    models: Mapping[str, Model | str],
    given: Given | None = None,
) -> dict[str, str]:
    """Both files as they would stand, by name; nothing is written.

    ``given`` takes the place of what the work tree holds, for a commit that is made beside it.
    """
    given = given or Given()
    old = _text(root / _PIPELINE)
    owned = _owned(old, pipeline)
    _refuse_theirs(old, owned, stages)
    entries = {stage.name: declared(stage, pipeline) for stage in stages}
    text = _merged(root / _PIPELINE, old or _HEAD, "stages", entries, owned)
    text = _with_models(root / _PIPELINE, text, models)
    rows = _locked(root, stages, given)
    lock = _text(root / _LOCK) or documents.dump({"schema": "2.0"})
    return {_PIPELINE: text, _LOCK: _merged(root / _LOCK, lock, "stages", rows, owned)}


def _locked(root: Path, stages: Sequence[Stage], given: Given) -> dict[str, dict[str, Any]]:
    paths = dict.fromkeys(path for stage in stages for path in (*stage.deps, *stage.made))
    artifacts = {path: given.artifacts.get(path) for path in paths}
    store = Store(root)
    known = {path: found or store.digest(Path(path)) for path, found in artifacts.items()}
    values = _values(root, stages, given)
    return {stage.name: locked(stage, known, values) for stage in stages}


def _values(root: Path, stages: Sequence[Stage], given: Given) -> dict[str, dict[str, Json]]:
    """Parameters as DVC reads them: what the file says, by dotted key."""
    keys: dict[str, set[str]] = {}
    for stage in stages:
        for path, wanted in stage.params.items():
            keys.setdefault(path, set()).update(wanted)
    found: dict[str, dict[str, Json]] = {}
    for path, names in keys.items():
        text = given.documents.get(path)
        data = _data(documents.text_of(root / path, path) if text is None else text, path)
        found[path] = {key: _at(data, key, path) for key in names}
    return found


def _data(text: str, shown: str) -> Any:
    document = documents.parse(text, shown)
    if document.faults:
        raise DeclarationError(*document.faults)
    return documents.plain(document.node)


def _at(data: Any, key: str, path: str) -> Json:
    value = data
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise StoreError(Fault(f"`{key}` is not there, but a DVC stage names it", Place(path)))
        value = value[part]
    json: Json = value
    return json


def _owned(text: str, pipeline: str | None) -> frozenset[str]:
    """The stages that stand in `dvc.yaml` for a pipeline, or for any."""
    found = section(text, "stages")
    if found is None:
        stages = _stages(text, _PIPELINE)
        owners = {name: (said.get("meta") or {}).get(OWNER) for name, said in stages.items()}
    else:
        owners = {name: _owner(said) for name, said in found.entries.items()}
    return frozenset(name for name, owner in owners.items() if owner and pipeline in (owner, None))


def _stages(text: str, shown: str) -> dict[str, dict[str, Any]]:
    """The stages of a file that only a parser can read."""
    data = _data(text, shown) or {}
    stages = (data.get("stages") or {}) if isinstance(data, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(said, dict) for said in stages.values()):
        raise DeclarationError(Fault("`stages` must be a mapping of mappings", Place(shown)))
    return stages


def _owner(entry: str) -> str | None:
    said = _OWNED.search(entry)
    return documents.value(said["pipeline"]) if said else None


def _refuse_theirs(text: str, owned: frozenset[str], stages: Iterable[Stage]) -> None:
    """What the user wrote must be YAML, and a stage of theirs is never written over."""
    found = section(text, "stages")
    if found is None:
        theirs = _stages(text, _PIPELINE).keys() - owned
    else:
        theirs = found.entries.keys() - owned
        rows = [_blank(said) if name in owned else said for name, said in found.entries.items()]
        document = documents.parse(found.before + "".join(rows) + found.after, _PIPELINE)
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
    return Place(_PIPELINE, at)


def _merged(
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
        raise DeclarationError(Fault(f"`{key}` must hold a mapping", Place(_PIPELINE)))
    for name in owned - entries.keys():
        stages.pop(name, None)
    stages.update(entries)


def _with_models(path: Path, text: str, models: Mapping[str, Model | str]) -> str:
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


def _text(path: Path) -> str:
    return documents.text_of(path, path.name) if path.exists() else ""


def made(root: Path, ours: bool | None = None) -> list[str]:
    """The digests of what `dvc.lock` says was made: by our stages, by others, or by all."""
    text = _text(root / _LOCK)
    found = section(text, "stages")
    if found is None:
        stages = (_data(text, _LOCK) or {}).get("stages") or {}
        entries = {
            name: documents.dump({"outs": said.get("outs")}) for name, said in stages.items()
        }
    else:
        entries = {name: entry.partition(" outs:\n")[2] for name, entry in found.entries.items()}
    owned = _owned(_text(root / _PIPELINE), None)
    chosen = (said for name, said in entries.items() if ours is None or (name in owned) == ours)
    return [digest for said in chosen for digest in _MADE.findall(said)]
