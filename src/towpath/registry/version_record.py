"""The record of a version: what it is, takes and gives, where it came from, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias, cast

from msgspec import Struct, field

from towpath import documents
from towpath.config import foreign_values as foreign
from towpath.config.artifact import Artifact, Json
from towpath.config.foreign_paths import ProjectPath
from towpath.config.foreign_values import (
    FOLDER_SUFFIX,
    CommitId,
    Fields,
    Md5,
    Sha256,
    describe_value,
)
from towpath.config.names_and_paths import FREE_NAME_SHAPE
from towpath.errors import Malformed, RegistryError
from towpath.plain_data import list_fields
from towpath.registry.version_reference import VersionNumber, read_version

UNKNOWN = "unknown"
WIDER = ("input", "integer", "number")  # a whole number is read as any number


class Column(Struct, frozen=True):
    """A column by name, with its type (integer, number, string, boolean, datetime, ...)."""

    name: str
    type: str


Columns: TypeAlias = tuple[Column, ...]


class ModelSignature(Struct, frozen=True):
    """The columns that a model reads and gives back; None where they are not known.

    ``features`` counts the inputs of a model that knows no names, ``classes`` lists what a
    classifier can answer, ``model`` is the class of the model itself.
    """

    inputs: Columns | None
    outputs: Columns | None
    features: int | None = None
    classes: tuple[Json, ...] | None = None
    model: str | None = None

    def to_json(self) -> dict[str, Json]:
        facts: dict[str, Json] = {
            "model": self.model,
            "inputs": _list_columns(self.inputs),
            "outputs": _list_columns(self.outputs),
            "features": self.features,
            "classes": list(self.classes) if self.classes is not None else None,
        }
        return {key: value for key, value in facts.items() if value is not None}


def find_signature_breaks(
    old: ModelSignature | None, new: ModelSignature | None
) -> tuple[str, ...]:
    """Why a caller of the old model cannot call the new one; empty where it can, or is unknown."""
    # A new model may read fewer columns and give more. It may not read one more or a narrower type,
    # give one less or of another type, count other features, take columns by name in the place of a
    # matrix or the other way round, or answer a class that was none.
    return tuple(_find_breaks(old, new)) if old and new else ()


def _find_breaks(old: ModelSignature, new: ModelSignature) -> Iterator[str]:
    if (matrix := matrix_of(old)) and new.inputs is not None:
        yield f"input {matrix} -> columns by name"
    if (matrix := matrix_of(new)) and old.inputs is not None:
        yield f"input columns by name -> {matrix}"
    yield from _column_breaks("input", old.inputs, new.inputs)
    if None not in (old.features, new.features) and old.features != new.features:
        yield f"{old.features} -> {new.features} features"
    yield from _column_breaks("output", old.outputs, new.outputs)
    if old.classes is not None:
        answers = (answer for answer in new.classes or () if answer not in old.classes)
        yield from (f"class {answer} is new" for answer in answers)


def matrix_of(signature: ModelSignature) -> str:
    """What a model takes that knows no names, in words; empty for one that knows them, or of which
    nothing is known."""
    if signature.inputs is not None or signature.features is None:
        return ""
    return f"a matrix of {signature.features} columns"


def _column_breaks(side: str, old: Columns | None, new: Columns | None) -> Iterator[str]:
    """Of inputs those that the new one asks for count, of outputs those that the old one gave."""
    if old is None or new is None:
        return
    before, after = ({column.name: column.type for column in columns} for columns in (old, new))
    for name in after if side == "input" else before:
        types = before.get(name), after.get(name)
        if None in types:
            yield f"{side} {name} is {'new' if side == 'input' else 'gone'}"
        # Of a type that is not known nothing is said.
        elif types[0] != types[1] and UNKNOWN not in types and (side, *types) != WIDER:
            yield f"{side} {name} {types[0]} -> {types[1]}"


def _list_columns(columns: Columns | None) -> Json:
    if columns is None:
        return UNKNOWN
    return [{"name": column.name, "type": column.type} for column in columns]


def read_signature(value: object) -> ModelSignature:
    """A signature out of a record or a training step; ``Malformed`` where it is none."""
    # Anybody may have written it, or a newer Towpath: what is not known here is left out.
    fields = Fields(value)
    return ModelSignature(
        inputs=fields.find_optional("inputs", _read_columns),
        outputs=fields.find_optional("outputs", _read_columns),
        features=fields.find_optional("features", foreign.read_count),
        classes=fields.find_optional("classes", foreign.list_of(foreign.read_json)),
        model=fields.find_optional("model", foreign.read_text),
    )


def _read_columns(value: object) -> Columns | None:
    if value == UNKNOWN:
        return None
    read_text = foreign.read_text
    columns = foreign.list_of(Fields)(value)
    return tuple(Column(c.get("name", read_text), c.get("type", read_text)) for c in columns)


class DataSource(Struct, frozen=True):
    """Where an input's bytes stood when a run read them.

    ``path`` is from the project's root, or absolute outside of it; ``pointer`` the `.dvc` file that
    named these very bytes. ``version`` is the model's whose file it is, or beside which it stands
    as ``output``; ``pipeline`` and ``run`` the other pipeline of the project that made it, and
    when. ``absent`` says why there were none, of an input that may be missing.
    """

    path: str | None = None
    pointer: str | None = None
    version: str | None = None
    pipeline: str | None = None
    run: str | None = None
    output: str | None = None
    absent: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in list_fields(self).items() if value}


class UpstreamRun(Struct, frozen=True):
    """What another pipeline was run on when it made an input: ``data`` are digests (MD5)."""

    run: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, DataSource] = field(default_factory=dict)


def read_data_source(value: object) -> DataSource:
    """A source as a record holds it; nothing of it becomes a path before it was looked at again."""
    fields = Fields(value)
    names = DataSource.__struct_fields__
    return DataSource(*(fields.find_optional(name, foreign.read_text) for name in names))


def read_upstream_run(value: object) -> UpstreamRun:
    fields = Fields(value)
    return UpstreamRun(
        fields.find_optional("run", foreign.read_text),
        fields.get_table("parameters", foreign.read_json),
        fields.get_table("data", Md5),
        fields.get_table("sources", read_data_source),
    )


class KeptFile(Struct, frozen=True):
    """A file or a folder that is kept with a version: its bytes, and their SHA-256, which of a
    folder is that of its sorted ``sha256sum`` lines."""

    artifact: Artifact
    sha256: str


def read_kept_file(value: object) -> KeptFile:
    """What stands beside a version, as its record holds it."""
    fields = Fields(value)
    artifact = _read_bytes(fields, fields.get("name", foreign.read_text))
    return KeptFile(artifact, fields.get("sha256", Sha256))


def _read_beside(fields: Fields) -> dict[str, KeptFile]:
    kept = fields.get_table("beside", read_kept_file)
    for name in kept:
        if not FREE_NAME_SHAPE.fullmatch(name):  # the empty one would stand for the model
            raise Malformed(f"{describe_value(name)} is no name of what stands beside a version")
    return kept


def _read_bytes(fields: Fields, name: str) -> Artifact:
    size, digest = fields.get("size", foreign.read_count), fields.get("md5", Md5)
    files = fields.find_optional("files", foreign.read_count)
    if (files is None) == digest.endswith(FOLDER_SUFFIX):
        raise Malformed("a folder has `files` and an MD5 that ends in `.dir`, a file has neither")
    return Artifact(digest, size, name, files)


SCHEMA = 1
CANDIDATE = "candidate"

Reason: TypeAlias = Literal["first", "major", "minor", "patch"]


class RecordedCode(Struct, frozen=True):
    """The code that made a model: its commit, and the digest of each thing that was reached.

    ``repository`` is the URL where a shared registry keeps the record, None in the project's own.
    """

    commit: str
    repository: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


class RecordedBump(Struct, frozen=True):
    """Which part of the number went up, and because of what."""

    level: Reason
    reason: str


class VersionRecord(Struct, frozen=True):
    """One version of a model. Digests are hexadecimal, sizes bytes, times UTC in ISO 8601.

    ``artifact`` names the bytes as DVC does (MD5), ``sha256`` a second time; of a folder that is
    the SHA-256 of its sorted ``sha256sum`` lines. ``path`` is the model's from the repository's
    root, ``kind`` what it is (``skops``, ``folder``, ...). ``pipeline_digest`` is that of the
    declaration, ``data`` the digest of each input, ``sources`` where it was read, ``upstream`` the
    runs of other pipelines that made some of it. ``key`` is the registering step's: the same key
    is the same version. ``version`` and ``bump`` are None until the number is given, but for a
    ``bump`` that was asked for. ``needs`` are the names that `trust` must hold for the model's
    file to be loaded, as the step that wrote it noted them. ``beside`` are further files that are
    kept with it, by the name that who takes one says.
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
    beside: Mapping[str, KeptFile] = field(default_factory=dict)
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
    def kept_bytes(self) -> dict[str, tuple[Artifact, str]]:
        """All that is kept of it, with its SHA-256: the model, by the empty name, and what stands
        beside it."""
        beside = {name: (kept.artifact, kept.sha256) for name, kept in self.beside.items()}
        return {**beside, "": (self.artifact, self.sha256)}

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
            "bump": list_fields(bump) if bump else None,
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
            "beside": {name: _kept_document(kept) for name, kept in record.beside.items()},
            "metrics": record.metrics,
            "parameters": record.parameters,
            "data": record.data,
            "sources": {name: list_fields(source) for name, source in record.sources.items()},
            "upstream": {name: list_fields(run) for name, run in record.upstream.items()},
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


def _kept_document(kept: KeptFile) -> dict[str, Any]:
    artifact = kept.artifact
    return {
        "name": artifact.name,
        "md5": artifact.digest,
        "sha256": kept.sha256,
        "size": artifact.size,
        "files": artifact.files,
    }


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
    pipeline = fields.find_optional("pipeline", Fields) or Fields({})
    return VersionRecord(
        model=fields.get("model", foreign.read_model_name),
        key=fields.get("key", foreign.read_key),
        artifact=_read_bytes(of_artifact, path.rpartition("/")[2]),
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
        beside=_read_beside(fields),
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


def _plain_document(data: Any, in_list: bool = False) -> Any:
    if isinstance(data, Mapping):
        whole = {str(key): _plain_document(value, in_list) for key, value in data.items()}
        # An empty mapping says no more than none; what a list holds is a value of the user's.
        return {key: v for key, v in whole.items() if in_list or (v is not None and v != {})}
    if isinstance(data, list | tuple):
        return [_plain_document(value, in_list=True) for value in data]
    # NaN and infinity: YAML and JSON cannot write them alike.
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data
