"""The expectations there are and what they take, from a list kept here: to read it is free.

``python -m towpath.backends.great_expectations.expectation_catalogue`` writes the list anew after
an upgrade of Great Expectations.
"""

from __future__ import annotations

import datetime
import functools
import inspect
import json
import typing
from collections import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("expectations.json")


@dataclass(frozen=True)
class ExpectationArgument:
    """What an expectation takes. ``kinds`` are what it may be (``text``, ``number``, ``integer``,
    ``switch``, ``list``, ``mapping``, ``any``), unless it is one of ``choices``."""

    kinds: tuple[str, ...]
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExpectationType:
    """A type of expectation. ``database`` marks one that only a database can answer."""

    type: str
    about: str
    arguments: Mapping[str, ExpectationArgument]
    database: bool = False


@functools.cache
def read_catalogue() -> Mapping[str, ExpectationType]:
    """Every expectation by its type, as Great Expectations has them."""
    listed: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    types = {}
    for name, fields in listed["expectations"].items():
        arguments = {key: _read_argument(value) for key, value in fields["arguments"].items()}
        is_database = fields.get("database", False)
        types[name] = ExpectationType(name, fields["about"], arguments, is_database)
    return types


def _read_argument(fields: Mapping[str, Any]) -> ExpectationArgument:
    kinds, choices = tuple(fields.get("kinds", ())), tuple(fields.get("choices", ()))
    return ExpectationArgument(kinds, fields.get("required", False), choices)


_ITS_OWN = frozenset(
    {"id", "meta", "notes", "result_format", "description", "catch_exceptions", "severity"}
    | {"rendered_content", "windows", "batch_id", "library_metadata"}
)
_KINDS = {
    str: "text", bool: "switch", int: "integer", float: "number", list: "list", set: "list",
    tuple: "list", dict: "mapping", datetime.date: "text", datetime.datetime: "text",
}  # fmt: skip
_DATABASE = ("_like_pattern", "unexpected_rows", "query_results", "other_table")


def list_expectations() -> dict[str, Any]:
    classes = {kind.expectation_type: kind for kind in _expectation_classes()}
    expectations = {name: _describe_type(name, kind) for name, kind in sorted(classes.items())}
    from towpath.backends.great_expectations.validation import gx

    return {"great_expectations": gx.__version__, "expectations": expectations}


def _expectation_classes() -> Iterator[Any]:
    # Ours first, which imports it without what a check of a table never uses.
    import towpath.backends.great_expectations.validation  # noqa: F401, I001
    from great_expectations.expectations import core
    from great_expectations.expectations.expectation import Expectation

    for value in vars(core).values():
        if inspect.isclass(value) and issubclass(value, Expectation):
            yield value


def _describe_type(name: str, kind: Any) -> dict[str, Any]:
    about = (inspect.getdoc(kind) or "").strip().split("\n\n")[0].replace("\n", " ")
    fields = {key: field for key, field in kind.__fields__.items() if key not in _ITS_OWN}
    arguments = {key: _describe_argument(field) for key, field in sorted(fields.items())}
    is_database = any(part in name for part in _DATABASE)
    return {"about": about, "arguments": arguments, **({"database": True} if is_database else {})}


def _describe_argument(field: Any) -> dict[str, Any]:
    hint = field.outer_type_
    choices = sorted(str(choice) for choice in _hint_choices(hint))
    kinds = sorted(set(_hint_kinds(hint)))
    description: dict[str, Any] = {"choices": choices} if choices else {"kinds": kinds or ["any"]}
    return {**description, **({"required": True} if field.required else {})}


def _hint_arms(hint: Any) -> Iterator[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        yield from _hint_arms(typing.get_args(hint)[0])
    elif origin is typing.Union:
        for arm in typing.get_args(hint):
            yield from _hint_arms(arm)
    else:
        yield hint


def _hint_choices(hint: Any) -> Iterator[Any]:
    for arm in _hint_arms(hint):
        if typing.get_origin(arm) is typing.Literal:
            yield from typing.get_args(arm)


def _hint_kinds(hint: Any) -> Iterator[str]:
    arms = [typing.get_origin(arm) or arm for arm in _hint_arms(hint)]
    # A dict beside other types stands for a parameter of a suite, of which a file has none.
    passed_over = (type(None), dict) if len(arms) > 1 else (type(None),)
    for arm in arms:
        if inspect.isclass(arm) and arm not in passed_over:
            yield _kind_of_type(arm)


def _kind_of_type(plain: type) -> str:
    if issubclass(plain, bool):
        return "switch"
    if plain is abc.Sequence:
        return "list"
    return next((kind for base, kind in _KINDS.items() if issubclass(plain, base)), "mapping")


def write_list() -> None:
    _FILE.write_text(json.dumps(list_expectations(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_list()
