"""Versions side by side, and where one came from: as data, for whoever shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from towpath.backends.git import Repository
from towpath.config.foreign_values import is_same
from towpath.registry import tag_message, version_reference
from towpath.registry.model_signature import matrix_of
from towpath.registry.registry_state import ModelVersion, known_model, read_record
from towpath.registry.stage_files import Stages, stages
from towpath.registry.version_lookup import Found, chosen, get
from towpath.registry.version_record import Record


@dataclass(frozen=True)
class Row:
    """One fact of each version, in the order asked for; None where a version has no such fact."""

    section: str
    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether the versions do not all say the same."""
        return not all(is_same(value, self.values[0]) for value in self.values)


@dataclass(frozen=True)
class Comparison:
    """Versions side by side, row by row in sections: metrics, parameters, data, code, ..."""

    versions: tuple[ModelVersion, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Lineage:
    """Where a version came from and where it went: the record, the version before, the stages."""

    version: ModelVersion
    record: Record
    before: ModelVersion | None
    stages: tuple[str, ...]


def compare(repository: Repository, named: Sequence[str]) -> Comparison:
    """Any number of versions side by side, of one model or of several."""
    found = [get(repository, reference) for reference in named]
    staged = stages(repository)
    rows = (row for section in _sections(found, staged) for row in section)
    return Comparison(tuple(one.version for one in found), tuple(rows))


def lineage(repository: Repository, reference: str) -> Lineage:
    """Where a version came from, and which stages should run it."""
    asked, staged = version_reference.parse(reference), stages(repository)
    model = known_model(repository, asked.model)
    version = chosen(model, asked, lambda: staged)
    before = [one for one in model.versions if _is_before(one, version)]
    return Lineage(
        version=version,
        record=read_record(repository, version),
        before=before[-1] if before else None,
        stages=staged.of(version.model, version.version),
    )


def _is_before(one: ModelVersion, version: ModelVersion) -> bool:
    if one.version is None or one.rejected is not None:
        return False
    return version.version is None or one.version < version.version


def _sections(found: Sequence[Found], staged: Stages) -> Iterator[Iterable[Row]]:
    records = [one.record for one in found]
    yield _rows("stages", [_standing(one, staged) for one in found])
    yield _rows("metrics", [tag_message.numbers(record.metrics) for record in records])
    yield _rows("parameters", [record.parameters for record in records])
    yield _rows("data", [record.data for record in records])
    yield _rows("code", [_code(record) for record in records])
    yield _rows("labels", [record.labels for record in records])
    yield _rows("signature", [_columns(record) for record in records])
    yield _rows("packages", [record.packages for record in records])
    yield _rows("record", [_facts(record) for record in records])


def _rows(section: str, sides: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for name in dict.fromkeys(name for side in sides for name in side):
        yield Row(section, name, tuple(side.get(name) for side in sides))


def _standing(found: Found, staged: Stages) -> dict[str, str | None]:
    version = found.version
    said = {"in": ", ".join(staged.of(version.model, version.version)) or None}
    return said if version.rejected is None else {**said, "rejected": version.rejected}


def _code(record: Record) -> dict[str, str]:
    return {"commit": record.code.commit, **record.code.digests}


def _columns(record: Record) -> dict[str, str]:
    if record.signature is None:
        return {}
    sides = {"input": record.signature.inputs, "output": record.signature.outputs}
    matrix = matrix_of(record.signature)
    return {
        **({"input": matrix} if matrix else {}),
        **{
            f"{side} {column.name}": column.type
            for side, columns in sides.items()
            for column in columns or ()
        },
    }


def _facts(record: Record) -> dict[str, Any]:
    return {
        "author": record.author,
        "time": record.time,
        "run": record.run,
        "pipeline": record.pipeline,
        "python": record.python,
        "size": record.artifact.size,
        "sha256": record.sha256,
    }
