"""Read YAML 1.2 into a tree with places, every fault at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from towpath.documents.composing import Composer
from towpath.documents.tree import Node, plain
from towpath.errors import DeclarationError, Fault, Place

CRLF = "\r\n"
_HINTS = {
    "mapping values are not allowed": "two colons in one line: write the value in quotes",
    "'\\t'": "indent with blanks, not with tabs",
    "cannot start any token": "write the value in quotes",
    "unexpected end of stream": "a quote is opened and not closed",
    "but got": "a bracket is opened and not closed, or the value needs quotes",
    "<block end>": "this line is not indented like those before it",
    "could not find expected ':'": "a key needs a colon and a blank behind it",
}


@dataclass(frozen=True)
class Document:
    """A tree, and what is wrong in it; a document that is no YAML has no tree but a null."""

    node: Node
    faults: tuple[Fault, ...]


def read(path: Path, shown: str) -> Node:
    """The tree of a file; ``shown`` is its name in messages.

    Raises DeclarationError with every fault of the document, also where the file is missing.
    """
    return _sound(parse(text_of(path, shown), shown))


def load(path: Path, shown: str) -> Any:
    """The plain data of a file; raises as ``read`` does."""
    return plain(read(path, shown))


def value(text: str) -> Any:
    """The data of one value as it would stand behind a key, such as a command line's argument."""
    return plain(_sound(parse(text, "the value")))


def parse(text: str, shown: str) -> Document:
    """The tree of a text together with its faults; ``shown`` is the file's name in messages."""
    if (half := _half_a_character(text)) is not None:
        # What Git holds need not be UTF-8, and the C reader answers with an error of Python's.
        place = Place(shown, text.count("\n", 0, half) + 1)
        return Document(Composer(shown).nothing(), (Fault("the text is not UTF-8", place),))
    try:
        return _composed(text, shown, pure=False)
    except YAMLError:
        # libyaml speaks 1.1 (`{run: shared.publish:to_folder}` is an error to it): the slower
        # reader in Python knows 1.2 and has the last word on what is wrong.
        pass
    try:
        return _composed(text, shown, pure=True)
    except YAMLError as error:
        nothing = Composer(shown).nothing()
        return Document(nothing, (syntax_fault(error, text, shown),))


def _half_a_character(text: str) -> int | None:
    """Where a text holds what UTF-8 has no bytes for."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def text_of(path: Path, shown: str) -> str:
    """A file's text, which must be UTF-8; its lines end in a line feed, also where Git laid the
    file out with ``core.autocrlf``, so that nobody who looks for a line must know both ends."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace(CRLF, "\n")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DeclarationError(Fault("the file is not UTF-8", Place(shown, line))) from None
    except OSError as error:
        what = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        raise DeclarationError(Fault(what, Place(shown))) from None


def bytes_of(text: str, path: Path) -> bytes:
    """The bytes of a text that takes the place of a file: its lines end as the file's do now."""
    with suppress(FileNotFoundError):
        if CRLF.encode() in path.read_bytes():
            text = text.replace("\n", CRLF)
    return text.encode()


def _sound(document: Document) -> Node:
    if document.faults:
        raise DeclarationError(*document.faults)
    return document.node


def _composed(text: str, shown: str, pure: bool) -> Document:
    composer = Composer(shown)
    node = composer.document(YAML(typ="safe", pure=pure).parse(text))
    return Document(node, tuple(composer.faults))


def syntax_fault(error: YAMLError, text: str, shown: str) -> Fault:
    """What a YAML parser stumbled over, with its place and, where we know it, the cure."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return _character_fault(error, text, shown)
    mark, problem = error.problem_mark, str(error.problem)
    if "end of stream" in problem or "<stream end>" in problem:
        mark = error.context_mark or mark  # not where the file ends, but what was left open
    hint = next((hint for part, hint in _HINTS.items() if part in problem), None)
    if "<block end>" in problem and text.split("\n")[mark.line][: mark.column].strip():
        hint = "write the value in quotes"
    place = Place(shown, mark.line + 1, mark.column + 1)
    return Fault(f"this is not YAML: {problem}", place, hint)


def _character_fault(error: YAMLError, text: str, shown: str) -> Fault:
    position = getattr(error, "position", 0)
    line = text.count("\n", 0, position) + 1
    what = "this is not YAML: the text holds a control character"
    return Fault(what, Place(shown, line), "remove it, or write it as an escape in double quotes")
