"""Where a version came from and where it went: data, code, run, promotions, deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath import registry
from towpath.audit.stage_history import Entry, history
from towpath.backends.dvc.pointer_files import pointer_path
from towpath.config.artifact import Json
from towpath.registry import DataSource, ModelVersion, Record
from towpath.registry.declared_data import declared_paths

if TYPE_CHECKING:
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Data:
    """An input of the run by its digest (MD5).

    ``path`` is where the run read it, ``pointer`` the `.dvc` file that named these very bytes
    there; ``version`` is the version of a model that has them, ``pipeline`` and ``run`` the other
    pipeline of the project that made them, and when.
    """

    name: str
    digest: str
    path: str | None = None
    pointer: str | None = None
    version: str | None = None
    pipeline: str | None = None
    run: str | None = None


@dataclass(frozen=True)
class Upstream:
    """A run of another pipeline that made an input, and what it was made of in turn."""

    pipeline: str
    run: str | None
    parameters: Mapping[str, Json]
    data: tuple[Data, ...]


@dataclass(frozen=True)
class Lineage:
    """A version's past and its way since. ``before`` is the version before it, ``rejected`` why
    it should not be used, ``used_by`` the versions that were made from it, ``upstream`` the runs of
    other pipelines that made its data."""

    version: str
    record: Record
    commit: str
    before: str | None
    rejected: str | None
    data: tuple[Data, ...]
    promotions: tuple[Entry, ...]
    used_by: tuple[str, ...]
    upstream: tuple[Upstream, ...] = ()

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
        upstream=tuple(_upstream(record, every)),
        promotions=tuple(one for one in entries if one.version == str(version.version)),
        used_by=tuple(str(v) for v in every if record.artifact.digest in _digests(v)),
    )


def _digests(version: ModelVersion) -> tuple[object, ...]:
    return tuple(version.summary.get("data", {}).values())


def _data(workspace: Workspace, record: Record, every: list[ModelVersion]) -> Iterator[Data]:
    if record.sources or not record.data:
        yield from _read(record.data, record.sources, every)
        return
    # A record of before it kept where data was read: the declaration tells where it looked.
    here = (
        workspace.root.resolve().relative_to(workspace.repository.root.resolve()).as_posix()
        if workspace.repository
        else ""
    )
    declared, tracked = declared_paths(workspace.repository, record, here)
    made = _makers(every)
    for name, digest in record.data.items():
        path = declared.get(name)
        beside = pointer_path(str(path))
        pointer = beside if path and digest in tracked.get(beside, "") else None
        # What the pointer beside it names may be other data: then it was read elsewhere.
        is_there = pointer is not None or beside not in tracked
        yield Data(name, digest, path if is_there else None, pointer, made.get(digest))


def _makers(every: list[ModelVersion]) -> dict[str, str]:
    return {str(version.summary.get("md5")): str(version) for version in every}


def _read(
    data: Mapping[str, str], sources: Mapping[str, DataSource], every: list[ModelVersion]
) -> Iterator[Data]:
    made = _makers(every)
    for name, digest in data.items():
        source = sources.get(name, DataSource())
        version = source.version or made.get(digest)
        yield Data(name, digest, source.path, source.pointer, version, source.pipeline, source.run)


def _upstream(record: Record, every: list[ModelVersion]) -> Iterator[Upstream]:
    for pipeline, run in record.upstream.items():
        data = tuple(_read(run.data, run.sources, every))
        yield Upstream(pipeline, run.run, run.parameters, data)
