"""What differs between two versions, and which part of the number that moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.registry import model_signature
from towpath.registry.version_number import Level
from towpath.registry.version_record import Bump, Record

ORDER: tuple[Level, ...] = ("major", "minor", "patch")
MOST_SAID = 3


@dataclass(frozen=True)
class Change:
    """One difference: the level that it asks for, and its words."""

    level: Level
    what: str


def changes(old: Record, new: Record) -> tuple[Change, ...]:
    """Every difference that counts for the number, the gravest first.

    A signature that callers of the old model cannot use is major; other code, another declaration
    or other parameters are minor; other data, packages or Python are a patch.
    """
    return (
        *(Change("major", what) for what in model_signature.breaks(old.signature, new.signature)),
        *(Change("minor", what) for what in _code(old, new)),
        *(Change("minor", what) for what in _values("parameter", old.parameters, new.parameters)),
        *(Change("patch", what) for what in _digests("data", old.data, new.data)),
        *(Change("patch", what) for what in _values("package", old.packages, new.packages)),
        *(Change("patch", what) for what in _python(old, new)),
    )


def bump(old: Record | None, new: Record) -> Bump:
    """Which part of the number goes up from ``old``, and why; what was asked for goes first."""
    if old is None:
        return Bump("first", "the first version")
    if new.bump and new.bump.level != "first":
        return new.bump
    found = changes(old, new)
    for level in ORDER:
        said = [change.what for change in found if change.level == level]
        if said:
            return Bump(level, _shortened(said))
    return Bump("patch", "made again")


def asked(level: Level) -> Bump:
    """The bump that a pipeline or a person asks for."""
    return Bump(level, "asked for")


def _code(old: Record, new: Record) -> Iterator[str]:
    if old.pipeline_digest != new.pipeline_digest:
        yield "the pipeline's declaration"
    if old.code.digests or new.code.digests:
        yield from _digests("code of", old.code.digests, new.code.digests)
    elif old.code.commit != new.code.commit:
        yield f"code {old.code.commit[:7]} -> {new.code.commit[:7]}"


def _digests(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in _different(old, new):
        yield f"{what} {name}"


def _values(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in _different(old, new):
        yield f"{what} {name} {_said(old, name)} -> {_said(new, name)}"


def _python(old: Record, new: Record) -> Iterator[str]:
    if old.python != new.python:
        yield f"Python {old.python} -> {new.python}"


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*old, *new])
    return [
        name for name in names if old.get(name) != new.get(name) or (name in old) != (name in new)
    ]


def _said(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "none"


def _shortened(said: list[str]) -> str:
    more = len(said) - MOST_SAID
    return "; ".join([*said[:MOST_SAID], *([f"and {more} more"] if more > 0 else [])])
