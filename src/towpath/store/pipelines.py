"""`dvc.yaml` and `dvc.lock`: a pipeline's stages and models, said so that stock DVC agrees.

Ours are the stages with `meta: {towpath: <pipeline>}`; everything else in both files is the
user's and stays as it is, comments too. Each file is read once and written once, in time linear
in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from towpath import documents
from towpath.errors import Fault, Place, StoreError
from towpath.spec.artifact import Artifact, Json
from towpath.spec.digests import is_md5
from towpath.store import merging
from towpath.store.copying import saying
from towpath.store.entries import replace_file
from towpath.store.local import Store
from towpath.store.lock import repository_lock
from towpath.store.merging import LOCK, PIPELINE
from towpath.store.sections import section
from towpath.store.stages import OWNER, Model, Stage, declared, locked

__all__ = ["Given", "Model", "Stage", "made", "texts", "write"]

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
                content = documents.bytes_of(text, root / name)
                replace_file(root / name, content, store.layout.dvc / "tmp")
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
    old = _text(root / PIPELINE)
    owned = merging.owned(old, pipeline)
    merging.refuse_theirs(old, owned, stages)
    entries = {stage.name: declared(stage, pipeline) for stage in stages}
    text = merging.merged(root / PIPELINE, old or _HEAD, "stages", entries, owned)
    text = merging.with_models(root / PIPELINE, text, models)
    rows = _locked(root, stages, given)
    lock = _text(root / LOCK) or documents.dump({"schema": "2.0"})
    return {PIPELINE: text, LOCK: merging.merged(root / LOCK, lock, "stages", rows, owned)}


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
        data = merging.parsed(documents.text_of(root / path, path) if text is None else text, path)
        found[path] = {key: _at(data, key, path) for key in names}
    return found


def _at(data: Any, key: str, path: str) -> Json:
    value = data
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise StoreError(Fault(f"`{key}` is not there, but a DVC stage names it", Place(path)))
        value = value[part]
    json: Json = value
    return json


def _text(path: Path) -> str:
    return documents.text_of(path, path.name) if path.exists() else ""


def made(root: Path, ours: bool | None = None) -> list[str]:
    """The digests of what `dvc.lock` says was made: by our stages, by others, or by all."""
    text = _text(root / LOCK)
    found = section(text, "stages")
    if found is None:
        stages = merging.stages_of(text, LOCK)
        named = {name: list(_digests_in(said.get("outs"))) for name, said in stages.items()}
    else:
        entries = {name: entry.partition(" outs:\n")[2] for name, entry in found.entries.items()}
        named = {name: _MADE.findall(said) for name, said in entries.items()}
    owned = merging.owned(_text(root / PIPELINE), None)
    chosen = (said for name, said in named.items() if ours is None or (name in owned) == ours)
    return [digest for said in chosen for digest in said]


def _digests_in(outs: object) -> Iterator[str]:
    """The digests that a parser found under `outs`."""
    for row in outs if isinstance(outs, list) else ():
        if isinstance(row, dict) and is_md5(row.get("md5")):
            yield str(row["md5"])
