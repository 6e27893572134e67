"""Where a version came from and where it went: data, code, run, promotions, deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath import registry
from towpath.audit.stage_history import HistoryEntry, read_stage_history
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.config.artifact import Json
from towpath.registry import DataSource, ModelVersion, VersionRecord
from towpath.registry.version_code import declared_paths

if TYPE_CHECKING:
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class LineageData:
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
class UpstreamLineage:
    """A run of another pipeline that made an input, and what it was made of in turn."""

    pipeline: str
    run: str | None
    parameters: Mapping[str, Json]
    data: tuple[LineageData, ...]


@dataclass(frozen=True)
class LineageReport:
    """A version's past and its way since. ``before`` is the version before it, ``rejected`` why
    it should not be used, ``used_by`` the versions that were made from it, ``upstream`` the runs of
    other pipelines that made its data."""

    version: str
    record: VersionRecord
    commit: str
    before: str | None
    rejected: str | None
    data: tuple[LineageData, ...]
    promotions: tuple[HistoryEntry, ...]
    used_by: tuple[str, ...]
    upstream: tuple[UpstreamLineage, ...] = ()

    @property
    def deployments(self) -> tuple[HistoryEntry, ...]:
        """The promotions that were carried out."""
        return tuple(entry for entry in self.promotions if entry.entered)


def trace_lineage(workspace: Workspace, reference: str, forge: bool = False) -> LineageReport:
    """All that is known of a version's way, from Git alone unless the ``forge`` is to be asked.

    Errors: UsageError for a version that is not there, RegistryError for one without a record.
    """
    repository = workspace.registry
    version_lineage = registry.read_version_lineage(repository, reference)
    version, record = version_lineage.version, version_lineage.record
    models = registry.read_models(repository).values()
    every = [v for model in models for v in model.versions if str(v) != str(version)]
    entries = read_stage_history(workspace, version.model, forge=forge) if version.version else ()
    return LineageReport(
        version=str(version),
        record=record,
        commit=version.commit,
        before=str(version_lineage.before) if version_lineage.before else None,
        rejected=version.rejected,
        data=tuple(_lineage_data(workspace, record, every)),
        upstream=tuple(_upstream_runs(record, every)),
        promotions=tuple(entry for entry in entries if entry.version == str(version.version)),
        used_by=tuple(str(v) for v in every if record.artifact.digest in _data_digests(v)),
    )


def _data_digests(version: ModelVersion) -> tuple[object, ...]:
    return tuple(version.summary.get("data", {}).values())


def _lineage_data(
    workspace: Workspace, record: VersionRecord, every: list[ModelVersion]
) -> Iterator[LineageData]:
    if record.sources or not record.data:
        yield from _read_data(record.data, record.sources, every)
        return
    # A record of before it kept where data was read: the declaration tells where it looked.
    project_folder = (
        workspace.root.resolve().relative_to(workspace.repository.root.resolve()).as_posix()
        if workspace.repository
        else ""
    )
    declared, tracked = declared_paths(workspace.repository, record, project_folder)
    makers = _versions_by_md5(every)
    for name, digest in record.data.items():
        path = declared.get(name)
        beside = pointer_path(str(path))
        pointer = beside if path and digest in tracked.get(beside, "") else None
        # What the pointer beside it names may be other data: then it was read elsewhere.
        is_there = pointer is not None or beside not in tracked
        yield LineageData(name, digest, path if is_there else None, pointer, makers.get(digest))


def _versions_by_md5(every: list[ModelVersion]) -> dict[str, str]:
    return {str(version.summary.get("md5")): str(version) for version in every}


def _read_data(
    data: Mapping[str, str], sources: Mapping[str, DataSource], every: list[ModelVersion]
) -> Iterator[LineageData]:
    makers = _versions_by_md5(every)
    for name, digest in data.items():
        source = sources.get(name, DataSource())
        version = source.version or makers.get(digest)
        yield LineageData(
            name, digest, source.path, source.pointer, version, source.pipeline, source.run
        )


def _upstream_runs(record: VersionRecord, every: list[ModelVersion]) -> Iterator[UpstreamLineage]:
    for pipeline, run in record.upstream.items():
        data = tuple(_read_data(run.data, run.sources, every))
        yield UpstreamLineage(pipeline, run.run, run.parameters, data)
