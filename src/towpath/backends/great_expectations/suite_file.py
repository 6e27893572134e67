"""Reads a suite of expectations from YAML, every fault with its place; imports nothing heavy."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, convert

from towpath import documents
from towpath.backends.great_expectations.suite_outcome import Expectation, Suite
from towpath.errors import DeclarationError, Fault, Place, did_you_mean

_TOP = ("name", "description", "notes", "meta", "expectations")
_OWN = ("type", "kwargs", "meaning", "notes", "description", "meta", "severity")
_SEVERITIES = ("critical", "warning", "info")
# Kept here, for a suite is read without importing Great Expectations, which takes seconds. A test
# holds it against the installed version.
EXPECTATIONS = Path(__file__).with_name("expectations.json")
_TYPES: dict[str, Any] = {
    "text": str, "number": (int, float), "integer": int, "switch": bool, "list": list,
    "mapping": dict, "any": object,
}  # fmt: skip
_WORDS = {
    "text": "text", "number": "a number", "integer": "a whole number", "switch": "true or false",
    "list": "a list", "mapping": "a mapping",
}  # fmt: skip


class ExpectationArgument(Struct, frozen=True):
    """What an expectation takes. ``kinds`` are what it may be (``text``, ``number``, ``integer``,
    ``switch``, ``list``, ``mapping``, ``any``), unless it is one of ``choices``."""

    kinds: tuple[str, ...] = ()
    required: bool = False
    choices: tuple[str, ...] = ()


class ExpectationType(Struct, frozen=True):
    """A type of expectation. ``database`` marks one that only a database can answer."""

    type: str
    arguments: Mapping[str, ExpectationArgument]
    database: bool = False


@functools.cache
def read_catalogue() -> Mapping[str, ExpectationType]:
    listed: dict[str, Any] = json.loads(EXPECTATIONS.read_text(encoding="utf-8"))
    return {
        name: convert({**fields, "type": name}, ExpectationType)
        for name, fields in listed["expectations"].items()
    }


def read_suite(path: Path, shown: str) -> Suite:
    """The suite in a file, called ``shown`` in messages; DeclarationError with all its faults."""
    node = documents.read_yaml(path, shown)
    faults = tuple(_document_faults(node))
    if faults:
        raise DeclarationError(*faults)
    assert isinstance(node, documents.Mapping)
    data = documents.plain_data(node)
    items = node.get("expectations")
    assert items and isinstance(items.node, documents.Sequence)
    name = str(data.get("name") or Path(shown).stem)
    about = _note_text(data.get("description") or data.get("notes"))
    return Suite(name, tuple(map(_read_expectation, items.node.items)), about)


def suite_faults(path: Path, shown: str) -> tuple[Fault, ...]:
    try:
        read_suite(path, shown)
    except DeclarationError as error:
        return error.faults
    return ()


def _note_text(notes: Any) -> str:
    return "\n".join(map(str, notes)) if isinstance(notes, list) else str(notes or "")


def _read_expectation(node: documents.Node) -> Expectation:
    data = documents.plain_data(node)
    arguments = {key: value for key, value in data.items() if key not in _OWN}
    arguments |= data.get("kwargs") or {}
    if "row_condition" in arguments:  # without a parser Great Expectations refuses it
        arguments.setdefault("condition_parser", "pandas")
    meaning = _note_text(data.get("meaning") or data.get("notes") or data.get("description"))
    severity = data.get("severity", "critical")
    return Expectation(data["type"], arguments, node.place, meaning, severity)


def _document_faults(node: documents.Node) -> Iterator[Fault]:
    if not isinstance(node, documents.Mapping):
        yield Fault("a suite is a mapping with `expectations`", node.place)
        return
    for entry in node.entries:
        if entry.key not in _TOP:
            yield Fault(f"a suite has no `{entry.key}`", entry.place, did_you_mean(entry.key, _TOP))
    expectations = node.get("expectations")
    if expectations is None:
        yield Fault("the suite has no `expectations`", Place(node.place.file, 1))
    elif not isinstance(expectations.node, documents.Sequence) or not expectations.node.items:
        hint = "- {type: expect_column_values_to_not_be_null, column: height}"
        yield Fault("`expectations` is a list with at least one in it", expectations.place, hint)
    else:
        for item in expectations.node.items:
            yield from _item_faults(item)


def _item_faults(node: documents.Node) -> Iterator[Fault]:
    if not isinstance(node, documents.Mapping):
        yield Fault("an expectation is a mapping with a `type`", node.place)
        return
    kind = node.get("type")
    if kind is None:
        near = next((e.key for e in node.entries if did_you_mean(e.key, ["type"])), None)
        hint = f"did you mean `type` by `{near}`?" if near else None
        yield Fault("an expectation needs a `type`", node.place, hint)
        return
    name = str(documents.plain_data(kind.node))
    expectation_type = read_catalogue().get(name)
    if expectation_type is None:
        near = did_you_mean(name, read_catalogue())
        hint = near or "see https://greatexpectations.io/expectations/"
        yield Fault(f"there is no expectation `{name}`", kind.node.place, hint)
    elif expectation_type.database:
        yield Fault(f"`{expectation_type.type}` works on databases, not on files", kind.node.place)
    else:
        yield from _argument_faults(node, expectation_type)
    yield from _severity_faults(node)


def _severity_faults(node: documents.Mapping) -> Iterator[Fault]:
    severity = node.get("severity")
    value = documents.plain_data(severity.node) if severity else "critical"
    if severity and value not in _SEVERITIES:
        hint = did_you_mean(str(value), _SEVERITIES) or f"one of {', '.join(_SEVERITIES)}"
        yield Fault(f"there is no severity `{value}`", severity.node.place, hint)


def _argument_faults(node: documents.Mapping, type_: ExpectationType) -> Iterator[Fault]:
    arguments = [entry for entry in node.entries if entry.key not in _OWN]
    nested = node.get("kwargs")  # as Great Expectations' own JSON has them
    if nested and isinstance(nested.node, documents.Mapping):
        arguments += nested.node.entries
    elif nested:
        yield Fault("`kwargs` is a mapping of arguments", nested.place)
    yield from _key_faults(node, arguments, type_)
    for entry in arguments:
        if entry.key in type_.arguments:
            yield from _value_faults(entry, type_.arguments[entry.key])
    yield from _range_faults(node, {e.key: documents.plain_data(e.node) for e in arguments}, type_)


def _key_faults(
    node: documents.Node, arguments: list[documents.DocumentEntry], type_: ExpectationType
) -> Iterator[Fault]:
    names = [entry.key for entry in arguments]
    for position, entry in enumerate(arguments):
        if entry.key in names[:position]:  # once beside `kwargs`, and once in it
            yield Fault(f"`{entry.key}` is given twice", entry.place)
        elif entry.key not in type_.arguments:
            takes = ", ".join(type_.arguments)
            hint = did_you_mean(entry.key, (*type_.arguments, *_OWN)) or f"it takes {takes}"
            yield Fault(f"`{type_.type}` takes no `{entry.key}`", entry.place, hint)
    # An argument that is mistyped is said once, and not as unknown and as missing.
    unknown = [name for name in names if name not in type_.arguments]
    for name, argument in type_.arguments.items():
        is_mistyped = any(did_you_mean(key, [name]) for key in unknown)
        if argument.required and name not in names and not is_mistyped:
            yield Fault(f"`{type_.type}` needs `{name}`", node.place)


def _range_faults(
    node: documents.Node, arguments: dict[str, Any], type_: ExpectationType
) -> Iterator[Fault]:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    bounded = type_.type.endswith("_to_be_between") and "min_value" in type_.arguments
    if bounded and low is None and high is None:
        yield Fault(f"`{type_.type}` needs `min_value` or `max_value`", node.place)
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        yield Fault(f"`min_value` {low} is above `max_value` {high}", node.place)


def _value_faults(entry: documents.DocumentEntry, argument: ExpectationArgument) -> Iterator[Fault]:
    value, name, place = documents.plain_data(entry.node), entry.key, entry.node.place
    if argument.choices:
        if value not in argument.choices:
            hint = did_you_mean(str(value), argument.choices)
            yield Fault(f"`{name}` is one of {', '.join(argument.choices)}", place, hint)
    elif not any(_is_kind(value, kind) for kind in argument.kinds):
        expected = " or ".join(_WORDS[kind] for kind in argument.kinds)
        yield Fault(f"`{name}` must be {expected}, not {_shown_value(value)}", place)
    elif name == "mostly" and not 0 <= value <= 1:
        yield Fault(f"`mostly` is a share from 0 to 1, not {value}", place)
    elif name in ("regex", "regex_list"):
        for pattern in value if isinstance(value, list) else [value]:
            yield from _pattern_faults(str(pattern), entry)


def _pattern_faults(pattern: str, entry: documents.DocumentEntry) -> Iterator[Fault]:
    try:
        re.compile(pattern)
    except re.error as error:
        yield Fault(f"`{pattern}` is no regular expression: {error}", entry.node.place)


def _is_kind(value: Any, kind: str) -> bool:
    if isinstance(value, bool):  # which to Python is a whole number too
        return kind in ("switch", "any")
    return isinstance(value, _TYPES[kind])


def _shown_value(value: Any) -> str:
    shown = {str: f"`{value}`", dict: "a mapping", list: "a list", bool: str(value).lower()}
    return shown.get(type(value), str(value))
