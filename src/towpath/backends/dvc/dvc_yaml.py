"""`dvc.yaml` and `dvc.lock`: a pipeline's stages and models, said so that stock DVC agrees.

Ours are the stages with `meta: {towpath: <pipeline>}`; everything else in both files is the
user's and stays as it is, comments too. Each file is read once and written once.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath import documents
from towpath.backends.dvc.dvc_cache import Store
from towpath.backends.dvc.dvc_config import load_config
from towpath.backends.dvc.dvc_plots import merge_plots
from towpath.config.artifact import Artifact, Json
from towpath.config.foreign_values import is_md5
from towpath.errors import DeclarationError, Fault, Place, StoreError
from towpath.scratch import replace_bytes, take_lock
from towpath.storage.copy_files import explain_write_errors
from towpath.storage.objects import StoreLayout

PIPELINE, LOCK = "dvc.yaml", "dvc.lock"
OWNER = "towpath"  # the key under a stage's `meta` that says whose it is, with the pipeline's name

_FORBIDDEN = frozenset(string.punctuation) - {"_", "-"}
_HEAD = f"# Towpath writes the stages that say `meta: {OWNER}`. Yours stay as they are.\n"


class StageEntry(Struct, frozen=True):
    """A stage of `dvc.yaml`. Paths are from the project's root, with `/` between the parts.
    ``params`` names keys of YAML files (`steps.train`); ``plots`` maps a path to True or to DVC's
    properties of a plot. No path may stand in more than one of outs, metrics and plots.
    ``top_plots`` are those that DVC takes at the top of the file alone, by name."""

    name: str
    cmd: str
    desc: str | None = None
    deps: tuple[str, ...] = ()
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: Mapping[str, bool | Mapping[str, Any]] = field(default_factory=dict)
    top_plots: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if wrong := sorted(_FORBIDDEN & set(self.name)):
            raise StoreError(f"`{self.name}` cannot name a DVC stage: it holds {' '.join(wrong)}")

    @property
    def written_paths(self) -> tuple[str, ...]:
        """Every path that the stage writes, in DVC's order."""
        return tuple(sorted({*self.outs, *self.metrics, *self.plots}))


def _stage_entry(stage: StageEntry, pipeline: str) -> dict[str, Any]:
    fields = {
        "desc": stage.desc and _escape_text(stage.desc),
        "cmd": _escape_text(stage.cmd),
        "deps": sorted(map(_escape_text, stage.deps)),
        "params": [{path: sorted(keys)} for path, keys in sorted(stage.params.items())],
        "outs": sorted(map(_escape_text, stage.outs)),
        "metrics": sorted(map(_escape_text, stage.metrics)),
        "plots": list(_plot_rows(stage)),
        "meta": {OWNER: pipeline},
    }
    return {key: value for key, value in fields.items() if value}


def _plot_rows(stage: StageEntry) -> Iterator[str | dict[str, Any]]:
    for path, properties in sorted(stage.plots.items()):
        if isinstance(properties, Mapping) and properties:
            yield {_escape_text(path): dict(properties)}
        else:
            yield _escape_text(path)


def _escape_text(text: str) -> str:
    # DVC fills in what it takes for a variable, in commands and paths alike.
    return text.replace("${", "\\${")


def _lock_entry(
    stage: StageEntry,
    artifacts: Mapping[str, Artifact],
    values: Mapping[str, Mapping[str, Json]],
) -> dict[str, Any]:
    """The entry of a stage in `dvc.lock`: what its command saw and made, by digest and value."""
    fields: dict[str, Any] = {
        "cmd": stage.cmd,
        "deps": [_lock_row(path, artifacts[path]) for path in sorted(stage.deps)],
        "params": {
            path: {key: values[path][key] for key in sorted(keys)}
            for path, keys in sorted(stage.params.items())
        },
        "outs": [_lock_row(path, artifacts[path]) for path in stage.written_paths],
    }
    return {key: value for key, value in fields.items() if value}


def _lock_row(path: str, artifact: Artifact) -> dict[str, Any]:
    row = {"path": path, "hash": "md5", "md5": artifact.digest, "size": artifact.size}
    return row if artifact.files is None else {**row, "nfiles": artifact.files}


class GivenContents(Struct, frozen=True):
    """What is not in the work tree: artifacts by path, and YAML files' texts by path."""

    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


def write_dvc_files(
    root: Path, pipeline: str, stages: Sequence[StageEntry], models: Mapping[str, str]
) -> bool:
    """Bring both files up to date under DVC's lock; False where nothing differed. ``models`` are
    files by the models' names. Raises StoreError where one is missing or cannot be written, and
    where a stage of the user's has our name."""
    store = Store(root)
    # Stock `dvc add`, or another run, may write the same files between our reading and writing.
    with repository_lock(store.layout):
        new_texts = dvc_file_texts(root, pipeline, stages, models)
        changed = {name: text for name, text in new_texts.items() if text != text_at(root / name)}
        for name, text in changed.items():
            with explain_write_errors(name, root):
                replace_bytes(root / name, documents.bytes_of(text, root / name))
    return bool(changed)


