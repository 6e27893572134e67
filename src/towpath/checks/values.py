"""Whether the value of an expectation's argument is of a kind that the expectation takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from towpath import documents
from towpath.checks.catalogue import Argument
from towpath.errors import Fault, did_you_mean

_WORDS = {
    "text": "text",
    "number": "a number",
    "integer": "a whole number",
    "switch": "true or false",
    "list": "a list",
    "mapping": "a mapping",
}


def value_faults(entry: documents.Entry, argument: Argument) -> Iterator[Fault]:
    """What is wrong with an argument's value."""
    value, name, place = documents.plain(entry.node), entry.key, entry.node.place
    if argument.choices:
        if value not in argument.choices:
            hint = did_you_mean(str(value), argument.choices)
            yield Fault(f"`{name}` is one of {', '.join(argument.choices)}", place, hint)
    elif not any(_is(value, kind) for kind in argument.kinds):
        wanted = " or ".join(_WORDS[kind] for kind in argument.kinds)
        yield Fault(f"`{name}` must be {wanted}, not {_shown(value)}", place)
    elif name == "mostly" and not 0 <= value <= 1:
        yield Fault(f"`mostly` is a share from 0 to 1, not {value}", place)
    elif name in ("regex", "regex_list"):
        for pattern in value if isinstance(value, list) else [value]:
            yield from _pattern_faults(str(pattern), entry)


def _pattern_faults(pattern: str, entry: documents.Entry) -> Iterator[Fault]:
    try:
        re.compile(pattern)
    except re.error as error:
        what = f"`{pattern}` is no regular expression: {error}"
        yield Fault(what, entry.node.place)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind in ("switch", "any")
    types: dict[str, Any] = {
        "text": str,
        "number": (int, float),
        "integer": int,
        "switch": bool,
        "list": list,
        "mapping": dict,
        "any": object,
    }
    return isinstance(value, types[kind])


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    return {dict: "a mapping", list: "a list", bool: str(value).lower()}.get(
        type(value), str(value)
    )
