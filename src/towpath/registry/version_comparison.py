"""Versions as lists tell them, and side by side: what differs, which part of the number that moves,
where one came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from towpath.backends.git import Repository
from towpath.config.foreign_values import format_second, is_same
from towpath.registry import tag_message, version_record
from towpath.registry.registry_state import ModelVersion, read_model, read_record
from towpath.registry.stage_files import StageFiles, read_stage_files
from towpath.registry.version_lookup import RecordedVersion, find_version, get_version
from towpath.registry.version_record import RecordedBump, VersionRecord
from towpath.registry.version_reference import Level

ORDER: tuple[Level, ...] = ("major", "minor", "patch")
MOST_SAID = 3


class VersionChange(Struct, frozen=True):
    """One difference: the level that it asks for, and its words."""

    level: Level
    what: str


def find_version_changes(old: VersionRecord, new: VersionRecord) -> tuple[VersionChange, ...]:
    """Every difference that counts for the number, the gravest first."""
    # A signature that callers of the old model cannot use is major; other code, another declaration
    # or other parameters are minor; other data, packages or Python are a patch.
    code = ["the pipeline's declaration"] if old.pipeline_digest != new.pipeline_digest else []
    if old.code.digests or new.code.digests:
        code += _changed_digests("code of", old.code.digests, new.code.digests)
    elif old.code.commit != new.code.commit:
        code.append(f"code {old.code.commit[:7]} -> {new.code.commit[:7]}")
    python = [f"Python {old.python} -> {new.python}"] if old.python != new.python else []
    reasons: tuple[tuple[Level, Iterable[str]], ...] = (
        ("major", version_record.find_signature_breaks(old.signature, new.signature)),
        ("minor", code),
        ("minor", _changed_values("parameter", old.parameters, new.parameters)),
        ("patch", _changed_digests("data", old.data, new.data)),
        ("patch", _changed_digests("what stands beside it:", _beside(old), _beside(new))),
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


def _beside(record: VersionRecord) -> dict[str, str]:
    return {name: kept.artifact.digest for name, kept in record.beside.items()}


def _changed_digests(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [f"{what} {name}" for name in _differing_names(old, new)]


def _changed_values(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in _differing_names(old, new):
        yield f"{what} {name} {old.get(name, 'none')} -> {new.get(name, 'none')}"


def _differing_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*old, *new])
    # What is there and says null differs from what is not there.
    return [n for n in names if old.get(n) != new.get(n) or (n in old) != (n in new)]


class ComparisonRow(Struct, frozen=True):
    """One fact of each version, in the order asked for; None where a version has no such fact."""

    section: str
    name: str
    values: tuple[Any, ...]

    @property
    def is_different(self) -> bool:
        return not all(is_same(value, self.values[0]) for value in self.values)


class VersionComparison(Struct, frozen=True):
    """Versions side by side, row by row in sections: metrics, parameters, data, code, ..."""

    versions: tuple[ModelVersion, ...]
    rows: tuple[ComparisonRow, ...]


class VersionLineage(Struct, frozen=True):
    """Where a version came from and where it went: the record, the version before, the stages."""

    version: ModelVersion
    record: VersionRecord
    before: ModelVersion | None
    stages: tuple[str, ...]


def compare_versions(repository: Repository, named: Sequence[str]) -> VersionComparison:
    """Any number of versions side by side, of one model or of several."""
    compared = [get_version(repository, reference) for reference in named]
    staged = read_stage_files(repository)
    sections = [_version_sections(side, staged) for side in compared]
    rows = (
        ComparisonRow(section, name, tuple(side[section].get(name) for side in sections))
        for section in (sections[0] if sections else ())
        for name in dict.fromkeys(name for side in sections for name in side[section])
    )
    return VersionComparison(tuple(side.version for side in compared), tuple(rows))


def _version_sections(
    recorded: RecordedVersion, staged: StageFiles
) -> dict[str, Mapping[str, Any]]:
    version, record = recorded.version, recorded.record
    stages = {"in": ", ".join(staged.stages_of(version.model, version.version)) or None}
    rejection = {} if version.rejected is None else {"rejected": version.rejected}
    facts = {
        name: getattr(record, name) for name in ("author", "time", "run", "pipeline", "python")
    }
    return {
        "stages": stages | rejection,
        "metrics": tag_message.flatten_numbers(record.metrics),
        "parameters": record.parameters,
        "data": record.data,
        "beside": _beside(record),
        "code": {"commit": record.code.commit, **record.code.digests},
        "labels": record.labels,
        "signature": _signature_facts(record),
        "packages": record.packages,
        "record": {**facts, "size": record.artifact.size, "sha256": record.sha256},
    }


def read_version_lineage(repository: Repository, reference: str) -> VersionLineage:
    """Where a version came from, and which stages should run it."""
    staged = read_stage_files(repository)
    version = find_version(repository, reference, staged)
    before = read_model(repository, version.model).find_before(version)
    record = read_record(repository, version)
    stages = staged.stages_of(version.model, version.version)
    return VersionLineage(version, record, before, stages)


def _signature_facts(record: VersionRecord) -> dict[str, str]:
    if record.signature is None:
        return {}
    matrix = version_record.matrix_of(record.signature)
    facts = {"input": matrix} if matrix else {}
    for side in ("input", "output"):
        columns = getattr(record.signature, f"{side}s") or ()
        facts |= {f"{side} {column.name}": column.type for column in columns}
    return facts


class VersionSummary(Struct, frozen=True):
    """A version, or a candidate for one, whose ``version`` is None. ``time`` is UTC, ISO 8601;
    ``author`` has the address, too; ``stages`` should run it; ``rejected`` is the reason, None for
    one in good standing; ``data`` are digests of what it was made of, by input."""

    model: str
    version: str | None
    key: str
    time: str
    author: str
    metrics: Mapping[str, float]
    stages: tuple[str, ...]
    rejected: str | None
    commit: str
    run: str | None
    pipeline: str | None
    params: Mapping[str, Any]
    labels: Mapping[str, Any]
    data: Mapping[str, Any]


def summarise_version(version: ModelVersion, stages: StageFiles) -> VersionSummary:
    """What a version's tag and the stage files of main say of it; no record is read."""
    tag_facts = version.summary
    tables: tuple[Mapping[str, Any], ...] = tuple(
        tag_facts.get(table, {}) for table in ("params", "labels", "data")
    )
    return VersionSummary(
        version.model,
        str(version.version) if version.version else None,
        version.key,
        format_second(version.time),
        version.tag.tagger,
        dict(version.metrics),
        stages.stages_of(version.model, version.version),
        version.rejected,
        version.commit,
        tag_facts.get("run"),
        tag_facts.get("pipeline"),
        *tables,
    )