@contextmanager
def repository_lock(layout: StoreLayout, patience: float = 60.0) -> Iterator[None]:
    """Hold `.dvc/tmp/lock` as DVC does, so that stock DVC and Towpath never write the same files at
    once: `flock`, and the process id in the file. Raises StoreError when another holds it for too
    long, and where `core.hardlink_lock` asks for another kind of lock."""
    core = load_config(layout.dvc).sections.get("core", {})
    if core.get("hardlink_lock", "").lower() == "true":
        what = "`core.hardlink_lock` is set in .dvc/config, a lock that Towpath does not take"
        raise StoreError(what, hint="`dvc config --unset core.hardlink_lock`")
    path = layout.dvc / "tmp" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as held:
        if not take_lock(held, patience):
            held.seek(0)
            holder = held.read(64).strip()
            who = f"process {holder}" if holder else "unknown"
            what = f"another process holds DVC's lock ({who})"
            raise StoreError(what, hint="wait for it to end, then run again")
        # Its message to others, in zc.lockfile's form: stock DVC says who holds the lock.
        held.truncate(0)
        held.write(f" {os.getpid()}\n")
        held.flush()
        yield


def dvc_file_texts(
    root: Path,
    pipeline: str,
    stages: Sequence[StageEntry],
    models: Mapping[str, str],
    given: GivenContents | None = None,
) -> dict[str, str]:
    """Both files as they would stand, by name; nothing is written. ``given`` takes the place of
    what the work tree holds, for a commit that is made beside it."""
    given = given or GivenContents()
    old = _StageFile(root / PIPELINE, text_at(root / PIPELINE) or _HEAD)
    owned = frozenset(name for name, owner in old.stage_owners.items() if owner == pipeline)
    old.refuse_theirs(owned, stages)
    entries = {stage.name: _stage_entry(stage, pipeline) for stage in stages}
    text = _with_models(root / PIPELINE, old.merge_entries(entries, owned), models)
    plots = {name: plot for stage in stages for name, plot in stage.top_plots.items()}
    text = merge_plots(text, pipeline, plots)
    lock = _StageFile(root / LOCK, text_at(root / LOCK) or documents.dump_yaml({"schema": "2.0"}))
    return {PIPELINE: text, LOCK: lock.merge_entries(_lock_entries(root, stages, given), owned)}


def _lock_entries(
    root: Path, stages: Sequence[StageEntry], given: GivenContents
) -> dict[str, dict[str, Any]]:
    paths = dict.fromkeys(path for stage in stages for path in (*stage.deps, *stage.written_paths))
    store = Store(root)
    artifacts = {path: given.artifacts.get(path) or store.digest(Path(path)) for path in paths}
    values = _parameter_values(root, stages, given)
    return {stage.name: _lock_entry(stage, artifacts, values) for stage in stages}


def _parameter_values(
    root: Path, stages: Sequence[StageEntry], given: GivenContents
) -> dict[str, dict[str, Json]]:
    """Parameters as DVC reads them: what the file says, by dotted key."""
    keys: dict[str, set[str]] = {}
    for stage in stages:
        for path, stage_keys in stage.params.items():
            keys.setdefault(path, set()).update(stage_keys)
    values: dict[str, dict[str, Json]] = {}
    for path, names in keys.items():
        text = given.documents.get(path)
        text = documents.text_of(root / path, path) if text is None else text
        document = documents.parse_yaml(text, path)
        if document.faults:
            raise DeclarationError(*document.faults)
        data = documents.plain_data(document.node)
        values[path] = {key: _value_at(data, key, path) for key in names}
    return values


def _value_at(data: Any, key: str, path: str) -> Json:
    value = data
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise StoreError(Fault(f"`{key}` is not there, but a DVC stage names it", Place(path)))
        value = value[part]
    json: Json = value
    return json


def text_at(path: Path) -> str:
    return documents.text_of(path, path.name) if path.exists() else ""


def made_digests(root: Path, ours: bool | None = None) -> list[str]:
    """The digests of what `dvc.lock` says was made: by our stages, by others, or by all."""
    owners = _StageFile(root / PIPELINE, text_at(root / PIPELINE)).stage_owners
    lock = _StageFile(root / LOCK, text_at(root / LOCK))
    outs = (
        stage.get("outs")
        for name, stage in lock.stages.items()
        if ours is None or bool(owners.get(name)) == ours
    )
    rows = [row for listed in outs if isinstance(listed, list) for row in listed]
    return [str(r["md5"]) for r in rows if isinstance(r, dict) and is_md5(r.get("md5"))]


def stage_owner(stage: Mapping[str, Any]) -> Any:
    """The pipeline that a stage of `dvc.yaml` is of; None for a stage of the user's own."""
    meta = stage.get("meta")
    return meta.get(OWNER) if isinstance(meta, dict) else None


