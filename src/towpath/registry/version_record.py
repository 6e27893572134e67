"""The record of a version: everything needed to say what it is, where it came from, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, cast

from towpath import documents
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Artifact, Json
from towpath.config.foreign_values import FOLDER_SUFFIX, CommitId, Fields, Md5, Sha256
from towpath.config.project_paths import ProjectPath
from towpath.errors import Malformed, RegistryError
from towpath.registry.model_signature import ModelSignature, read_signature
from towpath.registry.version_reference import VersionNumber, read_version


@dataclass(frozen=True)
class DataSource:
    """Where an input's bytes stood when a run read them.

    ``path`` is from the project's root, or absolute outside of it; ``pointer`` the `.dvc` file that
    named these very bytes. ``version`` is the model's whose file it is, ``pipeline`` and ``run``
    the other pipeline of the project that made it, and when.
    """

    path: str | None = None
    pointer: str | None = None
    version: str | None = None
    pipeline: str | None = None
    run: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class UpstreamRun:
    """What another pipeline was run on when it made an input: ``data`` are digests (MD5)."""

    run: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, DataSource] = field(default_factory=dict)


def read_data_source(value: object) -> DataSource:
    """A source as a record holds it; nothing of it becomes a path before it was looked at again."""
    fields = Fields(value)
    names = DataSource.__dataclass_fields__
    return DataSource(*(fields.find_optional(name, foreign.read_text) for name in names))


def read_upstream_run(value: object) -> UpstreamRun:
    fields = Fields(value)
    return UpstreamRun(
        fields.find_optional("run", foreign.read_text),
        fields.get_table("parameters", foreign.read_json),
        fields.get_table("data", Md5),
        fields.get_table("sources", read_data_source),
    )


SCHEMA = 1
CANDIDATE = "candidate"

Reason: TypeAlias = Literal["first", "major", "minor", "patch"]


@dataclass(frozen=True)
class RecordedCode:
    """The code that made a model: its commit, and the digest of each thing that was reached.

    ``repository`` is the URL where a shared registry keeps the record, None in the project's own.
    """

    commit: str
    repository: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedBump:
    """Which part of the number went up, and because of what."""

    level: Reason
    reason: str


@dataclass(frozen=True)
class VersionRecord:
    """One version of a model. Digests are hexadecimal, sizes bytes, times UTC in ISO 8601.

    ``artifact`` names the bytes as DVC does (MD5), ``sha256`` a second time; of a folder that is
    the SHA-256 of its sorted ``sha256sum`` lines. ``path`` is the model's from the repository's
    root, ``kind`` what it is (``skops``, ``folder``, ...). ``pipeline_digest`` is that of the
    declaration, ``data`` the digest of each input, ``sources`` where it was read, ``upstream`` the
    runs of other pipelines that made some of it. ``key`` is the registering step's: the same key
    is the same version. ``version`` and ``bump`` are None until the number is given, but for a
    ``bump`` that was asked for. ``needs`` are the names that `trust` must hold for the model's
    file to be loaded, as the step that wrote it noted them.
    """

    model: str
    key: str
    artifact: Artifact
    path: str
    sha256: str
    kind: str
    code: RecordedCode
    signature: ModelSignature | None = None
    needs: tuple[str, ...] = ()
    metrics: Mapping[str, Json] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    run: str | None = None
    pipeline: str | None = None
    pipeline_digest: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, DataSource] = field(default_factory=dict)
    upstream: Mapping[str, UpstreamRun] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None
    author: str | None = None
    time: str | None = None
    description: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    version: VersionNumber | None = None
    bump: RecordedBump | None = None

    @property
    def record_path(self) -> str:
        return record_path(self.model, self.version)


def record_path(model: str, version: VersionNumber | None) -> str:
    """Where the record of a version, or of a candidate (no number yet), lies in its commit."""
    return f"registry/models/{model}/{version or CANDIDATE}.yaml"


def write_version_record(record: VersionRecord) -> str:
    """The record as YAML: one order of keys, what is not known left out."""
    return documents.dump_yaml(record_document(record))


def record_document(record: VersionRecord) -> dict[str, Any]:
    bump, signature = record.bump, record.signature
    whole: dict[str, Any] = _plain_document(
        {
            "schema": SCHEMA,
            "model": record.model,
            "version": str(record.version) if record.version else None,
            "bump": asdict(bump) if bump else None,
            "description": record.description,
            "labels": record.labels,
            "artifact": {
                "path": record.path,
                "kind": record.kind,
                "md5": record.artifact.digest,
                "sha256": record.sha256,
                "size": record.artifact.size,
                "files": record.artifact.files,
            },
            "signature": signature.to_json() if signature else None,
            "needs": record.needs or None,
            "metrics": record.metrics,
            "parameters": record.parameters,
            "data": record.data,
            "sources": {name: asdict(source) for name, source in record.sources.items()},
            "upstream": {name: asdict(run) for name, run in record.upstream.items()},
            "pipeline": {"name": record.pipeline, "digest": record.pipeline_digest},
            "run": record.run,
            "code": {
                "repository": record.code.repository,
                "commit": record.code.commit,
                "digests": record.code.digests,
            },
            "python": record.python,
            "packages": record.packages,
            "author": record.author,
            "time": record.time,
            "key": record.key,
        }
    )
    return whole


def parse_version_record(text: str | bytes, shown: str) -> VersionRecord:
    """A record out of YAML; ``RegistryError`` where it is none, or newer than this Towpath."""

    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    document = documents.parse_yaml(text, shown)
    data = documents.plain_data(document.node)
    if document.faults or not isinstance(data, dict):
        raise RegistryError(*document.faults or (f"{shown} is not the record of a version",))
    if data.get("schema") != SCHEMA:
        schema = data.get("schema")
        is_newer = isinstance(schema, int) and schema > SCHEMA
        hint = "a newer Towpath wrote it: upgrade" if is_newer else None
        raise RegistryError(f"{shown} has schema {schema}, not {SCHEMA}", hint=hint)
    try:
        return _record_from_fields(Fields(data))
    except Malformed as wrong:
        raise RegistryError(f"{shown} is damaged: {wrong.faults[0].what}") from wrong


def _record_from_fields(fields: Fields) -> VersionRecord:
    text = foreign.read_text
    of_artifact, code = fields.get("artifact", Fields), fields.get("code", Fields)
    path = of_artifact.get("path", ProjectPath)
    size, digest = of_artifact.get("size", foreign.read_count), of_artifact.get("md5", Md5)
    files = of_artifact.find_optional("files", foreign.read_count)
    if (files is None) == digest.endswith(FOLDER_SUFFIX):
        raise Malformed("a folder has `files` and an MD5 that ends in `.dir`, a file has neither")
    pipeline = fields.find_optional("pipeline", Fields) or Fields({})
    return VersionRecord(
        model=fields.get("model", foreign.read_model_name),
        key=fields.get("key", foreign.read_key),
        artifact=Artifact(digest, size, path.rpartition("/")[2], files),
        path=path,
        sha256=of_artifact.get("sha256", Sha256),
        kind=of_artifact.get("kind", text),
        code=RecordedCode(
            code.get("commit", CommitId),
            code.find_optional("repository", text),
            code.get_table("digests", text),
        ),
        signature=fields.find_optional("signature", read_signature),
        needs=fields.find_optional("needs", foreign.list_of(text)) or (),
        metrics=fields.get_table("metrics", foreign.read_json),
        parameters=fields.get_table("parameters", foreign.read_json),
        run=fields.find_optional("run", text),
        pipeline=pipeline.find_optional("name", foreign.read_pipeline_name),
        pipeline_digest=pipeline.find_optional("digest", text),
        data=fields.get_table("data", Md5),
        sources=fields.get_table("sources", read_data_source),
        upstream=fields.get_table("upstream", read_upstream_run),
        packages=fields.get_table("packages", text),
        python=fields.find_optional("python", text),
        author=fields.find_optional("author", text),
        time=fields.find_optional("time", foreign.read_moment),
        description=fields.find_optional("description", text),
        labels=fields.get_table("labels", text),
        version=fields.find_optional("version", read_version),
        bump=fields.find_optional("bump", _read_bump),
    )


def _read_bump(value: object) -> RecordedBump:
    fields = Fields(value)
    level = fields.get("level", foreign.one_of("first", "major", "minor", "patch"))
    return RecordedBump(cast(Reason, level), fields.get("reason", foreign.read_text))


def _plain_document(data: Any) -> Any:
    if isinstance(data, Mapping):
        # An empty mapping says no more than none.
        kept = {str(key): _plain_document(value) for key, value in data.items()}
        return {key: value for key, value in kept.items() if value is not None and value != {}}
    if isinstance(data, list | tuple):
        return [_plain_document(value) for value in data]
    # NaN and infinity: YAML and JSON cannot write them alike.
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data
