"""What differs between two versions, and which part of the number that moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.registry import model_signature
from towpath.registry.version_number import Level
from towpath.registry.version_record import RecordedBump, VersionRecord

ORDER: tuple[Level, ...] = ("major", "minor", "patch")
MOST_SAID = 3


@dataclass(frozen=True)
class VersionChange:
    """One difference: the level that it asks for, and its words."""

    level: Level
    what: str


def find_version_changes(old: VersionRecord, new: VersionRecord) -> tuple[VersionChange, ...]:
    """Every difference that counts for the number, the gravest first.

    A signature that callers of the old model cannot use is major; other code, another declaration
    or other parameters are minor; other data, packages or Python are a patch.
    """
    return (
        *(
            VersionChange("major", what)
            for what in model_signature.find_signature_breaks(old.signature, new.signature)
        ),
        *(VersionChange("minor", what) for what in _code_changes(old, new)),
        *(
            VersionChange("minor", what)
            for what in _changed_values("parameter", old.parameters, new.parameters)
        ),
        *(VersionChange("patch", what) for what in _changed_digests("data", old.data, new.data)),
        *(
            VersionChange("patch", what)
            for what in _changed_values("package", old.packages, new.packages)
        ),
        *(VersionChange("patch", what) for what in _python_changes(old, new)),
    )


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
            return RecordedBump(level, _shorten_reasons(reasons))
    return RecordedBump("patch", "made again")


def requested_bump(level: Level) -> RecordedBump:
    """The bump that a pipeline or a person asks for."""
    return RecordedBump(level, "asked for")


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


def _python_changes(old: VersionRecord, new: VersionRecord) -> Iterator[str]:
    if old.python != new.python:
        yield f"Python {old.python} -> {new.python}"


def _differing_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*old, *new])
    return [
        name for name in names if old.get(name) != new.get(name) or (name in old) != (name in new)
    ]


def _value_in_words(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "none"


def _shorten_reasons(reasons: list[str]) -> str:
    more = len(reasons) - MOST_SAID
    return "; ".join([*reasons[:MOST_SAID], *([f"and {more} more"] if more > 0 else [])])