def read_stages(
    text: str, shown: str, is_strict: bool = True
) -> Mapping[str, documents.DocumentEntry]:
    """The stages of `dvc.yaml` or `dvc.lock` by name; each entry's node is a mapping. Raises
    DeclarationError where the file is none, or says something that is doubtful in YAML; if not
    ``is_strict`` that is left to DVC to judge, who is asked about all that the user wrote."""
    document = documents.parse_yaml(text, shown)
    whole = document.node
    if document.faults and (is_strict or not isinstance(whole, documents.Mapping)):
        raise DeclarationError(*document.faults)
    node = _stages_node(whole)
    if node is None:
        return {}
    entries = node.entries if isinstance(node, documents.Mapping) else None
    stages = {e.key: e for e in entries or () if isinstance(e.node, documents.Mapping)}
    if entries is None or len(stages) < len(entries):
        raise DeclarationError(Fault("`stages` must be a mapping of mappings", node.place))
    return stages


def _stages_node(whole: documents.Node) -> documents.Node | None:
    """What stands under `stages`; None where nothing does, or in the whole file."""
    node: documents.Node | None = whole
    if isinstance(whole, documents.Mapping):
        entry = whole.get("stages")
        node = entry.node if entry else None
    is_empty = isinstance(node, documents.Scalar) and node.value is None
    return None if is_empty else node


class _StageFile(Struct, frozen=True, dict=True):
    path: Path
    text: str

    @cached_property
    def _entries(self) -> Mapping[str, documents.DocumentEntry]:
        return read_stages(self.text, self.path.name, is_strict=False)

    @cached_property
    def stages(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: documents.plain_data(entry.node) for name, entry in self._entries.items()}

    @property
    def stage_owners(self) -> Mapping[str, Any]:
        return {name: stage_owner(stage) for name, stage in self.stages.items()}

    def refuse_theirs(self, owned: frozenset[str], stages: Sequence[StageEntry]) -> None:
        taken = [stage.name for stage in stages if stage.name in self._entries.keys() - owned]
        faults = [
            Fault(
                f"`{name}` is a stage of your own, and Towpath needs the name",
                self._entries[name].place,
                "rename your stage",
            )
            for name in taken
        ]
        if faults:
            raise StoreError(*faults)

    def merge_entries(self, entries: Mapping[str, Any], owned: frozenset[str]) -> str:
        """The text with our entries in the place of those we owned."""
        section = documents.read_section(self.text, "stages")
        if section is None:  # flow style and other rarities
            return documents.edit_yaml(self.path, lambda data: _merge_stages(data, entries, owned))
        if not entries and not owned:
            return self.text
        rows: dict[str, str] = {}
        for name, text in section.entries.items():
            if name in entries:
                above = takewhile(documents.is_aside, text.splitlines(keepends=True))
                rows[name] = "".join(above) + section.entry_block(name, entries[name])
            elif name not in owned:
                rows[name] = text
        for name, entry in entries.items():
            rows.setdefault(name, section.entry_block(name, entry))
        return str(replace(section, entries=rows))


def _merge_stages(
    data: MutableMapping[str, Any], entries: Mapping[str, Any], owned: frozenset[str]
) -> None:
    stages = data.get("stages")
    if stages is None:
        stages = data["stages"] = {}
    if not isinstance(stages, MutableMapping):
        raise DeclarationError(Fault("`stages` must hold a mapping", Place(PIPELINE)))
    for name in owned - entries.keys():
        stages.pop(name, None)
    stages.update(entries)


def _with_models(path: Path, text: str, models: Mapping[str, str]) -> str:
    if not models:
        return text
    section = documents.read_section(text, "artifacts")
    if section is None:
        what = "`artifacts` must be a mapping in block style"
        raise DeclarationError(Fault(what, Place(path.name)))
    rows = dict(section.entries)
    for name, file in models.items():
        standing = rows.get(name)
        rows[name] = (
            _move_model(standing, file)
            if standing
            else section.entry_block(name, _model_entry(file))
        )
    return str(replace(section, entries=rows))


def add_artifact(text: str, name: str, path: str) -> str:
    """A ``dvc.yaml`` of Towpath's own with a model more, where GTO and DVC look it up."""
    data = documents.plain_data(documents.parse_yaml(text, PIPELINE).node) if text else {}
    if not isinstance(data, dict):
        raise DeclarationError(Fault("dvc.yaml of the shared registry is no mapping"))
    standing = data.get("artifacts")
    others = standing if isinstance(standing, dict) else {}
    return documents.dump_yaml({**data, "artifacts": {**others, name: _model_entry(path)}})


def _model_entry(path: str) -> dict[str, str]:
    return {"path": path, "type": "model"}


def _move_model(entry: str, path: str) -> str:
    """A model's entry with its new path: what people wrote beside it stays."""
    value = documents.dump_yaml({"path": path}).strip()
    return re.sub(r"(?m)^( +)path:.*$", lambda line: f"{line[1]}{value}", entry, count=1)
