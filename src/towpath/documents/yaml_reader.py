"""Read YAML 1.2 with places, every fault at once; ruamel.yaml is loaded when a text is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from towpath.documents.document_tree import (
    Document,
    DoubtError,
    Node,
    Scalar,
    plain_data,
    resolve_scalar,
)
from towpath.errors import DeclarationError, Fault, Place
from towpath.regular_files import read_regular_file

CRLF = "\r\n"
_FLAT = r'([a-z][a-z0-9_]*): (?:"([\w.-]+)"|([\w.-]+))'


def read_yaml(path: Path, shown: str) -> Node:
    """The tree of a file; ``shown`` is its name in messages.

    Raises DeclarationError with every fault of the document, also where the file is missing.
    """
    return _require_sound(parse_yaml(text_of(path, shown), shown))


def load_yaml(path: Path, shown: str) -> Any:
    """The plain data of a file; raises as ``read_yaml`` does."""
    return plain_data(read_yaml(path, shown))


def parse_value(text: str) -> Any:
    """The data of one value as it would stand behind a key, such as a command line's argument."""
    return plain_data(_require_sound(parse_yaml(text, "the value")))


def parse_yaml(text: str, shown: str) -> Document:
    """The tree of a text together with its faults; ``shown`` is the file's name in messages."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # What Git holds need not be UTF-8, and the C reader answers with an error of Python's.
        place = Place(shown, text.count("\n", 0, error.start) + 1)
        return Document(Scalar(None, Place(shown, 1, 1)), (Fault("the text is not UTF-8", place),))
    from towpath.documents.yaml_parser import compose_tree

    return compose_tree(text, shown)


def read_flat(text: str) -> dict[str, str] | None:
    """What a text says that is one ``key: text`` a line, as ``dump_yaml`` writes it; else None."""
    # Thousands of small records are read at once: to parse them takes ten times as long.
    lines = [re.fullmatch(_FLAT, line) for line in text.removesuffix("\n").split("\n")]
    pairs = [(line[1], line[2] or line[3]) for line in lines if line]
    sound = all(line and (line[2] or _is_text(line[3])) for line in lines)
    return dict(pairs) if sound and len(dict(pairs)) == len(pairs) else None


def find_entry(text: str, key: str) -> Any:
    """The value of a key at the top of a document; None where it has none, or is no mapping."""
    if key not in text:
        return None
    # Not parsed where a line says it: each command asks which branch is main, and the import of
    # ruamel alone takes a tenth of a second.
    line = re.search(rf"""^{key}:[ \t]+(["']?)([\w./-]+)\1[ \t]*(?:#.*)?$""", text, re.MULTILINE)
    if line and (line[1] or _is_text(line[2])):
        return line[2]
    if not re.search(rf"""(?:^|[{{,]\s*)["']?{key}["']?\s*:""", text, re.MULTILINE):
        return None
    data = plain_data(parse_yaml(text, "the document").node)
    return data.get(key) if isinstance(data, dict) else None


def _is_text(scalar: str) -> bool:
    try:
        return isinstance(resolve_scalar(scalar), str)
    except DoubtError:
        return False


def edit_yaml(path: Path, change: Callable[[MutableMapping[str, Any]], None]) -> str:
    """The text of a file after ``change`` was applied to its mapping; nothing is written.

    Comments, order and style stay. A missing file counts as an empty mapping. Raises
    DeclarationError where the file is no YAML or no mapping.
    """
    from towpath.documents.yaml_parser import edit_text

    return edit_text(text_of(path, path.name) if path.exists() else "", change, path.name)


def text_of(path: Path, shown: str) -> str:
    """A file's text, which must be UTF-8; its lines end in a line feed."""
    try:
        # Also where Git laid it out with `core.autocrlf`: nobody who looks for a line must know
        # both ends. Editors of Windows put a byte order mark before the text (`-sig`).
        return read_regular_file(path).decode("utf-8-sig").replace(CRLF, "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DeclarationError(Fault("the file is not UTF-8", Place(shown, line))) from None
    except OSError as error:
        what = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        raise DeclarationError(Fault(what, Place(shown))) from None


def bytes_of(text: str, path: Path) -> bytes:
    """The bytes of a text that takes the place of a file: its lines end as the file's do now."""
    with suppress(FileNotFoundError):
        if CRLF.encode() in read_regular_file(path):
            text = text.replace("\n", CRLF)
    return text.encode()


def _require_sound(document: Document) -> Node:
    if document.faults:
        raise DeclarationError(*document.faults)
    return document.node
