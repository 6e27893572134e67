"""Change a YAML file that people write too: comments, order and style stay."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from towpath.documents.reading import parse, syntax_fault, text_of
from towpath.documents.tree import Entry, Mapping, Node, Scalar, Sequence
from towpath.errors import DeclarationError, Fault, Place


def edit(
    path: Path, change: Callable[[MutableMapping[str, Any]], None], shown: str | None = None
) -> str:
    """The text of a file after ``change`` was applied to its mapping; nothing is written.

    A missing file counts as an empty mapping. ``shown`` is the file's name in messages.
    Raises DeclarationError where the file is no YAML or no mapping.
    """
    name = shown or path.name
    text = text_of(path, name) if path.exists() else ""
    yaml = _round_trip(text)
    try:
        data = yaml.load(text)
    except YAMLError as error:
        raise DeclarationError(syntax_fault(error, text, name)) from None
    except (ValueError, TypeError) as error:  # ruamel makes a date of `0000-00-00`
        what = f"this cannot be changed without being written anew: {error}"
        raise DeclarationError(Fault(what, Place(name))) from None
    if data is None:
        data = yaml.map()
    if not isinstance(data, MutableMapping):
        raise DeclarationError(Fault("the file must hold a mapping", Place(name, 1)))
    change(data)
    return _written(yaml, data, text if _is_bare(text) else "")


def _round_trip(text: str) -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096  # never fold a long line that somebody wrote
    mapping, sequence, offset = _indents(parse(text, "").node)
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def _indents(node: Node) -> tuple[int, int, int]:
    """How the file is indented: mappings in mappings, lists, and the dash within that."""
    nested = list(_nested(node))
    mapping = next(
        (n.place.column - e.place.column for e, n in nested if isinstance(n, Mapping)), 2
    )
    offset = next(
        (n.place.column - e.place.column for e, n in nested if isinstance(n, Sequence)), 0
    )
    return mapping, offset + 2, offset


def _nested(node: Node) -> Iterator[tuple[Entry, Node]]:
    """The entries whose mapping or list begins on a line of its own."""
    if isinstance(node, Mapping):
        for entry in node.entries:
            if not isinstance(entry.node, Scalar) and entry.node.place.line > entry.place.line:
                yield entry, entry.node
            yield from _nested(entry.node)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _nested(item)


def _is_bare(text: str) -> bool:
    """Nothing but comments and blank lines: ruamel would lose them."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def _written(yaml: YAML, data: Any, lead: str) -> str:
    out = io.StringIO()
    yaml.dump(data, out)
    return lead + out.getvalue()
