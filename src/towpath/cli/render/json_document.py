"""The versioned document that a command prints with ``--json``: what it tells, or its faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from towpath.cli.render import terminal
from towpath.errors import ExitCode, Fault
from towpath.plain_data import list_fields

#: Of the format of all documents: keys may be added within it, none changes its meaning.
FORMAT_VERSION = 1


def print_json(kind: str, document: Any, **beside: Any) -> None:
    """One versioned document on stdout."""
    whole = {"towpath": FORMAT_VERSION, "kind": kind, kind: document, **beside}
    text = json.dumps(whole, default=_plain_value, ensure_ascii=False)
    # JSON knows no NaN, and readers in other languages refuse it: it becomes null. It is looked
    # for in the text, for nearly no document holds one.
    if "NaN" in text or "Infinity" in text:
        finite_document = json.loads(text, parse_constant=lambda _: None)
        text = json.dumps(finite_document, ensure_ascii=False)
    terminal.echo_json(text)


def print_faults_as_json(faults: Sequence[Fault], code: ExitCode) -> None:
    """The document in the place of any other where a command did not end well."""
    documents = [list_fields(fault) for fault in dict.fromkeys(faults)]
    head = {"towpath": FORMAT_VERSION, "kind": "error"}
    whole = {**head, "exit_code": int(code), "faults": documents}
    terminal.echo_json(json.dumps(whole, ensure_ascii=False))


def _plain_value(value: Any) -> Any:
    if isinstance(value, Struct):
        return structs.asdict(value)
    if isinstance(value, (frozenset, set)):
        return sorted(value)  # a set has no order: two calls would print two documents
    return str(value)
