"""What the commit of a version in a shared registry holds beside its record: all that DVC needs.

`dvc.yaml` names the model's file, a pointer beside its records gives the digest, and `.dvc/config`
says in which store the bytes are: that of the project, which made and pushed them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from towpath.errors import RegistryError
from towpath.git import refs

if TYPE_CHECKING:
    from towpath.git import Repository
    from towpath.registry import Record
    from towpath.workspace import Workspace

DVC_YAML = "dvc.yaml"
CONFIG = ".dvc/config"


def files(workspace: Workspace, base: str, record: Record) -> dict[str, bytes]:
    """The files, by their path from the registry's root; ``base`` is the commit they go upon."""
    there = _at(workspace.registry, base, DVC_YAML, CONFIG)
    path = PurePosixPath("registry/models", record.model, PurePosixPath(record.path).name)
    texts = {
        DVC_YAML: _with_artifact(there.get(DVC_YAML), record, str(path)),
        f"{path}.dvc": _pointer(record, path.name),
        CONFIG: _configuration(workspace, there.get(CONFIG, "")),
    }
    return {name: text.encode() for name, text in texts.items()}


def _at(repository: Repository, commit: str, *paths: str) -> dict[str, str]:
    names = {f"{commit}:{path}": path for path in paths}
    found = refs.contents(repository, names)
    return {names[name]: content.decode("utf-8", "replace") for name, content in found.items()}


def _with_artifact(text: str | None, record: Record, path: str) -> str:
    """The registry's ``dvc.yaml`` with this model in it, where GTO and DVC look it up."""
    from towpath import documents

    document = documents.plain(documents.parse(text, DVC_YAML).node) if text else {}
    if not isinstance(document, dict):
        raise RegistryError("dvc.yaml of the shared registry is no mapping")
    said: dict[str, Any] = {"path": path, "type": "model"}
    known = document.get("artifacts")
    others = known if isinstance(known, dict) else {}
    return documents.dump({**document, "artifacts": {**others, record.model: said}})


def _pointer(record: Record, name: str) -> str:
    from towpath import documents

    artifact = record.artifact
    row: dict[str, Any] = {"md5": artifact.digest, "size": artifact.size}
    if artifact.files is not None:
        row["nfiles"] = artifact.files
    return documents.dump({"outs": [{**row, "hash": "md5", "path": name}]})


def _configuration(workspace: Workspace, text: str) -> str:
    """The registry's configuration, and the project's store as the default remote if it has one."""
    from towpath.store.described import Configuration, described

    remote = described(workspace.root)
    known = Configuration.parse(text, f"{CONFIG} of the shared registry")
    return str(known.using(remote) if remote else known) or "[core]\n"
