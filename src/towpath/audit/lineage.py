"""Where a version came from and where it went: data, code, run, promotions, deployments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath import registry
from towpath.audit.history import Entry, history
from towpath.registry import ModelVersion, Record
from towpath.registry.declared_data import declared_paths

if TYPE_CHECKING:
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Data:
    """An input of the run by its digest (MD5).

    ``path`` is where the pipeline looked for it by its declaration, ``pointer`` the `.dvc` file
    that tracked it there; ``version`` is the version of a model that has these bytes.
    """

    name: str
    digest: str
    path: str | None = None
    pointer: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Lineage:
    """A version's past and its way since. ``before`` is the version before it, ``rejected`` why
    it should not be used, ``used_by`` the versions that were made from it."""

    version: str
    record: Record
    commit: str
    before: str | None
    rejected: str | None
    data: tuple[Data, ...]
    promotions: tuple[Entry, ...]
    used_by: tuple[str, ...]

    @property
    def deployments(self) -> tuple[Entry, ...]:
        """The promotions that were carried out."""
        return tuple(entry for entry in self.promotions if entry.entered)


def lineage(workspace: Workspace, reference: str, forge: bool = False) -> Lineage:
    """All that is known of a version's way, from Git alone unless the ``forge`` is to be asked.

    Errors: UsageError for a version that is not there, RegistryError for one without a record.
    """
    repository = workspace.registry
    found = registry.lineage(repository, reference)
    version, record = found.version, found.record
    known = registry.models(repository).values()
    every = [v for model in known for v in model.versions if str(v) != str(version)]
    entries = history(workspace, version.model, forge=forge) if version.version else ()
    return Lineage(
        version=str(version),
        record=record,
        commit=version.commit,
        before=str(found.before) if found.before else None,
        rejected=version.rejected,
        data=tuple(_data(workspace, record, every)),
        promotions=tuple(one for one in entries if one.version == str(version.version)),
        used_by=tuple(str(v) for v in every if record.artifact.digest in _digests(v)),
    )


def _digests(version: ModelVersion) -> tuple[object, ...]:
    return tuple(version.summary.get("data", {}).values())


def _data(workspace: Workspace, record: Record, every: list[ModelVersion]) -> Iterator[Data]:
    made = {str(version.summary.get("md5")): str(version) for version in every}
    inside = workspace.repository and workspace.root.resolve().relative_to(
        workspace.repository.root.resolve()
    )
    folder = inside.as_posix() if inside else ""
    declared, tracked = declared_paths(workspace.repository, record, folder)
    for name, digest in record.data.items():
        path = declared.get(name)
        pointer = tracked.get(f"{path}.dvc") if path else None
        yield Data(name, digest, path, pointer, made.get(digest))
