"""Messages with ``{reference:.2f}`` in them: what Python's format allows, less what is not safe."""

from __future__ import annotations

import re
from dataclasses import dataclass

from towpath.config.output_reference import Lookup, Reference, find_value, parse_value_reference
from towpath.errors import StepFailed

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<reference>[^{}:!]*)(:(?P<format>[^{}]*))?\}|(?P<stray>[{}])")
_FORMAT = re.compile(r"([^{}]?[<>=^])?[-+ ]?#?0?\d{0,3}[,_]?(\.\d{1,2})?[sdeEfFgGxXn%]?")


@dataclass(frozen=True)
class Hole:
    """A place in a message that a value fills."""

    reference: Reference
    format: str


@dataclass(frozen=True)
class MessageTemplate:
    """A message: text and holes in turn."""

    text: str
    parts: tuple[str | Hole, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """What the message refers to, each once."""
        holes = (part.reference for part in self.parts if isinstance(part, Hole))
        return tuple(dict.fromkeys(holes))

    def fill(self, lookup: Lookup) -> str:
        """The message with its values; raises StepFailed where one is missing or does not fit."""
        return "".join(p if isinstance(p, str) else _fill_hole(p, lookup) for p in self.parts)


def parse_message(text: str) -> MessageTemplate:
    """A message; raises ValueError, whose words say what is wrong."""
    parts: list[str | Hole] = []
    end = 0
    for match in _PIECE.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(_parse_part(match))
        end = match.end()
    parts.append(text[end:])
    return MessageTemplate(text, tuple(part for part in parts if part != ""))


def _parse_part(match: re.Match[str]) -> str | Hole:
    if match["stray"]:
        raise ValueError(f"a `{match['stray']}` is no part of a reference: double it to show it")
    if match["reference"] == "":
        raise ValueError("`{}` names nothing")
    if match["reference"] is None:
        return match[0][0]
    form = match["format"] or ""
    if not _FORMAT.fullmatch(form):
        raise ValueError(f"`{form}` is no format: write one such as `.2f`")
    return Hole(parse_value_reference(match["reference"]), form)


def _fill_hole(hole: Hole, lookup: Lookup) -> str:
    value = find_value(hole.reference, lookup)
    try:
        return format(value, hole.format)
    except (ValueError, TypeError, OverflowError):
        what = f"`{hole.reference}` is {value!r} and cannot be written as `{hole.format}`"
        raise StepFailed(what) from None
