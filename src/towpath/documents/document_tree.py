"""A document as a tree in which every node knows its place, and what its plain scalars mean.

That is YAML 1.2's core schema (chapter 10.3), less what is doubtful: what another reader of YAML
takes for something else. YAML 1.1 reads ``no`` as false, ``12:30`` as 750 and ``010`` as 8. Such a
scalar is refused rather than guessed at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

from msgspec import Struct

from towpath.errors import Fault, Place


class Scalar(Struct, frozen=True):
    """Text, a number, true, false or null.

    ``sound`` is false where the document says something that was refused; ``value`` is then the
    text as it stands, so that reading can go on.
    """

    value: str | int | float | bool | None
    place: Place
    sound: bool = True


class Sequence(Struct, frozen=True):
    items: tuple[Node, ...]
    place: Place


class DocumentEntry(Struct, frozen=True):
    """A key and its node; the place is the key's."""

    key: str
    node: Node
    place: Place


class Mapping(Struct, frozen=True, dict=True):
    """Entries in the order written, no key twice; ``sound`` is false where one was refused."""

    entries: tuple[DocumentEntry, ...]
    place: Place
    sound: bool = True

    def get(self, key: str) -> DocumentEntry | None:
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[str, DocumentEntry]:
        return {entry.key: entry for entry in self.entries}


Node: TypeAlias = Scalar | Sequence | Mapping


class Document(Struct, frozen=True):
    """A tree, and what is wrong in it; a document that is no YAML has no tree but a null."""

    node: Node
    faults: tuple[Fault, ...]


def plain_data(node: Node) -> Any:
    """The data of a node without its places: JSON's types."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain_data(item) for item in node.items]
        case Mapping():
            return {entry.key: plain_data(entry.node) for entry in node.entries}


def unsound_places(node: Node) -> Iterator[Place]:
    """The places of what was refused, and of the keys before it."""
    match node:
        case Scalar(sound=False):
            yield node.place
        case Sequence():
            for item in node.items:
                yield from unsound_places(item)
        case Mapping():
            for entry in node.entries:
                if not isinstance(entry.node, Sequence) and not entry.node.sound:
                    yield entry.place
                yield from unsound_places(entry.node)


Value: TypeAlias = "str | int | float | bool | None"

QUOTE = "write it in quotes"

_WORDS: dict[str, Value] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SWITCHES = frozenset(
    ["yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"]
)
_SIXTIES = re.compile(r"[-+]?[0-9]+(:[0-9]{1,2})+(\.[0-9]*)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_GROUPED = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F]*_[0-9a-fA-F_]*|[0-9]+_[0-9_]*(\.[0-9_]*)?)")
_LONGEST = 200  # a longer one, in base 16 too, is no floating number any more
_PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*")


class DoubtError(ValueError):
    """A scalar that does not say one thing only; carries what is wrong and the hint."""

    def __init__(self, what: str, hint: str = QUOTE) -> None:
        super().__init__(what)
        self.hint = hint


def resolve_scalar(text: str) -> Value:
    """The value of a plain scalar; raises DoubtError where it could mean something else."""
    if text in _WORDS:
        return _WORDS[text]
    # Most scalars are words, which are told by their first letter: no pattern is tried.
    return _parse_number(text) if text[0] in "+-.0123456789<" or text in _SWITCHES else text


def stays_text(text: str) -> bool:
    """Whether every reader, of YAML 1.1 as of 1.2, takes this plain scalar for text."""
    if not _PLAIN_TEXT.fullmatch(text) or text != text.strip():
        return False
    return not (text in _WORDS or text in _SWITCHES or text in {"y", "Y", "n", "N"})


def _parse_number(text: str) -> Value:
    _refuse_doubtful(text)
    is_whole = _INTEGER.fullmatch(text)
    if is_whole or _RADIX.fullmatch(text):
        if len(text) > _LONGEST:
            raise DoubtError("this number is too long")
        return int(text, 10 if is_whole else 0)  # 0: by its prefix, `0o17` or `0x1f`
    if not _FLOAT.fullmatch(text):
        return text
    if math.isinf(number := float(text)):
        raise DoubtError(f"`{text}` is too large for a number")
    return number


def _refuse_doubtful(text: str) -> None:
    if text in _SWITCHES:
        boolean = "true" if text.lower() in {"yes", "on"} else "false"
        what = f"`{text}` is text to some readers and true or false to others"
        raise DoubtError(what, f"{QUOTE}, or write {boolean}")
    if text == "<<":
        raise DoubtError("merge keys (`<<`) are not read here", "write the entries out")
    if _ENDLESS.fullmatch(text):
        raise DoubtError(f"`{text}` is no finite number", "leave it out, or write it in quotes")
    if _SIXTIES.fullmatch(text):
        raise DoubtError(f"`{text}` is text to some readers and a number of base 60 to others")
    if _GROUPED.fullmatch(text):
        raise DoubtError(f"`{text}` is a number to some readers and text to others")
    if _LEADING_ZERO.match(text) and _FLOAT.fullmatch(text):
        raise DoubtError(f"`{text}` begins with a zero: an octal number to some readers")
