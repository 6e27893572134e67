"""Change a YAML file that people write too: comments, order and style stay."""

from __future__ import annotations

import io
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from towpath.documents.reading import syntax_fault, text_of
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
    mapping, sequence, offset = _indents(text)
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def _indents(text: str) -> tuple[int, int, int]:
    try:
        _, sequence, offset = load_yaml_guess_indent(text)
    except Exception:  # a text that is no YAML is reported by the load that follows
        sequence, offset = None, None
    if sequence is None:
        return 2, 2, 0
    return 2, sequence, offset or 0


def _is_bare(text: str) -> bool:
    """Nothing but comments and blank lines: ruamel would lose them."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def _written(yaml: YAML, data: Any, lead: str) -> str:
    out = io.StringIO()
    yaml.dump(data, out)
    return lead + out.getvalue()
