"""Version numbers: ``v1.3.0``, their order, and what comes next."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from towpath.config.digests import describe
from towpath.errors import Malformed, RegistryError

Level: TypeAlias = Literal["major", "minor", "patch"]

_PART = r"(0|[1-9][0-9]{0,8})"
_NUMBER = re.compile(rf"v{_PART}\.{_PART}\.{_PART}")
_LARGEST = 999_999_999


@dataclass(frozen=True, order=True)
class Version:
    """The number of a version, in semantic versioning's order."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """The number that ``v1.3.0`` says; None where the text is no number."""
        return _parsed(text)

    def bump(self, level: Level) -> Version:
        """The next number of a level."""
        if level == "major":
            return Version(self.major + 1, 0, 0)
        if level == "minor":
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)


@lru_cache(maxsize=4096)  # the same few hundred numbers, of ten thousand tags
def _parsed(text: str) -> Version | None:
    found = _NUMBER.fullmatch(text)
    return Version(*map(int, found.groups())) if found else None


FIRST = Version(1, 0, 0)


def following(base: Version | None, level: Level, taken: Container[Version]) -> Version:
    """The next number after ``base`` that was never given, not even to a rejected version."""
    number = FIRST if base is None else base.bump(level)
    while number in taken:
        number = number.bump(level)
    if max(number.major, number.minor, number.patch) > _LARGEST:
        # Somebody tagged the last number by hand: what follows would be no version to any reader.
        raise RegistryError(f"no number follows {base}", hint="ask who gave it: git show the tag")
    return number


def read_version(value: object) -> Version:
    """The number in a file; ``Malformed`` where the value is none."""
    found = Version.parse(value) if isinstance(value, str) else None
    if found is None:
        raise Malformed(f"{describe(value)} is no version")
    return found
