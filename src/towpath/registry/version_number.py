"""Version numbers: ``v1.3.0``, their order, and what comes next."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from towpath.config.foreign_values import describe_value
from towpath.errors import Malformed, RegistryError

Level: TypeAlias = Literal["major", "minor", "patch"]

_PART = r"(0|[1-9][0-9]{0,8})"
_NUMBER = re.compile(rf"v{_PART}\.{_PART}\.{_PART}")
_LARGEST = 999_999_999


@dataclass(frozen=True, order=True)
class VersionNumber:
    """The number of a version, in semantic versioning's order."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> VersionNumber | None:
        """The number that ``v1.3.0`` says; None where the text is no number."""
        return _parse_number(text)

    def next_number(self, level: Level) -> VersionNumber:
        """The next number of a level."""
        if level == "major":
            return VersionNumber(self.major + 1, 0, 0)
        if level == "minor":
            return VersionNumber(self.major, self.minor + 1, 0)
        return VersionNumber(self.major, self.minor, self.patch + 1)


@lru_cache(maxsize=4096)  # the same few hundred numbers, of ten thousand tags
def _parse_number(text: str) -> VersionNumber | None:
    match = _NUMBER.fullmatch(text)
    return VersionNumber(*map(int, match.groups())) if match else None


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
    """The number in a file; ``Malformed`` where the value is none."""
    number = VersionNumber.parse(value) if isinstance(value, str) else None
    if number is None:
        raise Malformed(f"{describe_value(value)} is no version")
    return number
