"""How a version is named: by number, by people (``abalone@latest``), by tags (``abalone@v1.3.0``).

The tags are GTO's grammar (gto 1.x, ``gto/constants.py``): ``name@vX.Y.Z`` registers, the same with
``!#N`` deregisters, ``name#stage#N`` assigns and ``name#stage!#N`` unassigns. Towpath's names are
the lower-case part of GTO's.
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

from towpath.config.foreign_values import describe_value
from towpath.errors import Malformed, RegistryError, UsageError

Level: TypeAlias = Literal["major", "minor", "patch"]

_PART = r"(0|[1-9][0-9]{0,8})"
_NUMBER = re.compile(rf"v{_PART}\.{_PART}\.{_PART}")
_LARGEST = 999_999_999


class VersionNumber(Struct, frozen=True, order=True):
    """The number of a version, in semantic versioning's order."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @classmethod
    @lru_cache(maxsize=4096)  # the same few hundred numbers, of ten thousand tags
    def parse(cls, text: str) -> VersionNumber | None:
        """The number that ``v1.3.0`` says; None where the text is no number."""
        match = _NUMBER.fullmatch(text)
        return cls(*map(int, match.groups())) if match else None

    def next_number(self, level: Level) -> VersionNumber:
        if level == "major":
            return VersionNumber(self.major + 1, 0, 0)
        if level == "minor":
            return VersionNumber(self.major, self.minor + 1, 0)
        return VersionNumber(self.major, self.minor, self.patch + 1)


FIRST = VersionNumber(1, 0, 0)


def next_free_number(
    base: VersionNumber | None, level: Level, taken: Container[VersionNumber]
) -> VersionNumber:
    """The next number after ``base`` that was never given, not even to a rejected version."""
    number = FIRST if base is None else base.next_number(level)
    while number in taken:
        number = number.next_number(level)
    if max(number.major, number.minor, number.patch) > _LARGEST:
        # Somebody tagged the last number by hand: what follows would be no version to any reader.
        raise RegistryError(f"no number follows {base}", hint="ask who gave it: git show the tag")
    return number


def read_version(value: object) -> VersionNumber:
    number = VersionNumber.parse(value) if isinstance(value, str) else None
    if number is None:
        raise Malformed(f"{describe_value(value)} is no version")
    return number


NAME = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
LONGEST_NAME = 100
SHORTEST_KEY = 6

_NAME = re.compile(NAME)
_KEY = re.compile(rf"[0-9a-f]{{{SHORTEST_KEY},64}}")
_REFERENCE = re.compile(rf"(?P<model>{NAME})(?:@(?P<which>[^@#]+)|#(?P<stage>{NAME}))")
_TAG = re.compile(
    rf"(?P<model>{NAME})"
    rf"(?:@(?P<version>v[0-9]+\.[0-9]+\.[0-9]+)|#(?P<stage>{NAME}))"
    r"(?P<undone>!?)(?:#(?P<number>[0-9]{1,9}))?"
)


class VersionReference(Struct, frozen=True):
    """One version as a person names it: by number, as the latest, by stage, or by key.

    Exactly one of ``version``, ``stage`` and ``key`` is set; none of them means the latest. A key
    names a version before it has a number: its first digits, as ``towpath models`` shows them.
    """

    model: str
    version: VersionNumber | None = None
    stage: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        if self.stage:
            return f"{self.model}#{self.stage}"
        return f"{self.model}@{self.version or self.key or 'latest'}"


class TagName(Struct, frozen=True):
    """What the name of a tag says: a version (or its end), or what a stage runs (or no more)."""

    model: str
    version: VersionNumber | None
    stage: str | None
    undone: bool
    number: int


def parse_reference(text: str) -> VersionReference:
    """``abalone@v1.3.0``, ``abalone@latest``, ``abalone#prod``, ``abalone@3fa1c2``; UsageError."""
    match = _REFERENCE.fullmatch(text)
    if not match:
        name = re.match(r"[a-z0-9-]*", text)[0] or "abalone"  # type: ignore[index]  # it matches
        hint = f"write {name}@v1.0.0, {name}@latest or {name}#prod"
        raise UsageError(f"`{text}` names no version", hint=hint)
    model, which, stage = match["model"], match["which"], match["stage"]
    if stage or which == "latest":
        return VersionReference(model, stage=stage)
    if number := VersionNumber.parse(which):
        return VersionReference(model, number)
    if _KEY.fullmatch(which):
        return VersionReference(model, key=which)
    lacks_v = VersionNumber.parse(f"v{which}") is not None
    hint = f"{model}@v{which}" if lacks_v else f"{model}@v1.0.0 or {model}@latest"
    raise UsageError(f"`{which}` in `{text}` is no version", hint=hint)


@lru_cache(maxsize=32_768)  # ten thousand are read again after each change of one
def parse_tag(name: str) -> TagName | None:
    """What a tag says; None for a tag that is not the registry's."""
    match = _TAG.fullmatch(name)
    if not match:
        return None
    number = int(match["number"] or 0)
    version = VersionNumber.parse(match["version"] or "")
    if version is None and not match["stage"]:
        return None
    return TagName(match["model"], version, match["stage"], bool(match["undone"]), number)


def check_name(model: str) -> None:
    """Raise ``UsageError`` where a model may not be called so."""
    if len(model) > LONGEST_NAME:
        raise UsageError(f"a model's name has at most {LONGEST_NAME} characters: `{model}`")
    if not _NAME.fullmatch(model):
        near = re.sub(r"[^a-z0-9_]+", "-", model.lower()).strip("-_")
        rule = "lower-case letters, digits, - and _, with a letter or digit at both ends"
        hint = f"{rule}: `{near}`" if near else rule
        raise UsageError(f"`{model}` cannot be the name of a model", hint=hint)
