"""Versions side by side: what differs, which part of the number that moves, where one came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from towpath.backends.git import Repository
from towpath.config.foreign_values import is_same
from towpath.registry import model_signature, tag_message, version_reference
from towpath.registry.model_signature import matrix_of
from towpath.registry.registry_state import ModelVersion, known_model, read_record
from towpath.registry.stage_files import StageFiles, read_stage_files
from towpath.registry.version_lookup import RecordedVersion, choose_version, get_version
from towpath.registry.version_record import RecordedBump, VersionRecord
from towpath.registry.version_reference import Level

ORDER: tuple[Level, ...] = ("major", "minor", "patch")
MOST_SAID = 3


@dataclass(frozen=True)
class VersionChange:
    """One difference: the level that it asks for, and its words."""

    level: Level
    what: str


def find_version_changes(old: VersionRecord, new: VersionRecord) -> tuple[VersionChange, ...]:
    """Every difference that counts for the number, the gravest first."""
    # A signature that callers of the old model cannot use is major; other code, another declaration
    # or other parameters are minor; other data, packages or Python are a patch.
    python = [f"Python {old.python} -> {new.python}"] if old.python != new.python else []
    reasons: tuple[tuple[Level, Iterable[str]], ...] = (
        ("major", model_signature.find_signature_breaks(old.signature, new.signature)),
        ("minor", _code_changes(old, new)),
        ("minor", _changed_values("parameter", old.parameters, new.parameters)),
        ("patch", _changed_digests("data", old.data, new.data)),
        ("patch", _changed_values("package", old.packages, new.packages)),
        ("patch", python),
    )
    return tuple(VersionChange(level, what) for level, words in reasons for what in words)


def derive_bump(old: VersionRecord | None, new: VersionRecord) -> RecordedBump:
    """Which part of the number goes up from ``old``, and why; what was asked for goes first."""
    if old is None:
        return RecordedBump("first", "the first version")
    if new.bump and new.bump.level != "first":
        return new.bump
    differences = find_version_changes(old, new)
    for level in ORDER:
        reasons = [change.what for change in differences if change.level == level]
        if reasons:
            more = len(reasons) - MOST_SAID
            rest = [f"and {more} more"] if more > 0 else []
            return RecordedBump(level, "; ".join([*reasons[:MOST_SAID], *rest]))
    return RecordedBump("patch", "made again")


def _code_changes(old: VersionRecord, new: VersionRecord) -> Iterator[str]:
    if old.pipeline_digest != new.pipeline_digest:
        yield "the pipeline's declaration"
    if old.code.digests or new.code.digests:
        yield from _changed_digests("code of", old.code.digests, new.code.digests)
    elif old.code.commit != new.code.commit:
        yield f"code {old.code.commit[:7]} -> {new.code.commit[:7]}"


def _changed_digests(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in _differing_names(old, new):
        yield f"{what} {name}"


def _changed_values(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in _differing_names(old, new):
        yield f"{what} {name} {_value_in_words(old, name)} -> {_value_in_words(new, name)}"


def _differing_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*old, *new])
    # What is there and says null differs from what is not there.
    return [n for n in names if old.get(n) != new.get(n) or (n in old) != (n in new)]


def _value_in_words(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "none"


@dataclass(frozen=True)
class ComparisonRow:
    """One fact of each version, in the order asked for; None where a version has no such fact."""

    section: str
    name: str
    values: tuple[Any, ...]

    @property
    def is_different(self) -> bool:
        """Whether the versions do not all say the same."""
        return not all(is_same(value, self.values[0]) for value in self.values)


@dataclass(frozen=True)
class VersionComparison:
    """Versions side by side, row by row in sections: metrics, parameters, data, code, ..."""

    versions: tuple[ModelVersion, ...]
    rows: tuple[ComparisonRow, ...]


@dataclass(frozen=True)
class VersionLineage:
    """Where a version came from and where it went: the record, the version before, the stages."""

    version: ModelVersion
    record: VersionRecord
    before: ModelVersion | None
    stages: tuple[str, ...]


def compare_versions(repository: Repository, named: Sequence[str]) -> VersionComparison:
    """Any number of versions side by side, of one model or of several."""
    versions = [get_version(repository, reference) for reference in named]
    staged = read_stage_files(repository)
    rows = (row for section in _comparison_sections(versions, staged) for row in section)
    return VersionComparison(tuple(version.version for version in versions), tuple(rows))


def read_version_lineage(repository: Repository, reference: str) -> VersionLineage:
    """Where a version came from, and which stages should run it."""
    named, staged = version_reference.parse_reference(reference), read_stage_files(repository)
    model = known_model(repository, named.model)
    version = choose_version(model, named, lambda: staged)
    standing = [earlier for earlier in model.versions if earlier.rejected is None]
    number = version.version
    before = [v for v in standing if v.version and (number is None or v.version < number)]
    return VersionLineage(
        version=version,
        record=read_record(repository, version),
        before=before[-1] if before else None,
        stages=staged.stages_of(version.model, version.version),
    )


def _comparison_sections(
    compared: Sequence[RecordedVersion], staged: StageFiles
) -> Iterator[Iterable[ComparisonRow]]:
    records = [side.record for side in compared]
    yield _section_rows("stages", [_stages_of_version(side, staged) for side in compared])
    metrics = [tag_message.flatten_numbers(record.metrics) for record in records]
    yield _section_rows("metrics", metrics)
    yield _section_rows("parameters", [record.parameters for record in records])
    yield _section_rows("data", [record.data for record in records])
    yield _section_rows("code", [{"commit": r.code.commit, **r.code.digests} for r in records])
    yield _section_rows("labels", [record.labels for record in records])
    yield _section_rows("signature", [_signature_facts(record) for record in records])
    yield _section_rows("packages", [record.packages for record in records])
    yield _section_rows("record", [_record_facts(record) for record in records])


def _section_rows(section: str, sides: Sequence[Mapping[str, Any]]) -> Iterator[ComparisonRow]:
    for name in dict.fromkeys(name for side in sides for name in side):
        yield ComparisonRow(section, name, tuple(side.get(name) for side in sides))


def _stages_of_version(recorded: RecordedVersion, staged: StageFiles) -> dict[str, str | None]:
    version = recorded.version
    facts = {"in": ", ".join(staged.stages_of(version.model, version.version)) or None}
    return facts if version.rejected is None else {**facts, "rejected": version.rejected}


def _signature_facts(record: VersionRecord) -> dict[str, str]:
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


def _record_facts(record: VersionRecord) -> dict[str, Any]:
    return {
        "author": record.author,
        "time": record.time,
        "run": record.run,
        "pipeline": record.pipeline,
        "python": record.python,
        "size": record.artifact.size,
        "sha256": record.sha256,
    }
