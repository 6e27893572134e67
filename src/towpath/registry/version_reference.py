"""How a version is named by people (``abalone@latest``) and by tags (``abalone@v1.3.0``).

The tags are GTO's grammar (gto 1.x, ``gto/constants.py``): ``name@vX.Y.Z`` registers, the same with
``!#N`` deregisters, ``name#stage#N`` assigns and ``name#stage!#N`` unassigns. Towpath's names are
the lower-case part of GTO's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from towpath.errors import UsageError
from towpath.registry.version_number import VersionNumber

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


@dataclass(frozen=True)
class VersionReference:
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


@dataclass(frozen=True)
class TagName:
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
    hint = (
        f"{model}@v{which}"
        if VersionNumber.parse(f"v{which}")
        else f"{model}@v1.0.0 or {model}@latest"
    )
    raise UsageError(f"`{which}` in `{text}` is no version", hint=hint)


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
        hint = "lower-case letters, digits, - and _, with a letter or digit at both ends"
        raise UsageError(
            f"`{model}` cannot be the name of a model",
            hint=f"{hint}: `{near}`" if near else hint,
        )
